package relay

import (
	"net/http"
	"strings"

	"httpipe/pipe"
	"httpipe/reply"
)

// Produce sends the body of r to one consumer and answers r when the exchange has ended.
func (l *Relay) Produce(w http.ResponseWriter, r *Request) { onEngine(w, r, l.produce) }

// produce is Produce on the engine. The response starts only at the end of the body, or when the exchange has failed:
// HTTP clients and proxies lose data, or hang, if it starts earlier.
func (l *Relay) produce(w *response, r *Request) {
	arrival, source, e := l.producer(r)
	if e != nil {
		r.Refuse(w, e)
		return
	}
	request := l.broker.Arrive(arrival)
	if l.engine.watcher.works() {
		defer r.OnHangUp(request.Leave)()
	}
	request.Fill()
	if !l.engine.watcher.works() && request.BodyRead() {
		defer r.OnHangUp(request.Leave)()
	}
	outcome, cause := request.AwaitEnd()

	exchange := request.Exchange()
	if exchange != nil {
		l.logEnd(exchange, outcome, cause)
		w.set(reply.HeaderExchange, exchange.ID)
	}
	switch outcome {
	case pipe.Left:
		Abort()
	case pipe.Delivered:
		reply.Delivered(exchange, r.WantsJSON()).Write(w)
		return
	}
	e = reply.ForRequest(request, outcome)
	if outcome == pipe.ProducerLeft {
		e.Text = source.explain(e.Text)
		if exchange == nil {
			e.Code = reply.CodeBadRequest // no consumer was involved
		}
	}
	if request.BodyRead() {
		r.Fail(w, e)
	} else {
		r.Refuse(w, e)
	}
}

// producer returns the arrival of r and its body, or the error that r is answered with.
func (l *Relay) producer(r *Request) (pipe.Arrival, *source, *reply.Error) {
	arrival, f := l.arrival(r, pipe.Producer)
	if f != nil {
		return arrival, nil, f
	}
	if r.Posts {
		if notAConsumer(r.Header) != "" {
			return arrival, nil, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeNotAConsumer, Text: advisePosted}
		}
		if f := r.DropBody(l.config.HeaderTimeout); f != nil {
			return arrival, nil, f
		}
	} else if !r.ProtoAtLeast(1, 1) && r.Header.Get("Content-Length") == "" {
		return arrival, nil, &reply.Error{Status: http.StatusLengthRequired, Code: reply.CodeBadRequest,
			Text: "an HTTP/1.0 request must say Content-Length: without it the end of the body cannot be told from a broken connection"}
	}
	source, f := l.newSource(r)
	if f != nil {
		return arrival, nil, f
	}
	if limit := l.config.MaxBody; limit > 0 && max(r.ContentLength, source.length) > limit {
		l.broker.RecordUnmatched(arrival, pipe.TooLarge)
		return arrival, nil, reply.ForOutcome(pipe.TooLarge, pipe.Producer)
	}
	source.head.Request = r.head()
	arrival.Alive, arrival.Interrupt = r.Conn.callbacks.alive, r.Conn.callbacks.interruptRead
	arrival.Body = source
	arrival.Length = source.length
	arrival.ReadAhead = l.config.ReadAhead
	arrival.Head = &source.head
	c := r.Conn
	arrival.Alive = func() bool {
		if source.whole.Load() {
			return c.callbacks.aliveAfterRequest()
		}
		return c.callbacks.alive() // what is unread may be the rest of the body
	}
	if r.ProtoAtLeast(1, 1) && r.Header.Get("Expect") != "" {
		// A client that asked for 100 Continue takes more of them. A dead one answers with a reset, which
		// its connection's watch sees even behind a full window.
		arrival.Probe = r.Body.(*requestBody).sendContinue
		arrival.MaxProbes = maxContinues(r.UserAgent())
	}
	return arrival, source, nil
}

// maxContinues returns how often a client is sent 100 Continue again: it must not give up because of that.
func maxContinues(agent string) int {
	if strings.HasPrefix(agent, "Go-http-client") {
		return 4 // before Go 1.24 the sixth interim response is an error, and the first was sent already
	}
	return 12_000 // curl takes up to 300 KB of heads, at 25 bytes each
}
