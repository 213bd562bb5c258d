package relay

import (
	"net/http"

	"httpipe/pipe"
	"httpipe/reply"
)

// A consumer is a pending request that consumes.
type consumer struct {
	Pending
	request    *pipe.Request
	tokenInURL bool
	headers    bool   // the client wants the head of the producer's request
	head       bool   // the request is a HEAD
	fetchDest  string // the header Sec-Fetch-Dest
	sink
}

// Consume answers r with one producer's body.
func (l *Relay) Consume(w http.ResponseWriter, r *Request) { OnEngine(w, r, l.consume) }

// consume is Consume on the engine.
func (l *Relay) consume(w *Response, r *Request) {
	if c := l.newConsumer(w, r); c != nil {
		c.Resume()
	}
}

// newConsumer returns the consumer of r, which has arrived at the broker, or nil if it has answered r. It is not a part of
// consume, so that its large frame is off the stack in Resume: see the package's documentation.
func (l *Relay) newConsumer(w *Response, r *Request) *consumer {
	arrival, ok := l.consuming(w, r)
	if !ok {
		return nil
	}
	c := &consumer{
		tokenInURL: r.TokenInURL,
		headers:    hasParameter(r.Query, "headers"),
		fetchDest:  r.Header.Joined("Sec-Fetch-Dest"),
	}
	arrival.Sink = c
	w.Park(r, &c.Pending, c)
	c.request = l.broker.Arrive(arrival)
	return c
}

// consuming returns the arrival of a request that consumes or subscribes. It refuses one that would lose the message, or
// cannot wait, and then returns false.
func (l *Relay) consuming(w *Response, r *Request) (pipe.Arrival, bool) {
	if advice := notAConsumer(&r.Header); advice != "" {
		r.Refuse(w, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeNotAConsumer, Text: advice})
		return pipe.Arrival{}, false
	}
	if e := l.dropBody(r); e != nil {
		r.Refuse(w, e)
		return pipe.Arrival{}, false
	}
	arrival, e := l.arrival(r, pipe.Consumer)
	if e != nil {
		r.Fail(w, e)
		return pipe.Arrival{}, false
	}
	return arrival, true
}

// dropBody drops the body that a GET may have. It waits for it no longer than the request may wait for a message, but at
// least for a moment.
func (l *Relay) dropBody(r *Request) *reply.Error {
	if r.Length == 0 {
		return nil
	}
	limit := l.config.HeaderTimeout
	if wait, e := l.wait(r); e == nil && wait != pipe.Forever {
		limit = min(limit, max(wait, lingering))
	}
	return r.DropBody(limit)
}

// HungUp implements Owner.
func (c *consumer) HungUp() { c.request.Leave() }

// Resume implements Owner.
func (c *consumer) Resume() {
	switch x := c.request.Begun(); {
	case x != nil:
		c.relay().carryOut(x)
	case !c.request.Unmatched():
	case c.request.Outcome() == pipe.Left:
		c.Abort()
	default:
		c.Fail(reply.ForRequest(c.request, c.request.Outcome()))
	}
}

// carryOut relays the body of x and answers both clients. The consumer does not wait for the record.
func (l *Relay) carryOut(x *pipe.Exchange) {
	outcome := pipe.ConsumerLeft // if it panics
	defer func() {
		x.Consumer.Sink.(*consumer).end(x, outcome)
		x.Settle()
	}()
	outcome = x.Relay()
}
