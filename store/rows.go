package store

import (
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
