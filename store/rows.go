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

// row is a row that was handed in and is not yet in the file. Log.mu guards the fields that change.
type row struct {
	entry  any // *Life, *LifeEnd, *numberedRequest, *Match, *ExchangeEnd, *CallEnd or a topicRow; constant once it is queued
	commit Commit

	begin  *row // of an ending: its beginning, if that was not yet in the file when the ending was handed in
	end    *row // of a beginning: its ending, if that has been handed in
	after  *row // a row that must get into the file before this one: of a Match, the opening of its channel
	first  *row // of a Life: its first Match, if the opening was still in memory then
	whole  bool // of a Life: the row of its only exchange records it too, so it gets none; set by Log.take
	needed bool // a row after this one is about to be written
	held   bool // it stays in the queue for now
	gone   bool // no longer in memory: in the file, or rejected by the database because of its content
}

// begins reports whether the row is a beginning, which is going to have an ending.
func (r *row) begins() bool {
	switch e := r.entry.(type) {
	case *Life, *Match:
		return true
	case topicRow:
		return e.begins()
	}
	return false
}

// isWholeInExchange reports whether r is a Life that needs no row, because the row of its only exchange can record it
// completely: see 0008_shorter_rows.sql. Log.mu must be held, and the rows must be in the batch.
func (r *row) isWholeInExchange() bool {
	life, ok := r.entry.(*Life)
	if !ok || r.end == nil || r.first == nil || r.first.gone || r.first.end == nil {
		return false
	}
	closed, match, end := r.end.entry.(*LifeEnd), r.first.entry.(*Match), r.first.end.entry.(*ExchangeEnd)
	// A search by time relies on the bounds; see idSlack.
	before, skew := openedBefore(life, match), match.At.UnixMilli()-idTime(match.ID)
	const bound = int64(idSlack/time.Millisecond) / 2
	return closed.Exchanges == 1 && closed.Reason == Idle && closed.Bytes == end.Bytes && closed.At.UnixMilli() == end.At.UnixMilli() &&
		match.Namespace == life.Namespace && match.Channel == life.Channel && 0 <= before && before < bound && -bound < skew && skew < bound
}

// openedBefore returns how many milliseconds before the match the channel opened.
func openedBefore(life *Life, match *Match) int64 { return match.At.UnixMilli() - life.At.UnixMilli() }

// newRow returns a row and its entry in one piece of memory.
func newRow[T any](entry T) *row {
	both := &struct {
		row   row
		entry T
	}{entry: entry}
	both.row.entry = &both.entry
	return &both.row
}

// numberedRequest is a Request with the number that is part of its id.
type numberedRequest struct {
	Request
	number int64
}

// ChannelOpened records that a channel has opened. Like the other recording methods, it does not wait for
// the disk.
func (l *Log) ChannelOpened(life Life) {
	life.Namespace, life.Channel = validUTF8(life.Namespace), validUTF8(life.Channel)
	l.add(newRow(life))
}

// ChannelClosed records that a channel has closed.
func (l *Log) ChannelClosed(end LifeEnd) {
	end.Reason = validUTF8(end.Reason)
	l.add(newRow(end))
}

// RequestUnmatched records a request that was never matched. When rows accumulate in memory, requests are the
// first to be lost.
func (l *Log) RequestUnmatched(request Request) {
	request.Namespace, request.Channel = validUTF8(request.Namespace), validUTF8(request.Channel)
	request.Role, request.Outcome, request.Reason = validUTF8(request.Role), validUTF8(request.Outcome), validUTF8(request.Reason)
	request.Client = cleanClient(request.Client)
	l.add(newRow(numberedRequest{Request: request}))
}

// ExchangeMatched records that an exchange has begun. The caller need not wait for the Commit.
func (l *Log) ExchangeMatched(match Match) *Commit {
	match.ID = validUTF8(match.ID)
	match.Namespace, match.Channel = validUTF8(match.Namespace), validUTF8(match.Channel)
	match.ContentType = CleanText(match.ContentType)
	match.Method, match.ReplyTo = CleanText(match.Method), validUTF8(match.ReplyTo)
	match.Producer, match.Consumer = cleanClient(match.Producer), cleanClient(match.Consumer)
	return l.add(newRow(match))
}

// ExchangeEnded records that an exchange has ended. The caller must wait for the Commit before it reports a
// delivery, and need not wait otherwise. An exchange ends once: the database rejects a second ending.
func (l *Log) ExchangeEnded(end ExchangeEnd) *Commit {
	end.ID, end.Outcome, end.OutcomeIfFailed = validUTF8(end.ID), validUTF8(end.Outcome), validUTF8(end.OutcomeIfFailed)
	return l.add(newRow(end))
}

// CallEnded records that a call has ended.
func (l *Log) CallEnded(end CallEnd) {
	end.ID, end.Outcome = validUTF8(end.ID), validUTF8(end.Outcome)
	l.add(newRow(end))
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

func cleanClient(c Client) Client {
	return Client{Addr: CleanText(c.Addr), Agent: CleanText(c.Agent), RequestID: CleanText(c.RequestID), Subject: CleanText(c.Subject)}
}
