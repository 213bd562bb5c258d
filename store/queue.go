package store

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// The queue holds rows back for a short time, unless a caller waits for them. Most exchanges and many lives of
// channels end while their beginning is still in the queue, so that both become one row. Only a row that a caller
// waits for causes a commit at once.

// add queues the row, or counts it as lost.
func (l *Log) add(r *row) *Commit {
	r.commit.log = l
	r.commit.deadline = time.Now().Add(l.limits.commitTimeout)

	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.admitLocked(r); err != nil {
		l.lost++
		r.commit.settleLocked(err, nil) // no caller has the commit yet, so there is nothing to call
		return &r.commit
	}
	l.queue = append(l.queue, r)
	if l.err != nil {
		r.commit.settleLocked(l.err, nil)
		return &r.commit
	}
	if !l.watchdogSet {
		l.watchdogSet = true
		time.AfterFunc(l.limits.commitTimeout, l.watchdog)
	}
	l.setLingerLocked()
	return &r.commit
}

// admitLocked returns nil if the row can be queued, and otherwise why it is lost. It keeps track of what is
// open, and links a beginning and its ending. The caller holds mu.
func (l *Log) admitLocked(r *row) error {
	err := l.roomLocked(r.entry)
	switch e := r.entry.(type) {
	case *Life:
		if err != nil {
			l.beginningLost[key{life: e.ID}] = true
			return err
		}
		l.lives[e.ID] = r
	case *LifeEnd:
		if lost := l.lostBeginningLocked("channel life", key{life: e.ID}); lost != nil {
			return lost
		}
		if err == nil {
			r.follow(l.lives[e.ID])
			delete(l.lives, e.ID)
		}
	case *Match:
		if err != nil {
			l.beginningLost[key{exchange: e.ID}] = true
			if e.Method != "" {
				l.beginningLost[key{call: e.ID}] = true
			}
			return err
		}
		l.running[e.ID] = r
		if r.after = l.lives[e.Life]; r.after != nil && r.after.first == nil {
			r.after.first = r
		}
		if e.Method != "" {
			l.openCalls++
		}
	case *ExchangeEnd:
		if lost := l.lostBeginningLocked("exchange", key{exchange: e.ID}); lost != nil {
			return lost
		}
		if err == nil {
			r.follow(l.running[e.ID])
			delete(l.running, e.ID)
		}
	case topicRow:
		return l.admitTopicLocked(r, e, err)
	case *CallEnd:
		if lost := l.lostBeginningLocked("call", key{call: e.ID}); lost != nil {
			return lost
		}
		if err == nil {
			r.after = l.running[e.ID]
			l.openCalls--
		}
	case *numberedRequest:
		l.requests++
		e.number = l.requests
	}
	return err
}

// admitTopicLocked is admitLocked for a row about a topic. err is the result of roomLocked. The caller holds mu.
func (l *Log) admitTopicLocked(r *row, e topicRow, err error) error {
	k := key{exchange: e.id()}
	if e.begins() {
		if err != nil {
			l.beginningLost[k] = true
		} else {
			l.onTopics[e.id()] = r
		}
		return err
	}
	if lost := l.lostBeginningLocked("publication or subscription", k); lost != nil {
		return lost
	}
	if err == nil {
		r.follow(l.onTopics[e.id()])
		delete(l.onTopics, e.id())
	}
	return err
}

// lostBeginningLocked returns nil, or that the ending of k is lost because its beginning was. It returns that once. what is the
// kind of thing that k identifies. The caller holds mu.
func (l *Log) lostBeginningLocked(what string, k key) error {
	if !l.beginningLost[k] {
		return nil
	}
	delete(l.beginningLost, k)
	return fmt.Errorf("audit log %s: the beginning of %s %s was lost, so its ending is lost too", l.file.path, what, k)
}

// A key identifies an exchange, a publication or a subscription by its id, a life by its number, or a call by the id of its
// request.
type key struct {
	exchange string
	life     int64
	call     string
}

func (k key) String() string {
	return cmp.Or(k.exchange, k.call, strconv.FormatInt(k.life, 10))
}

// follow links an ending to its beginning, or does nothing if that is nil.
func (r *row) follow(begin *row) {
	if begin != nil {
		r.begin, begin.end = begin, r
	}
}

// roomLocked returns an error if the log is closed or too many rows are in memory. Requests may fill only half
// of the room, so that a flood of refused requests does not displace exchanges. The caller holds mu.
func (l *Log) roomLocked(entry any) error {
	if l.closed {
		return errClosed
	}
	room := l.limits.maxRows
	if _, ok := entry.(*numberedRequest); ok {
		room /= 2
	}
	if len(l.batch)+len(l.queue) >= room {
		return fmt.Errorf("audit log %s: %d rows are waiting to be written, and there is no room for more", l.file.path, len(l.batch)+len(l.queue))
	}
	return nil
}

// setLingerLocked sets the timer that wakes the writer when the oldest row has been in the queue for the time linger.
// It is set whenever the queue is not empty, unless the writer has been woken for that row. The caller holds mu.
func (l *Log) setLingerLocked() {
	if l.lingerSet || len(l.queue) == 0 {
		return
	}
	l.lingerSet = true
	left := l.limits.linger - l.ageLocked(l.queue[0], time.Now())
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
	if len(l.queue) > 0 && l.ageLocked(l.queue[0], time.Now()) >= l.limits.linger {
		l.wakeWriter()
	} else {
		l.setLingerLocked()
	}
}

// ageLocked returns the time since the row was handed in. The caller holds mu.
func (l *Log) ageLocked(r *row, now time.Time) time.Duration {
	return l.limits.commitTimeout - r.commit.deadline.Sub(now)
}

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
	return l.awaited || l.flushLocked() || l.ageLocked(l.queue[0], time.Now()) >= l.limits.linger
}

// flushLocked reports whether no row may be held back. The caller holds mu.
func (l *Log) flushLocked() bool { return l.flush || l.closed || l.err != nil }

// releaseLocked moves the queue into the batch, except for beginnings that may still be held back. If no caller waits for this
// commit, it also takes the beginnings that will be due soon: otherwise a steady stream of beginnings would cause one commit after
// another, each with a row or two. The caller holds mu.
func (l *Log) releaseLocked() {
	now, flush := time.Now(), l.flushLocked()
	linger := l.limits.linger
	if !l.awaited {
		linger /= 2
	}
	for _, r := range slices.Backward(l.queue) { // so that a row is looked at after those that need it
		r.held = !flush && r.begins() && r.end == nil && r.commit.then == nil && !r.needed && l.ageLocked(r, now) < linger
		if !r.held && r.after != nil {
			r.after.needed = true
		}
	}
	kept := l.queue[:0]
	for _, r := range l.queue {
		if r.held {
			kept = append(kept, r)
		} else {
			r.commit.taken = true
			l.batch = append(l.batch, r)
		}
	}
	clear(l.queue[len(kept):])
	l.queue = kept
	l.awaited, l.flush = false, false
	l.setLingerLocked()
}
