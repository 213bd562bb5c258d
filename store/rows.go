package store

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Life is the opening of a channel.
type Life struct {
	ID                 int64 // unique within the run, counted from 1 by the caller
	Namespace, Channel string
	At                 time.Time
}

// LifeEnd is the closing of a channel, with what happened on it.
type LifeEnd struct {
	ID               int64 // its Life
	At               time.Time
	Reason           string
	Exchanges, Bytes int64
}

// Request is a request that was never matched, and how it ended.
type Request struct {
	Namespace, Channel, Role, Outcome string
	Reason                            string // why it was refused
	Arrived, Ended                    time.Time
	Client                            Client
	Count                             int64 // how many requests the row stands for, of which it tells the last; 0 is 1
}

// Match is the beginning of an exchange.
type Match struct {
	ID                              string // a UUID of version 7 as text; ascending
	Life                            int64  // the Life.ID of its channel
	Namespace, Channel, ContentType string
	At                              time.Time
	ProducerWait, ConsumerWait      time.Duration
	Producer, Consumer              Client
}

// End is the ending of an exchange.
type ExchangeEnd struct {
	ID      string // its Match
	At      time.Time
	Outcome string
	Bytes   int64

	// OutcomeIfFailed replaces Outcome in the row if the Commit fails before the row is written. Empty: the row
	// has Outcome in any case.
	OutcomeIfFailed string
}

// Client is who was at the other end of a connection.
type Client struct {
	Addr  string
	Agent string // the User-Agent; kept up to 256 bytes, as the others are

	RequestID string // under which a platform in front knows the request; "" if there is none
	Subject   string // whose token it had; "" if it had none
}

// maxText is how many bytes are kept of a string that a client chose freely.
const maxText = 256

// row is what has been handed in and not yet settled.
type row struct {
	entry    any  // Life, LifeEnd, numberedRequest, Match or End; never changed
	rejected bool // by the database, for its content; owned by the writer
	commit   Commit
}

// numberedRequest is a Request with the number that becomes part of its id.
type numberedRequest struct {
	Request
	number int64
}

// orphan names a thing whose beginning is not in the file: an exchange by its id, or a life.
type key struct {
	exchange string
	life     int64
}

// Commit is a row on its way to the disk.
type Commit struct {
	log      *Log
	deadline time.Time // when it counts as failed; see watchdog

	// Guarded by log.mu until settled; never changed after that.
	settled bool
	err     error
	done    chan struct{} // closed when settled; made by the first who waits, since for most rows nobody does
}

// Wait blocks until the row is durable and returns nil, or until that has failed and returns why; at the latest 5 s after the row
// was handed in. During an outage it returns at once. A row whose Wait failed may still reach the disk, but an
// ending then says OutcomeIfFailed (see the package documentation).
func (c *Commit) Wait() error {
	c.log.mu.Lock()
	if !c.settled && c.done == nil {
		c.done = make(chan struct{})
	}
	settled, done := c.settled, c.done
	c.log.mu.Unlock()
	if !settled {
		<-done
	}
	return c.err
}

// settleLocked says once and for all what became of the row; the first word counts. The caller holds log.mu.
func (c *Commit) settleLocked(err error) {
	if c.settled {
		return
	}
	c.settled, c.err = true, err
	if c.done != nil {
		close(c.done)
	}
}

// ChannelOpened records that a channel came to be. Like the other four it never blocks on the disk.
func (l *Log) ChannelOpened(life Life) {
	life.Namespace, life.Channel = validUTF8(life.Namespace), validUTF8(life.Channel)
	l.add(&row{entry: life})
}

// ChannelClosed records that a channel is no more.
func (l *Log) ChannelClosed(end LifeEnd) {
	end.Reason = validUTF8(end.Reason)
	l.add(&row{entry: end})
}

// RequestGone records a request that was never matched. When rows are piling up, these are the first to be lost.
func (l *Log) RequestUnmatched(request Request) {
	request.Namespace, request.Channel = validUTF8(request.Namespace), validUTF8(request.Channel)
	request.Role, request.Outcome, request.Reason = validUTF8(request.Role), validUTF8(request.Outcome), validUTF8(request.Reason)
	request.Client = cleanClient(request.Client)
	l.add(&row{entry: numberedRequest{Request: request}})
}

