package relay

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// past is a deadline that is over: it makes a blocked Read or Write return at once.
var past = time.Unix(1, 0)

// Produce sends the body of r to one consumer and answers r when the exchange has ended.
func (l *Relay) Produce(w http.ResponseWriter, r *Request) {
	if !takesOver(r) {
		l.send(w, r)
		return
	}
	l.takenOver.Add(1) // before net/http forgets the connection, or Answered could miss it
	defer l.takenOver.Done()
	taken, err := takeOver(w, r)
	if err != nil {
		panic(err) // any HTTP/1.1 request can be taken over once
	}
	defer taken.close()
	l.send(taken, r)
	taken.FlushError()
}

// send is Produce for a body whose bytes can be read as soon as they arrive. The response starts only at the end of the
// body, or when the exchange has failed: HTTP clients and proxies lose data, or hang, if it starts earlier.
func (l *Relay) send(w http.ResponseWriter, r *Request) {
	arrival, source, e := l.producer(w, r)
	if e != nil {
		r.Refuse(w, e)
		return
	}
	request := l.broker.Arrive(arrival)
	defer r.OnHangUp(request.Leave)()
	request.Fill()
	outcome, cause := request.AwaitEnd()

	exchange := request.Exchange()
	if exchange != nil {
		l.logEnd(exchange, outcome, cause)
		w.Header().Set(reply.HeaderExchange, exchange.ID)
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
func (l *Relay) producer(w http.ResponseWriter, r *Request) (pipe.Arrival, *source, *reply.Error) {
	arrival, f := l.arrival(r, pipe.Producer)
	if f != nil {
		return arrival, nil, f
	}
	if !r.ProtoAtLeast(1, 1) && r.Header.Get("Content-Length") == "" {
		return arrival, nil, &reply.Error{Status: http.StatusLengthRequired, Code: reply.CodeBadRequest,
			Text: "an HTTP/1.0 request must say Content-Length: without it the end of the body cannot be told from a broken connection"}
	}
	if limit := l.config.MaxBody; limit > 0 && r.ContentLength > limit {
		l.broker.RecordUnmatched(arrival, pipe.TooLarge)
		return arrival, nil, reply.ForOutcome(pipe.TooLarge, pipe.Producer)
	}
	source, f := newSource(r.Request, l.config.MaxBody, l.config.MaxHeader)
	if f != nil {
		return arrival, nil, f
	}
	control := http.NewResponseController(w)
	arrival.Body = source
	arrival.Length = source.length
	arrival.ReadAhead = l.config.ReadAhead
	arrival.Head = &source.head
	if c := r.Conn; c != nil {
		arrival.Alive = func() bool {
			if source.whole.Load() {
				return c.aliveAfterRequest()
			}
			return c.alive() // what is unread may be the rest of the body
		}
	}
	arrival.Interrupt = func() { control.SetReadDeadline(past) }
	if r.ProtoAtLeast(1, 1) && r.Header.Get("Expect") != "" {
		// A client that asked for 100 Continue takes more of them. A dead one answers with a reset, which
		// its connection's watch sees even behind a full window.
		arrival.Probe = func() { sendContinue(w) }
		arrival.MaxProbes = maxContinues(r.UserAgent())
	}
	return arrival, source, nil
}

// sendContinue sends an interim response without the headers that are set for the final one: a client counts
// every byte of them.
func sendContinue(w http.ResponseWriter) {
	final := maps.Clone(w.Header())
	clear(w.Header())
	w.WriteHeader(http.StatusContinue)
	maps.Copy(w.Header(), final)
}

// maxContinues returns how often a client is sent 100 Continue again: it must not give up because of that.
func maxContinues(agent string) int {
	if strings.HasPrefix(agent, "Go-http-client") {
		return 4 // before Go 1.24 the sixth interim response is an error, and the first was sent already
	}
	return 12_000 // curl takes up to 300 KB of heads, at 25 bytes each
}
