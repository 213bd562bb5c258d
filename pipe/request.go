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

	// Guarded by Broker.mu. Those that are set at the end of the request are constant from then on.
	state    state
	reason   Reason
	ready    bool // the first byte, or the end of an empty body, has been read; false for a consumer
	whole    bool // the whole body is in memory, and the producer's goroutine has left it to others; false for a consumer
	begun    bool // the owner of the body knows that the exchange has begun; owned as the body is
	channel  *channel
	places   [queueKinds]place
	timer    *time.Timer   // limits the wait; nil without a limit
	exchange *Exchange     // nil until it begins
	call     *Call         // that this is the Reply of; nil for any other
	outcome  Outcome       // of a request that ended unmatched
	waited   time.Duration // of a request that ended unmatched
}

// state is the state of a request; the package documentation has a diagram.
type state int8

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

// Fill reads a producer's body into memory. It blocks until the body has ended, the exchange has begun, or the request
// has ended. The producer's goroutine must call it once after Arrive: without it the exchange cannot begin.
func (r *Request) Fill() {
	if r.whole { // only this goroutine sets it
		return
	}
	b, returned := r.body, false
	defer func() {
		if !returned {
			b.end = ProducerLeft // Source has panicked
		}
		r.broker.bodyRead(r)
	}()
	for more := true; more; {
		first := len(b.buffer) == 0
		more = b.readAhead()
		if more && first && len(b.buffer) > 0 {
			r.begun = r.broker.ready(r)
		}
	}
	returned = true
}

// CatchUp is called by Read and Pause of a Source: see there. If the exchange has begun, it writes to the consumer what
// has been read so far, so that no byte waits for the next one. It returns an error if nothing more need be read.
func (r *Request) CatchUp() error {
	if why := r.body.stop.Load(); why != nil {
		return *why
	}
	x := r.Begun()
	if x == nil {
		return nil
	}
	r.begun = true
	return x.writeAhead()
}

// Begun returns the exchange that the calling goroutine, which serves r, has to carry out: it must call Relay and then
// Settle. It returns nil if there is none: r still waits, has ended, or another goroutine carries its exchange out.
func (r *Request) Begun() *Exchange {
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	if r.state == running && r.exchange.carrier == r {
		return r.exchange
	}
	return nil
}

// Unmatched reports whether r has ended without an exchange. Then Outcome says how.
func (r *Request) Unmatched() bool {
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	return r.state == ended && r.exchange == nil
}

// Call returns the call of a caller's request, or nil before the request has begun and if it ended unmatched.
func (r *Request) Call() *Call {
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	if r.exchange == nil {
		return nil
	}
	return r.exchange.Call
}

// Leave tells the broker that the client has hung up. A waiting request ends (Left). A running consumer's
// exchange is cut (ConsumerLeft), unless Relay has already been handed the end of the body: then the last
// write decides. A running producer is left alone: reading its body shows that it has gone. Leave does not
// block. It may be called at any time and more than once.
func (r *Request) Leave() {
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	r.leaveLocked()
}

// Outcome returns how the request ended, if it ended unmatched. Call it, as the methods below, when the request has ended.
func (r *Request) Outcome() Outcome { return r.outcome }

// Reason returns why the request ended as it did, or NoReason.
func (r *Request) Reason() Reason { return r.reason }

// EndedAt returns when the request ended, if it ended unmatched.
func (r *Request) EndedAt() time.Time { return r.ArrivedAt.Add(r.waited) }

// BodyRead reports whether a producer's body has been read to its end, so that the connection can carry another
// request.
func (r *Request) BodyRead() bool { return r.body.end == io.EOF }

// peer returns the connection of the client.
func (r *Request) peer() Peer {
	if r.Role == Producer {
		return r.Source
	}
	return r.Sink
}

// wakeLocked wakes the goroutine that serves r, unless that is the one that holds the lock.
func (r *Request) wakeLocked() {
	if r != r.broker.current {
		r.peer().Wake()
	}
}

// stopTimerLocked ends the limit of the wait.
func (r *Request) stopTimerLocked() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

// What follows happens to a request between its arrival and its match.

// ready notes that the first byte of r's body has been read. It reports whether the exchange has begun.
func (b *Broker) ready(r *Request) (begun bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.ready = true
	if r.state == waiting {
		b.current = r
		r.channel.advanceLocked()
		b.current = nil
	}
	return r.state == running
}

// bodyRead notes that Fill has returned. If the body is whole, any goroutine may carry the exchange out. If the body has
// failed, a waiting request ends. If the exchange runs, the relay finds out by itself.
func (b *Broker) bodyRead(r *Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.state != waiting {
		return
	}
	b.current = r
	defer func() { b.current = nil }()
	if r.body.end != io.EOF {
		r.channel.dismissLocked(r, bodyOutcome(r.body.end, Left))
	} else {
		r.ready, r.whole = true, true
	}
	r.channel.advanceLocked()
}

// timedOut ends r if it still waits.
func (r *Request) timedOut() {
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	if r.state == waiting {
		r.channel.dismissLocked(r, TimedOut)
		r.channel.advanceLocked()
	}
}

func (r *Request) leaveLocked() {
	switch {
	case r.state == waiting:
		r.channel.dismissLocked(r, Left)
		r.channel.advanceLocked()
	case r.exchange != nil && r.exchange.Call != nil && r.Role == Producer:
		r.exchange.Call.leaveLocked()
	case r.state == running && r.Role == Consumer && !r.exchange.Producer.body.handedOut.Load():
		r.exchange.cutLocked(ConsumerLeft)
	}
}

// endUnmatchedLocked ends r, which is in no queue and was never in an exchange.
func (b *Broker) endUnmatchedLocked(r *Request, o Outcome) {
	r.state, r.outcome, r.waited = ended, o, time.Since(r.ArrivedAt)
	if b.movedLocked(o) {
		r.reason = NotServed
	}
	r.stopTimerLocked()
	if r.Role == Producer {
		r.body.halt(o)
	}
	if r.call == nil {
		b.recorder.RequestUnmatched(r)
		r.wakeLocked()
		return
	}
	if o == TimedOut {
		r.outcome = Unanswered
	}
	r.wakeLocked()
	r.call.endLocked(r.outcome)
}