// ExchangeMatched records that an exchange begins. The Commit need not be waited for.
func (l *Log) ExchangeMatched(match Match) *Commit {
	match.ID = validUTF8(match.ID)
	match.Namespace, match.Channel = validUTF8(match.Namespace), validUTF8(match.Channel)
	match.ContentType = truncateText(validUTF8(match.ContentType))
	match.Producer, match.Consumer = cleanClient(match.Producer), cleanClient(match.Consumer)
	return l.add(&row{entry: match})
}

// ExchangeEnded records how an exchange has ended. The Commit need not be waited for, except before anybody is told that
// it was delivered. An exchange ends once: a second ending is refused by the database.
func (l *Log) ExchangeEnded(end ExchangeEnd) *Commit {
	end.ID, end.Outcome, end.OutcomeIfFailed = validUTF8(end.ID), validUTF8(end.Outcome), validUTF8(end.OutcomeIfFailed)
	return l.add(&row{entry: end})
}

// add queues the row, or loses it.
func (l *Log) add(r *row) *Commit {
	r.commit.log = l
	r.commit.deadline = time.Now().Add(l.limits.commitTimeout)

	l.mu.Lock()
	err := l.admitLocked(r)
	if err != nil {
		l.lost++
		r.commit.settleLocked(err)
	} else {
		l.queue = append(l.queue, r)
		if l.err != nil {
			r.commit.settleLocked(l.err)
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
		default: // the writer has not yet seen the last one
		}
	}
	return &r.commit
}

// admitLocked returns why the row has to be lost, or nil, and keeps count of what is open. The caller holds mu.
func (l *Log) admitLocked(r *row) error {
	err := l.roomLocked(r.entry)
	switch e := r.entry.(type) {
	case Life:
		if err != nil {
			l.beginningLost[key{life: e.ID}] = true
			return err
		}
		l.openLives++
	case LifeEnd:
		if o := (key{life: e.ID}); l.beginningLost[o] {
			delete(l.beginningLost, o)
			return fmt.Errorf("audit log %s: the opening of channel life %d was lost, and so is its closing", l.file.path, e.ID)
		}
		if err == nil {
			l.openLives--
		}
	case Match:
		if err != nil {
			l.beginningLost[key{exchange: e.ID}] = true
			return err
		}
		l.running[e.ID] = true
	case ExchangeEnd:
		if o := (key{exchange: e.ID}); l.beginningLost[o] {
			delete(l.beginningLost, o)
			return fmt.Errorf("audit log %s: the beginning of exchange %s was lost, and so is its ending", l.file.path, e.ID)
		}
		if err == nil {
			delete(l.running, e.ID)
		}
	case numberedRequest:
		l.requests++
		e.number = l.requests
		r.entry = e
	}
	return err
}

// roomLocked returns an error if the log is closed or there are too many rows in memory. A flood of refused requests must not
// crowd out the exchanges, so requests may have only half of the room. The caller holds mu.
func (l *Log) roomLocked(entry any) error {
	if l.closed {
		return errClosed
	}
	room := l.limits.maxRows
	if _, ok := entry.(numberedRequest); ok {
		room /= 2
	}
	if len(l.batch)+len(l.queue) >= room {
		return fmt.Errorf("audit log %s: %d rows wait to be written and there is no room for more", l.file.path, len(l.batch)+len(l.queue))
	}
	return nil
}

// clean returns s as valid UTF-8.
func validUTF8(s string) string {
	return strings.ToValidUTF8(s, "\uFFFD")
}

// cut returns the first maxText bytes of s, which is valid UTF-8, without half a character at the end.
func truncateText(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n]) // a copy, so that the rest need not be kept in memory
}

func cleanClient(c Client) Client {
	return Client{Addr: truncateText(validUTF8(c.Addr)), Agent: truncateText(validUTF8(c.Agent)), RequestID: truncateText(validUTF8(c.RequestID)), Subject: truncateText(validUTF8(c.Subject))}
}
