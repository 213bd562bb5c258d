package store

import (
	"fmt"
	"time"
)

// An outage begins when the log cannot be written or a commit takes too long. It ends with the next successful
// commit. Waiting callers get the error at once.

// settle marks the batch as durable, calls its callbacks, and ends an outage if there was one.
func (l *Log) settle() {
	callbacks := l.callbacks[:0]
	l.mu.Lock()
	for _, r := range l.batch {
		callbacks = r.commit.settleLocked(nil, callbacks)
		if r.open {
			l.forgetLocked(r)
		}
	}
	written := len(l.batch)
	clear(l.batch)
	l.batch = l.batch[:0]
	wasOut := l.err != nil
	l.err = nil
	l.setLingerLocked() // for rows that came during the outage, too late for the batch
	since, lost := l.outageSince, l.lost-l.lostBefore
	l.mu.Unlock()
	l.callBack(callbacks, nil)
	clear(callbacks)
	l.callbacks = callbacks
	if wasOut {
		l.cfg.Logger.Info("the audit log can be written again", "file", l.file.path,
			"after", time.Since(since).Round(time.Millisecond).String(), "rows_written", written, "rows_lost", lost)
	}
}

// forgetLocked notes that a beginning is in the file, and no longer in memory. The caller holds mu.
func (l *Log) forgetLocked(r *row) {
	switch e := r.entry.(type) {
	case *lifeRow:
		l.lives.begun[e.id] = nil
	case *exchangeRow:
		l.exchanges.begun[e.id] = nil
	case *publicationRow:
		l.publications.begun[e.id] = nil
	case *subscriptionRow:
		l.subscriptions.begun[e.id] = nil
	}
}

// fail begins or continues an outage. It fails all pending rows.
func (l *Log) fail(err error) {
	err = l.file.explain("cannot be written", err)
	l.mu.Lock()
	began, callbacks := l.failLocked(err)
	l.mu.Unlock()
	l.callBack(callbacks, err)
	if began {
		l.cfg.Logger.Error("the audit log is failing", "error", err)
	}
}

// watchdog begins an outage when the oldest pending row has missed its deadline, because the writer is blocked
// on the disk. It runs on a timer that is set while there may be pending rows. The outage ends with the next
// successful commit, which may be the one that is blocked.
func (l *Log) watchdog() {
	l.mu.Lock()
	var callbacks []func(error)
	began := false
	err := fmt.Errorf("audit log %s: a commit took over %v; check the disk, and whether another process holds a lock on the file", l.file.path, l.limits.commitTimeout)
	l.watchdogSet = false
	if oldest := l.oldestLocked(); oldest != nil {
		wait := oldest.at + l.limits.commitTimeout - l.clock()
		if wait <= 0 {
			began, callbacks = l.failLocked(err)
		} else {
			l.watchdogSet = true
			time.AfterFunc(wait, l.watchdog)
		}
	}
	l.mu.Unlock()
	l.callBack(callbacks, err)
	if began {
		l.cfg.Logger.Error("the audit log is failing", "error", err)
	}
}

// oldestLocked returns the oldest row that is not settled, or nil. The caller holds mu.
func (l *Log) oldestLocked() *row {
	for _, rows := range [][]*row{l.batch, l.queue} {
		for _, r := range rows {
			if !r.commit.settled {
				return r
			}
		}
	}
	return nil
}

// failLocked sets err as the reason why the log cannot be written and fails all pending rows. It reports whether this
// begins an outage, and returns the callbacks for callBack. The caller holds mu.
func (l *Log) failLocked(err error) (began bool, callbacks []func(error)) {
	began = l.err == nil
	if began {
		l.outageSince, l.lostBefore = time.Now(), l.lost
	}
	l.err = err
	l.failures++
	for _, rows := range [][]*row{l.batch, l.queue} {
		for _, r := range rows {
			callbacks = r.commit.settleLocked(err, callbacks)
		}
	}
	return began, callbacks
}
