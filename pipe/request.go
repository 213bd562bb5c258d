package pipe

import (
	"io"
	"time"
)

// Role is which side of an exchange a request wants to be.
type Role string

const (
	Producer Role = "producer"
	Consumer Role = "consumer"
)

// Forever is the Wait of a request that sets no limit.
const Forever time.Duration = -1

// Client is who sent a request, as far as the books are concerned.
type Client struct {
	Addr      string
	Agent     string
	RequestID string // under which whoever passed it on knows it
	Subject   string // whose token it had
}

// An Arrival is all that a broker needs to know of a request. The functions are called under the
// broker's lock unless they say otherwise: they must return at once and must not call the broker.
type Arrival struct {
	Key    Key
	Role   Role
	Client Client
	// Group is the client as Limits.PerClient counts it.
	Group string

	// Wait is how long the request waits for its exchange to begin. 0: it does not wait, and is taken
	// only if it is the next pair on arrival. Forever (or anything negative): no limit.
	Wait time.Duration

	// Alive reports whether the client is still connected. It is asked as the exchange begins and, without
	// the lock, of the producer when the end of its body is read while the exchange runs, and of the
	// consumer before the last byte is written. nil: it is.
	Alive func() bool

	// Interrupt makes a blocked Read of Body, or a blocked Write to the consumer, return with an error.
	// It is called, maybe more than once, when the request must end before its body did. nil: nothing
	// blocks for long.
	Interrupt func()

	// The rest is a producer's.

	// Body is what to relay. Its Read fails with an error that wraps an Outcome to end as that; with
	// any other, the producer has left.
	Body io.Reader
	// Length of Body as announced, or -1; a hint for memory, nothing is checked against it.
	Length int64
	// ReadAhead is how many bytes of Body, at the most, are held in memory while the producer waits; one
	// is needed, so less than 1 is 1.
	ReadAhead int
	// Probe, if not nil, is called every 4 seconds, without the lock, by the goroutine in Fill, while more
	// of Body waits outside than ReadAhead holds: a chance to find out whether the client still lives.
	Probe func()
	// MaxProbes is how often Probe is called at most.
	MaxProbes int
	// Message is whatever the consumer's side should know of the body; this package only carries it.
	Message any
}

// A Request is one that has arrived.
type Request struct {
	// Set on arrival.
	Arrival
	ArrivedAt time.Time
	broker    *Broker
	body      *body // a producer's
	// settled is closed by the broker, once, when Settled says.
	settled chan struct{}

	// Guarded by Broker.mu, and, but for the state of a running consumer, constant once settled is closed.
	state     state
	ready     bool // a producer's: first byte or end of an empty body in hand
	channel   *channel
	places    [kinds]place
	timer     *time.Timer // ends the wait; nil without a limit
	exchange  *Exchange
	outcome   Outcome
	refusedBy Limit
	goneAt    time.Time
}

// state is where a request is on its way; see the package documentation.
type state int

const (
	waiting state = iota
	running
	over
)

func (s state) String() string {
	switch s {
	case waiting:
		return "waiting"
	case running:
		return "running"
	case over:
		return "over"
	}
	panic("pipe: no such state")
}

// Fill reads ahead: the producer's body into memory, until its end, or until the exchange runs, whose
// Relay reads the rest, or the request is over. It blocks, and must be called once by every producer; the
// request gets no further without it.
func (r *Request) Fill() {
	defer r.broker.filled(r) // also if Body panics
	r.body.fill(func() { r.broker.ready(r) })
}

// Leave says that the client has hung up. A request that waits is over (Left). A consumer whose
// exchange runs ends it (ConsumerLeft), unless the last of the body is already on its way to it: then
// the writing of that decides. A producer whose exchange runs is found out by reading its body. Leave
// does not block, and may be called at any time and more than once.
func (r *Request) Leave() { r.broker.leave(r) }

// Settled returns a channel that is closed when there is news for this side: the request is over, or
// it is a consumer and its exchange has begun, which it must then Relay.
func (r *Request) Settled() <-chan struct{} { return r.settled }

// Exchange returns the exchange that the request is or was in, or nil if it is over without one.
// Call it after Settled.
func (r *Request) Exchange() *Exchange { return r.exchange }

// Outcome returns how a request ended that never was in an exchange. Call it after Settled.
func (r *Request) Outcome() Outcome { return r.outcome }

// RefusedBy returns the limit that a Refused request met. Call it after Settled.
func (r *Request) RefusedBy() Limit { return r.refusedBy }

// GoneAt returns when a request ended that never was in an exchange. Call it after Settled.
func (r *Request) GoneAt() time.Time { return r.goneAt }

// BodyRead reports whether a producer's body has been read to its end, so that its connection can
// carry another request.
func (r *Request) BodyRead() bool { return r.body.ended() == io.EOF }

func (a *Arrival) alive() bool { return a.Alive == nil || a.Alive() }

// interrupt unblocks whoever reads or writes for a request that is being ended early.
func (r *Request) interrupt() {
	if r.Interrupt != nil {
		r.Interrupt()
	}
}

// abandon stops a producer's body, and the reading of it, for the reason why.
func (r *Request) abandon(why Outcome) {
	if r.body.halt(why) {
		r.interrupt()
	}
}

// stopTimerLocked stops the clock of the wait.
func (r *Request) stopTimerLocked() {
	if r.timer != nil {
		r.timer.Stop()
	}
}
