package pipe

import (
	"io"
	"time"
)

// Role is the side of an exchange that a request takes.
type Role int8

const (
	NoRole Role = iota // the request neither produces nor consumes
	Producer
	Consumer
)

// String returns the word that the audit log uses.
func (r Role) String() string { return [...]string{"", "producer", "consumer"}[r] }

// Shape says what a Key names: a channel, a topic or a service. Those of the same name are unrelated.
type Shape int8

const (
	Channel Shape = iota
	Topic
	Service
)

// String returns the word that the audit log uses.
func (s Shape) String() string { return [...]string{"channel", "topic", "service"}[s] }

// Forever is the Wait of a request that sets no limit.
const Forever time.Duration = -1

// Client identifies the sender of a request, for the audit log. Identified sets what RequestID and Subject return; each waiting
// request keeps a Client in memory, and most have neither.
type Client struct {
	Addr  string
	Agent string

	ids *clientIDs // nil if both are empty
}

// clientIDs is the part of a Client that is empty for many.
type clientIDs struct{ requestID, subject string }

// Identified returns a copy of c with this request id and this subject.
func (c Client) Identified(requestID, subject string) Client {
	c.ids = nil
	if requestID != "" || subject != "" {
		c.ids = &clientIDs{requestID, subject}
	}
	return c
}

// RequestID returns the id that a proxy or platform in front has given to the request; "" without one.
func (c *Client) RequestID() string {
	if c.ids == nil {
		return ""
	}
	return c.ids.requestID
}

// Subject returns the name in the client's token; "" without one.
func (c *Client) Subject() string {
	if c.ids == nil {
		return ""
	}
	return c.ids.subject
}

// An Arrival describes a request to the broker. Very many requests may wait, so its fields are in an order that wastes no
// memory.
type Arrival struct {
	Key    Key
	Client Client
	// Group is the value by which Limits.PerClient tells clients apart.
	Group string

	// Wait limits how long the request waits for its exchange to begin. 0: the request does not wait, and is
	// admitted only if it is part of the next pair on arrival. Forever, or any negative value: no limit.
	Wait time.Duration

	// Sink is the connection of a consumer, or of a caller, which gets its answer there.
	Sink Sink

	Role  Role
	Shape Shape // of what Key names

	// Only a producer sets the fields below.

	// InHand says that Source.Read does not block: the whole body is in memory. Arrive reads it.
	InHand bool
	// ReadAhead limits how many bytes of the body are held in memory while the producer waits. The broker needs
	// one byte, so a value below 1 means 1.
	ReadAhead int32
	// Source is the connection of a producer, and its body.
	Source Source
	// Length is what the client announced as the length of the body, in bytes, or -1. It is not enforced.
	Length int64
	// Head describes the body to the consumer. It must be complete, and must not change any more, once the
	// first Read of Source has returned. This package only carries it.
	Head *Head
}

// Head holds the headers of a producer's body that the consumer receives too. An empty field was not given. Each producer
// that waits keeps one in memory.
type Head struct {
	ContentType string

	// Request is the rest of the head of the producer's request, for a consumer that asks for it.
	Request RequestHead

	rare *RareHead // nil if it would be empty
}

// A RareHead is the part of a Head that is empty for most messages.
type RareHead struct {
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string

	// LengthAtMost is a bound for a length that the client did not announce, or 0. The body of a form is a little longer
	// than the file in it.
	LengthAtMost int64

	// For a consumer that asks for the producer's request.
	Target        string   // of a call: the path below the service and the query, without credentials
	Authorization []string // the values of that header if they are not credentials of this server; RequestHead.Fields may hold others

	// Answer is what an answer says about the caller's response; nil for any other body.
	Answer *AnswerHead
}

// Rare returns the part of h, which may be nil, that is empty for most messages. It must not be changed: SetRare does that.
func (h *Head) Rare() *RareHead {
	if h == nil || h.rare == nil {
		return &noRare
	}
	return h.rare
}

var noRare RareHead // constant

// SetRare sets what Rare returns, to a copy of r.
func (h *Head) SetRare(r *RareHead) {
	h.rare = nil
	if r.ContentDisposition != "" || r.ContentEncoding != "" || r.ContentLanguage != "" ||
		r.LengthAtMost != 0 || r.Target != "" || r.Authorization != nil || r.Answer != nil {
		kept := *r // if h kept r itself, each caller would allocate it, also for nothing
		h.rare = &kept
	}
}

// An AnswerHead is the rest of the head of the response to a caller.
type AnswerHead struct {
	Status int
	Fields []Field
}

// A Field is a header field.
type Field struct{ Name, Value string }

// A RequestHead is the head of a producer's request.
type RequestHead struct {
	Method string
	Query  string // as it was sent, without credentials; "" of a call
	Fields string // the header lines as they were sent, each with its CRLF
}

// A Peer is a client's connection, as both roles have one. Its methods must return at once and must not call the broker,
// which may hold its lock.
type Peer interface {
	// Alive reports whether the client is still connected. Only the goroutine in Relay calls it, without the lock: for the
	// producer when it reads the end of the body, for the consumer before it writes the last byte.
	Alive() bool

	// Wake makes the goroutine that serves the request look at it again, with Begun and Unmatched. It is called when
	// the request has ended unmatched, and for a producer also when its exchange has begun or is cut. If that goroutine
	// is in Read or Pause of a Source, see there. Wake is not called for what happens in a call of that goroutine:
	// it looks at the request anyway after Arrive and Fill.
	Wake()
}

// A Source is a producer's connection. Read and Pause are called by one goroutine at a time, without the broker's lock.
type Source interface {
	Peer
	// BothAlive reports whether the clients of both sides are still connected, so that one system call can answer for both.
	// The broker calls it with its lock held, when an exchange is about to begin. It must return at once.
	BothAlive(Sink) (source, sink bool)
	// Read returns the body. An error that wraps an Outcome ends the body with that outcome; any other error but io.EOF
	// means that the client has left. After Wake, a Read that blocks, or is about to, must call Request.CatchUp, and
	// end with its error if it returns one.
	io.Reader
	// Pause is called while the read-ahead buffer is full. It blocks until Wake is called, and then calls
	// Request.CatchUp. It may return earlier, which costs no more than another call.
	Pause()
	// Answer is called by Exchange.Settle.
	Answer(x *Exchange, o Outcome, cause error)
}

// A Splicer is a Source that can send bytes of its body to some sinks without a copy through the memory of this process.
// The goroutine in Relay calls it instead of Read, when it has written all that was read.
type Splicer interface {
	Source
	// Available blocks until there are bytes that Splice can send, and returns how many, or 0 if Read must be called: for
	// a sink that Splice cannot send to, after Wake, and for the last bytes and the end of the body, or its failure.
	Available(Sink) int64
	// Splice sends n bytes that are available, and returns how many it has sent. It blocks as Sink.Write does. The error
	// is the sink's; Splice may also stop early without one, if the next Read shows why.
	Splice(to Sink, n int64) (int64, error)
}

// A Sink is a consumer's connection. Begin and Write are called by the goroutine in Relay.
type Sink interface {
	Peer
	// Begin is called once, when the first byte is about to be written.
	Begin(*Exchange)
	// Write sends p, and after it, if last is true, the end of the response. It may block until the consumer accepts
	// the data. p may be empty. n is how many bytes of p were sent; if that is all, only p counts, not the end of the
	// response.
	Write(p []byte, last bool) (n int, err error)
	// Interrupt makes a Write that blocks, and all later ones, return an error. The broker calls it with its lock held.
	Interrupt()
}
