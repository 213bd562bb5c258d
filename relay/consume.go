package relay

import (
	"net/http"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// Consume answers r with one producer's body. The relay runs here, on the goroutine that owns the response, and
// returns as soon as the last byte is written: a consumer does not wait for the record.
func (l *Relay) Consume(w http.ResponseWriter, r *Request) { onEngine(w, r, l.consume) }

// consume is Consume on the engine.
func (l *Relay) consume(w *response, r *Request) {
	if advice := notAConsumer(r.Header); advice != "" {
		r.Refuse(w, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeNotAConsumer, Text: advice})
		return
	}
	if e := r.DropBody(l.config.HeaderTimeout); e != nil {
		r.Refuse(w, e)
		return
	}
	arrival, e := l.arrival(r, pipe.Consumer)
	if e != nil {
		r.Fail(w, e)
		return
	}
	c := r.Conn
	arrival.Alive, arrival.Interrupt = c.callbacks.aliveAfterRequest, c.callbacks.interruptWrite
	request := l.broker.Arrive(arrival)
	defer r.OnHangUp(request.Leave)()
	exchange := request.AwaitMatch()
	if exchange == nil {
		if request.Outcome() == pipe.Left {
			Abort()
		}
		r.Fail(w, reply.ForRequest(request, request.Outcome()))
		return
	}
	endInOrder := endByReset(r, exchange)
	sink := &sink{w: w, r: r, exchange: exchange, config: &l.config}
	sink.stall.start(exchange, r.Conn, l.config.StallTimeout)
	outcome := exchange.Relay(sink)
	sink.stall.stop()
	switch {
	case outcome == pipe.Delivered:
		endInOrder()
		if exchange.WasCut() {
			c.SetWriteDeadline(time.Time{}) // the cut came too late; what is left is the final chunk
		}
	case outcome == pipe.Unrecorded && !sink.begun:
		endInOrder()
		w.Header().Set(reply.HeaderExchange, exchange.ID)
		r.Fail(w, reply.ForOutcome(outcome, pipe.Consumer))
	default:
		if r.ProtoAtLeast(1, 1) && !sink.inChunk {
			endInOrder() // every client sees that the last chunk is missing, and sent data may still arrive
		}
		Abort()
	}
}

// endByReset makes the connection end with a reset until endInOrder is called, if a client could take the end of the
// connection for the end of the body: in HTTP/1.0 without a length, and in the middle of a chunk, where GNU wget reports
// success. It is called before the first byte, because the connection may be closed at any time: by net/http when a write
// fails, by the kernel when the process is killed.
func endByReset(r *Request, x *pipe.Exchange) (endInOrder func()) {
	c := r.Conn
	if x.Producer.Length >= 0 {
		return func() {}
	}
	c.setLinger(0)
	return func() { c.setLinger(-1) }
}
