package store

import (
	"fmt"
	"time"
)

// An outage begins when the log cannot be written, or when nobody knows whether it can, and ends with the next commit that works.
// Whoever waits for a row hears of it at once.

// settle tells the batch that it is durable, and ends an outage if there was one.
func (l *Log) settle() {
	l.mu.Lock()
	for _, r := range l.batch {
		r.commit.settleLocked(nil)
	}
	written := len(l.batch)
	l.batch = nil
	wasOut := l.err != nil
	l.err = nil
	since, lost := l.outageSince, l.lost-l.lostBefore
	l.mu.Unlock()
	if wasOut {
		l.cfg.Logger.Info("the audit log can be written again", "file", l.file.path,
			"after", time.Since(since).Round(time.Millisecond).String(), "rows_written", written, "rows_lost", lost)
	}
}

// fail begins an outage, or goes on with it: whoever waits for a row is told at once.
func (l *Log) fail(err error) {
	err = l.file.explain("cannot be written", err)
	l.mu.Lock()
	began := l.failLocked(err)
	l.mu.Unlock()
	if began {
		l.cfg.Logger.Error("the audit log is failing", "error", err)
	}
}

// watchdog begins an outage when the oldest row that nobody has heard of has taken too long: the writer, which would know, is stuck
// in the disk. It is called by a timer that is set while there may be such a row. The outage ends with the next commit that works,
// which may be the one that is running.
func (l *Log) watchdog() {
	l.mu.Lock()
	began := false
	err := fmt.Errorf("audit log %s: a commit took over %v; look after the disk, or who holds a lock on the file", l.file.path, l.limits.commitTimeout)
	l.watchdogSet = false
	if oldest := l.oldestLocked(); oldest != nil {
		wait := time.Until(oldest.commit.deadline)
		if wait <= 0 {
			began = l.failLocked(err)
		} else {
			l.watchdogSet = true
			time.AfterFunc(wait, l.watchdog)
		}
	}
	l.mu.Unlock()
	if began {
		l.cfg.Logger.Error("the audit log is failing", "error", err)
	}
}

// oldestLocked returns the oldest row of which nobody has heard what became of it, or nil. The caller holds mu.
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

// failLocked makes err the reason why the log cannot be written and fails all that is pending. It returns true if this begins
// an outage. The caller holds mu.
func (l *Log) failLocked(err error) bool {
	began := l.err == nil
	if began {
		l.outageSince, l.lostBefore = time.Now(), l.lost
	}
	l.err = err
	l.failures++
	for _, r := range l.batch {
		r.commit.settleLocked(err)
	}
	for _, r := range l.queue {
		r.commit.settleLocked(err)
	}
	return began
}
