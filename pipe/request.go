package pipe

import (
	"io"
	"time"
)

// A Request is an Arrival that has been given to Broker.Arrive.
type Request struct {
	// Set on arrival.
	Arrival
	ArrivedAt time.Time
	broker    *Broker
	body      *body // nil for a consumer
	// wake is closed once, by the broker: for a consumer when its exchange begins, for a producer when its
	// exchange ends, for both when the request ends unmatched.
	wake chan struct{}

	// Guarded by Broker.mu. Constant once wake is closed, except for the state of a running consumer.
	state     state
	ready     bool // the first byte, or the end of an empty body, has been read; false for a consumer
	channel   *channel
	places    [queueKinds]place
	timer     *time.Timer // limits the wait; nil without a limit
	exchange  *Exchange   // nil until it begins
	call      *Call       // that this is the Reply of; nil for any other
	outcome   Outcome     // of a request that ended unmatched
	refusedBy Limit
	endedAt   time.Time // of a request that ended unmatched
}

// state is the state of a request; the package documentation has a diagram.
type state int

const (
	waiting state = iota
	running
	ended
)

func (s state) String() string {
	switch s {
	case waiting:
		return "waiting"
	case running:
		return "running"
	case ended:
		return "ended"
	}
	panic("pipe: no such state")
}

// Fill reads a producer's body into memory. It blocks until the body has ended, the exchange has begun (Relay
// reads the rest), or the request has ended. The caller must call it once for every producer: without it the
// exchange cannot begin.
func (r *Request) Fill() {
	defer r.broker.bodyRead(r) // even if Body panics
	r.body.fill(func() { r.broker.ready(r) })
}

// AwaitMatch blocks until a consumer's exchange has begun and returns it; the caller must then Relay it. It
// returns nil if the request has ended unmatched.
func (r *Request) AwaitMatch() *Exchange {
	<-r.wake
	return r.exchange
}

// AwaitEnd blocks until a producer's request has ended, unmatched or with its exchange, and after a delivery
// until the record is safe. It returns the outcome to tell the producer and, if that is Unrecorded, why there
// is no record. Call it once, after Fill.
func (r *Request) AwaitEnd() (Outcome, error) {
	<-r.wake
	if r.exchange == nil {
		return r.outcome, nil
	}
	return r.exchange.awaitRecord()
}

// AwaitCall blocks until a caller's request has ended and returns its call, or nil if it ended unmatched, and the outcome.
func (r *Request) AwaitCall() (*Call, Outcome) {
	<-r.wake
	if r.exchange == nil {
		return nil, r.outcome
	}
	return r.exchange.Call, r.exchange.Outcome
}

// Leave tells the broker that the client has hung up. A waiting request ends (Left). A running consumer's
// exchange is cut (ConsumerLeft), unless Relay has already been handed the end of the body: then the last
// write decides. A running producer is left alone: reading its body shows that it has gone. Leave does not
// block. It may be called at any time and more than once.
func (r *Request) Leave() { r.broker.leave(r) }

// Exchange returns the exchange that the request is or was in, or nil if it ended unmatched. Call it after
// AwaitMatch or AwaitEnd, as the three methods below.
func (r *Request) Exchange() *Exchange { return r.exchange }

// Outcome returns how the request ended, if it ended unmatched.
func (r *Request) Outcome() Outcome { return r.outcome }

// RefusedBy returns the limit that a Refused request exceeded, or NoLimit.
func (r *Request) RefusedBy() Limit { return r.refusedBy }

// EndedAt returns when the request ended, if it ended unmatched.
func (r *Request) EndedAt() time.Time { return r.endedAt }

// BodyRead reports whether a producer's body has been read to its end, so that the connection can carry
// another request.
func (r *Request) BodyRead() bool { return r.body.ended() == io.EOF }

// interrupt unblocks the goroutine that reads or writes for a request that must end early.
func (r *Request) interrupt() {
	if r.Interrupt != nil {
		r.Interrupt()
	}
}

// stopBody discards the rest of a producer's body, which ends with why, and unblocks its reader.
func (r *Request) stopBody(why Outcome) {
	if r.body.halt(why) {
		r.interrupt()
	}
}

// stopTimerLocked ends the limit of the wait.
func (r *Request) stopTimerLocked() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

// What follows happens to a request between its arrival and its match.

// ready notes that the first byte of r's body, or the end of an empty one, has been read.
func (b *Broker) ready(r *Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.ready = true
	if r.state == waiting {
		r.channel.advanceLocked()
	}
}

// bodyRead notes that Fill has returned. If the body has failed, a waiting request ends. If the exchange runs,
// the relay finds out by itself.
func (b *Broker) bodyRead(r *Request) {
	if err := r.body.ended(); err != io.EOF {
		b.endWait(r, bodyOutcome(err, Left))
	}
}

// endWait ends r with o if it still waits.
func (b *Broker) endWait(r *Request, o Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.state == waiting {
		r.channel.dismissLocked(r, o)
		r.channel.advanceLocked()
	}
}

// leave implements Request.Leave.
func (b *Broker) leave(r *Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaveLocked(r)
}

func (b *Broker) leaveLocked(r *Request) {
	switch {
	case r.state == waiting:
		r.channel.dismissLocked(r, Left)
		r.channel.advanceLocked()
	case r.exchange != nil && r.exchange.Call != nil && r.Role == Producer:
		r.exchange.Call.leaveLocked()
	case r.state == running && r.Role == Consumer && !r.exchange.Producer.body.handedOut():
		r.exchange.cutLocked(ConsumerLeft)
	}
}

// endUnmatchedLocked ends r, which is in no queue and was never in an exchange.
func (b *Broker) endUnmatchedLocked(r *Request, o Outcome) {
	r.state, r.outcome, r.endedAt = ended, o, time.Now()
	r.stopTimerLocked()
	if r.Role == Producer {
		r.stopBody(o)
	}
	if r.call == nil {
		b.recorder.RequestUnmatched(r)
		close(r.wake)
		return
	}
	if o == TimedOut {
		r.outcome = Unanswered
	}
	close(r.wake)
	r.call.endLocked(r.outcome)
}
