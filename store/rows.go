package store

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Life is the opening of a channel. See package pipe for the life of a channel.
type Life struct {
	ID                 int64 // unique in the run; the caller counts from 1
	Namespace, Channel string
	At                 time.Time
}

// LifeEnd is the closing of a channel.
type LifeEnd struct {
	ID               int64 // the ID of its Life
	At               time.Time
	Reason           string // why the channel closed: Idle, or another word of the caller's
	Exchanges, Bytes int64
}

// Request is a request that ended without being matched.
type Request struct {
	Namespace, Channel, Role, Outcome string
	Reason                            string // why it was refused
	Shape                             string // of what it was sent to: channel, topic or service; "" means channel
	Arrived, Ended                    time.Time
	Client                            Client
	Count                             int64 // how many requests the row stands for; it describes the last one; 0 means 1
}

// Match is the beginning of an exchange.
type Match struct {
	ID                              string // a version 7 UUID as text; ascending
	Life                            int64  // the ID of the channel's Life
	Namespace, Channel, ContentType string
	At                              time.Time
	ProducerWait, ConsumerWait      time.Duration
	Producer, Consumer              Client

	Method  string // of a request to a service; "" for any other exchange
	ReplyTo string // the ID of the request that this answers; "" for any other exchange
}

// ExchangeEnd is the ending of an exchange.
type ExchangeEnd struct {
	ID      string // the ID of its Match
	At      time.Time
	Outcome string
	Bytes   int64

	// OutcomeIfFailed replaces Outcome in the row if the Commit fails before the row is written. If it is empty,
	// Outcome is written in any case.
	OutcomeIfFailed string
}

// CallEnd is the ending of a call, which began with its request, a Match with a Method.
type CallEnd struct {
	ID         string // the ID of that Match
	At         time.Time
	Outcome    string
	Status     int       // of the answer; 0 if none began
	AnsweredAt time.Time // when the answer began
}

// Client is the client at the other end of a connection. Each field is cut off after 256 bytes.
type Client struct {
	Addr  string
	Agent string // the User-Agent

	RequestID string // the id that a proxy in front gave the request; may be empty
	Subject   string // the name of its token; may be empty
}

// maxText is how many bytes are stored of a text that a client chooses.
const maxText = 256

// numberedRequest is a Request with the number that is part of its id.
type numberedRequest struct {
	Request
	number int64
}

// ChannelOpened records that a channel has opened. Like the other recording methods, it does not wait for
// the disk.
func (l *Log) ChannelOpened(life Life) {
	r := l.lives.newBeginning(life.ID, &life)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lives.beginLocked(l, r)
}

// ChannelClosed records that a channel has closed.
func (l *Log) ChannelClosed(end LifeEnd) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if life := l.lives.endLocked(l, end.ID, &end); isWholeInExchange(life) {
		life.whole = true
	}
}

// RequestUnmatched records a request that was never matched. When rows accumulate in memory, requests are the
// first to be lost.
func (l *Log) RequestUnmatched(request Request) {
	request.Client.bound()
	r, entry := newRow(numberedRequest{Request: request})
	l.mu.Lock()
	defer l.mu.Unlock()
	// Requests may fill only half of the room, so that a flood of refused ones does not displace exchanges.
	if l.queueLocked(r, l.limits.maxRows/2) {
		l.requests++
		entry.number = l.requests
	}
}

// ExchangeMatched records that an exchange has begun, and keeps a copy of match. The caller need not wait for the Commit.
func (l *Log) ExchangeMatched(match *Match) *Commit {
	r := l.exchanges.newBeginning(match.ID, match)
	r.begin.ContentType, r.begin.Method = bounded(match.ContentType), bounded(match.Method)
	r.begin.Producer.bound()
	r.begin.Consumer.bound()
	l.mu.Lock()
	defer l.mu.Unlock()
	queued := l.exchanges.beginLocked(l, r)
	switch {
	case match.Method == "":
	case queued:
		l.openCalls++
	default:
		l.lostCalls[match.ID] = true
	}
	if life := l.lives.begun[match.Life]; queued && life != nil {
		r.after = &life.row
		if life.first == nil && !life.commit.taken {
			life.first = r
		}
	}
	return &r.commit
}

// ExchangeEnded records that an exchange has ended. The caller must wait for the Commit before it reports a
// delivery, and need not wait otherwise. An exchange ends once: the database rejects a second ending.
func (l *Log) ExchangeEnded(end ExchangeEnd) *Commit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &l.exchanges.endLocked(l, end.ID, &end).commit
}

// CallEnded records that a call has ended.
func (l *Log) CallEnded(end CallEnd) {
	r, _ := newRow(end)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lostCalls[end.ID] {
		delete(l.lostCalls, end.ID)
		l.loseLocked(r, l.lostBeginning(end.ID))
		return
	}
	if l.queueLocked(r, l.limits.maxRows) {
		l.openCalls--
		if request := l.exchanges.begun[end.ID]; request != nil {
			r.after = &request.row
		}
	}
}

// bounded returns the part of s that may be stored, so that a long text of a client is not kept in memory.
func bounded(s string) string {
	if len(s) <= maxText {
		return s
	}
	return CleanText(s)
}

// bound shortens the texts of c to what may be stored.
func (c *Client) bound() {
	c.Addr, c.Agent, c.RequestID, c.Subject = bounded(c.Addr), bounded(c.Agent), bounded(c.RequestID), bounded(c.Subject)
}

// validUTF8 replaces invalid UTF-8 in s.
func validUTF8(s string) string {
	if utf8.ValidString(s) { // several times as fast
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// CleanText returns a text that a client chose as the log keeps it: as valid UTF-8, and the first maxText bytes of it,
// without an incomplete character at the end.
func CleanText(s string) string {
	s = validUTF8(s)
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n]) // a copy, so that the rest of s can be freed
}
