package pipe

import (
	"io"
	"time"
)

// Role is the side of an exchange that a request takes.
type Role string

const (
	Producer Role = "producer"
	Consumer Role = "consumer"
)

// Shape says of which kind the thing is that a Key names. A channel, a topic and a service of one name are unrelated.
type Shape int

const (
	Channel Shape = iota
	Topic
	Service
)

// String returns the word that the audit log uses.
func (s Shape) String() string { return [...]string{"channel", "topic", "service"}[s] }

// Forever is the Wait of a request that sets no limit.
const Forever time.Duration = -1

// Client identifies the sender of a request, for the audit log.
type Client struct {
	Addr      string
	Agent     string
	RequestID string // given to the request by a proxy or platform in front; "" without one
	Subject   string // of the client's token; "" without one
}

// An Arrival is what the broker needs to know about a request. The broker calls the functions with its lock
// held unless their comments say otherwise: they must return at once and must not call the broker.
type Arrival struct {
	Shape  Shape
	Key    Key
	Role   Role
	Client Client
	// Group is the value by which Limits.PerClient tells clients apart.
	Group string

	// Wait limits how long the request waits for its exchange to begin. 0: the request does not wait, and is
	// admitted only if it is part of the next pair on arrival. Forever, or any negative value: no limit.
	Wait time.Duration

	// Alive reports whether the client is still connected. The broker calls it when an exchange is about to
	// begin. The relay calls it without the lock: for the producer when it reads the end of the body, for
	// the consumer before it writes the last byte. nil: the client counts as connected.
	Alive func() bool

	// Interrupt makes a blocked Read of Body, or a blocked Write to the consumer, return an error. It is
	// called when the request must end before its body has ended, possibly more than once. nil: neither
	// blocks for long.
	Interrupt func()

	// Only a producer sets the fields below.

	// Body is what to relay. An error of its Read that wraps an Outcome ends the body with that outcome; any
	// other error means that the client has left.
	Body io.Reader
	// Length is what the client announced as the length of Body, in bytes, or -1. It is not enforced.
	Length int64
	// Head describes Body to the consumer. It must be complete, and must not change any more, once the
	// first Read of Body has returned. This package only carries it.
	Head *Head
	// ReadAhead limits how many bytes of Body are held in memory while the producer waits. The broker needs
	// one byte, so a value below 1 means 1.
	ReadAhead int
	// Probe, if not nil, is called every 4 seconds while the read-ahead buffer is full, without the lock, by the
	// goroutine in Fill. It may write to the connection to find out whether the client is still there.
	Probe func()
	// MaxProbes is how many times Probe may be called.
	MaxProbes int
}

// Head holds the headers of a producer's body that the consumer receives too. An empty field was not given.
type Head struct {
	ContentType        string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string

	// Request is the rest of the head of the producer's request, for a consumer that asks for it.
	Request RequestHead
}

// A RequestHead is the head of a producer's request.
type RequestHead struct {
	Method        string
	Query         string   // as it was sent, without credentials
	Fields        string   // the header lines as they were sent, each with its CRLF
	Authorization []string // the values of that header if they are not credentials of this server; Fields may hold others
}

func (a *Arrival) alive() bool { return a.Alive == nil || a.Alive() }
