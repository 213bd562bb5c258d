package httpapi

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// past is a deadline that makes a blocked Read or Write return at once.
var past = time.Unix(1, 0)

// produce sends the request's body to one consumer.
func (s *Server) produce(w http.ResponseWriter, r *http.Request, key pipe.Key) {
	if !takesOver(r) {
		s.send(w, r, key)
		return
	}
	s.taken.Add(1) // before net/http forgets the connection, or Shutdown could miss it
	defer s.taken.Done()
	taken, err := takeOver(w, r)
	if err != nil {
		panic(err) // it was HTTP/1.1, of which any request can be taken over once
	}
	defer taken.close()
	s.send(taken, r, key)
	taken.FlushError()
}

// send is produce for a body that can be read as it comes. The response starts only when the body is at its
// end or the exchange has failed: HTTP clients and proxies lose data, or hang, if it starts earlier.
func (s *Server) send(w http.ResponseWriter, r *http.Request, key pipe.Key) {
	arrival, source, f := s.producer(w, r, key)
	if f != nil {
		refuse(w, r, f)
		return
	}
	request := s.broker.Arrive(arrival)
	unwatch := watch(r, request.Leave)
	defer unwatch()
	request.Fill()
	outcome, cause := request.AwaitEnd()

	exchange := request.Exchange()
	if exchange != nil {
		s.logEnd(exchange, outcome, cause)
		w.Header().Set(reply.HeaderExchange, exchange.ID)
	}
	switch outcome {
	case pipe.Left:
		hangUp()
	case pipe.Delivered:
		reply.Delivered(exchange, reply.WantsJSON(r.Header["Accept"])).Write(w)
		return
	}
	f = reply.ForRequest(request, outcome)
	if outcome == pipe.ProducerLeft {
		f.Text = source.complaint(f.Text)
		if exchange == nil {
			f.Code = reply.CodeBadRequest // no consumer was involved, so to the client it is just that
		}
	}
	if request.BodyRead() {
		fail(w, r, f)
	} else {
		refuse(w, r, f)
	}
}

// producer makes an arrival of r, or says why it may not produce.
func (s *Server) producer(w http.ResponseWriter, r *http.Request, key pipe.Key) (pipe.Arrival, *source, *reply.Error) {
	arrival, f := s.arrival(r, key, pipe.Producer)
	if f != nil {
		return arrival, nil, f
	}
	if !r.ProtoAtLeast(1, 1) && r.Header.Get("Content-Length") == "" {
		return arrival, nil, &reply.Error{Status: http.StatusLengthRequired, Code: reply.CodeBadRequest,
			Text: "an HTTP/1.0 request must say Content-Length: without it the end of the body cannot be told from a broken connection"}
	}
	if limit := s.config.MaxBody; limit > 0 && r.ContentLength > limit {
		s.broker.RecordUnmatched(arrival, pipe.TooLarge)
		return arrival, nil, reply.ForOutcome(pipe.TooLarge, pipe.Producer)
	}
	source, f := newSource(r, s.config.MaxBody, s.config.MaxHeader)
	if f != nil {
		return arrival, nil, f
	}
	control := http.NewResponseController(w)
	arrival.Body = source
	arrival.Length = source.length
	arrival.ReadAhead = s.config.ReadAhead
	arrival.Head = &source.head
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

// arrival makes what both roles have in common of r, or says why it may not come in.
func (s *Server) arrival(r *http.Request, key pipe.Key, role pipe.Role) (pipe.Arrival, *reply.Error) {
	wait, f := s.wait(r)
	if f != nil {
		return pipe.Arrival{}, f
	}
	if s.unavailable() != nil {
		return pipe.Arrival{}, reply.Error{Status: http.StatusServiceUnavailable, Code: reply.CodeAuditUnavailable, RetryAfter: 1,
			Text: "the audit log cannot be written, and nothing is relayed without a record"}.To(role)
	}
	client := s.client(r)
	arrival := pipe.Arrival{Key: key, Role: role, Client: client, Group: group(client.Addr), Wait: wait}
	if c := connOf(r); c != nil {
		arrival.Alive = c.alive
	}
	return arrival, nil
}
