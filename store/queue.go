package store

import (
	"fmt"
	"time"
)

// key identifies an exchange, a publication or a subscription by its id, a life by its number, or a call by the id of its request.
type key struct {
	exchange string
	life     int64
	call     string
}

// add queues the row, or counts it as lost.
func (l *Log) add(r *row) *Commit {
	r.commit.log = l
	r.commit.deadline = time.Now().Add(l.limits.commitTimeout)

	l.mu.Lock()
	err := l.admitLocked(r)
	if err != nil {
		l.lost++
		r.commit.settleLocked(err, nil) // nobody has the commit yet, so there is nothing to call
	} else {
		l.queue = append(l.queue, r)
		if l.err != nil {
			r.commit.settleLocked(l.err, nil)
		} else if !l.watchdogSet {
			l.watchdogSet = true
			time.AfterFunc(l.limits.commitTimeout, l.watchdog)
		}
	}
	first := err == nil && len(l.queue) == 1
	l.mu.Unlock()

	if first {
		select {
		case l.wake <- struct{}{}:
		default: // the writer has not yet received the last signal
		}
	}
	return &r.commit
}

// admitLocked returns nil if the row can be queued, and otherwise why it is lost. It keeps track of what is
// open. The caller holds mu.
func (l *Log) admitLocked(r *row) error {
	err := l.roomLocked(r.entry)
	switch e := r.entry.(type) {
	case *Life:
		if err != nil {
			l.beginningLost[key{life: e.ID}] = true
			return err
		}
		l.openLives++
	case *LifeEnd:
		if k := (key{life: e.ID}); l.beginningLost[k] {
			delete(l.beginningLost, k)
			return fmt.Errorf("audit log %s: the opening of channel life %d was lost, so its closing is lost too", l.file.path, e.ID)
		}
		if err == nil {
			l.openLives--
		}
	case *Match:
		if err != nil {
			l.beginningLost[key{exchange: e.ID}] = true
			if e.Method != "" {
				l.beginningLost[key{call: e.ID}] = true
			}
			return err
		}
		l.running[e.ID] = true
		if e.Method != "" {
			l.openCalls++
		}
	case *ExchangeEnd:
		if k := (key{exchange: e.ID}); l.beginningLost[k] {
			delete(l.beginningLost, k)
			return fmt.Errorf("audit log %s: the beginning of exchange %s was lost, so its ending is lost too", l.file.path, e.ID)
		}
		if err == nil {
			delete(l.running, e.ID)
		}
	case topicRow:
		k := key{exchange: e.id()}
		switch {
		case e.begins() && err != nil:
			l.beginningLost[k] = true
		case e.begins():
			l.openTopicRows++
		case l.beginningLost[k]:
			delete(l.beginningLost, k)
			return fmt.Errorf("audit log %s: the beginning of %s was lost, so its ending is lost too", l.file.path, e.id())
		case err == nil:
			l.openTopicRows--
		}
	case *CallEnd:
		if k := (key{call: e.ID}); l.beginningLost[k] {
			delete(l.beginningLost, k)
			return fmt.Errorf("audit log %s: the beginning of call %s was lost, so its ending is lost too", l.file.path, e.ID)
		}
		if err == nil {
			l.openCalls--
		}
	case *numberedRequest:
		l.requests++
		e.number = l.requests
	}
	return err
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
