package store

import (
	"fmt"
	"slices"
	"time"
)

// The queue holds rows back for a short time, unless a caller waits for them. Most exchanges and many lives of
// channels end while their beginning is still in the queue, so that both become one row. Only a row that a caller
// waits for causes a commit at once.

// queueLocked queues the row if fewer than room rows are in memory, and otherwise counts it as lost. The caller holds mu.
func (l *Log) queueLocked(r *row, room int) (queued bool) {
	if err := l.roomLocked(room); err != nil {
		l.loseLocked(r, err)
		return false
	}
	r.commit.log = l
	r.at = l.clock()
	l.queue = append(l.queue, r)
	if l.err != nil {
		r.commit.settleLocked(l.err, nil) // no caller has the commit yet, so there is nothing to call
		return true
	}
	if !l.watchdogSet {
		l.watchdogSet = true
		time.AfterFunc(l.limits.commitTimeout, l.watchdog)
	}
	l.setLingerLocked()
	return true
}

// roomLocked returns an error if the log is closed or has that many rows in memory. The caller holds mu.
func (l *Log) roomLocked(room int) error {
	if l.closed {
		return errClosed
	}
	if n := len(l.batch) + len(l.queue); n >= room {
		return fmt.Errorf("audit log %s: %d rows are waiting to be written, and there is no room for more", l.file.path, n)
	}
	return nil
}

// loseLocked counts the row, which is not queued, as lost because of err. The caller holds mu.
func (l *Log) loseLocked(r *row, err error) {
	l.lost++
	r.commit.log = l
	r.commit.settleLocked(err, nil)
}

// canJoinLocked reports whether an ending that is handed in now can share the row and the Commit of its beginning. The writer
// must not have taken the row, and an ending that need not fail must not get the failure of an outage that is over. The caller
// holds mu.
func (l *Log) canJoinLocked(begin *row) bool {
	return !l.closed && !begin.commit.taken && begin.commit.settled == (l.err != nil)
}

// setLingerLocked sets the timer that wakes the writer when the oldest row has been in the queue for the time linger.
// It is set whenever the queue is not empty, unless the writer has been woken for that row. The caller holds mu.
func (l *Log) setLingerLocked() {
	if l.lingerSet || len(l.queue) == 0 {
		return
	}
	l.lingerSet = true
	left := l.queue[0].at + l.limits.linger - l.clock()
	if l.linger == nil {
		l.linger = time.AfterFunc(left, l.lingered)
		return
	}
	l.linger.Reset(left)
}

func (l *Log) lingered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lingerSet = false
	if len(l.queue) > 0 && l.clock() >= l.queue[0].at+l.limits.linger {
		l.wakeWriter()
	} else {
		l.setLingerLocked()
	}
}

// clock returns the time since the log was opened. It reads one clock, where time.Now reads two.
func (l *Log) clock() time.Duration { return time.Since(l.opened) }

// wakeWriter makes the writer look for pending rows.
func (l *Log) wakeWriter() {
	select {
	case l.wake <- struct{}{}:
	default: // the writer has not yet received the last signal
	}
}

// pendingLocked reports whether there are rows to write now. The caller holds mu.
func (l *Log) pendingLocked() bool {
	switch {
	case len(l.batch) > 0:
		return true
	case len(l.queue) == 0:
		return false
	}
	return l.awaited || l.flushLocked() || l.clock() >= l.queue[0].at+l.limits.linger
}

// flushLocked reports whether no row may be held back. The caller holds mu.
func (l *Log) flushLocked() bool { return l.flush || l.closed || l.err != nil }

// releaseLocked moves the queue into the batch, except for beginnings that may still be held back, and drops the lives that need no
// row. If no caller waits for this commit, it also takes the beginnings that will be due soon: otherwise a steady stream of beginnings
// would cause one commit after another, each with a row or two. The caller holds mu.
func (l *Log) releaseLocked() {
	now, flush := l.clock(), l.flushLocked()
	linger := l.limits.linger
	if !l.awaited {
		linger /= 2
	}
	for _, r := range slices.Backward(l.queue) { // so that a row is looked at after those that need it
		r.held = !flush && r.open && r.commit.then == nil && !r.needed && now < r.at+linger
		if !r.held && r.after != nil {
			r.after.needed = true
		}
	}
	kept := l.queue[:0]
	for _, r := range l.queue {
		switch {
		case r.held:
			kept = append(kept, r)
		case !r.whole:
			r.commit.taken = true
			l.batch = append(l.batch, r)
		}
	}
	clear(l.queue[len(kept):])
	l.queue = kept
	l.awaited, l.flush = false, false
	l.setLingerLocked()
}
