package httpapi

import (
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// relayed are the headers of every body that is relayed: nobody on the way keeps it, changes it or holds it
// back, nobody guesses what it is, and a page runs in an origin of its own, where it can reach nothing of this
// server's. Shared by all responses, so never changed.
var relayed = http.Header{
	"Cache-Control":           {"no-store, no-transform"},
	"Content-Security-Policy": {"sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts"},
	"X-Accel-Buffering":       {"no"},
	"X-Content-Type-Options":  {"nosniff"},
	"X-Robots-Tag":            {"none"},
}

// consume receives one producer's body. The exchange's relay runs here, in the goroutine that owns the
// response, and returns as soon as the last byte is out: no consumer waits for a commit.
func (s *Server) consume(w http.ResponseWriter, r *http.Request, key pipe.Key) {
	if advice := notAConsumer(r.Header); advice != "" {
		refuse(w, r, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeNotAConsumer, Text: advice})
		return
	}
	control := http.NewResponseController(w)
	if err := s.dropBody(control, r); err != nil {
		refuse(w, r, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadRequest, Text: "a GET's body, which means nothing here, is malformed or did not come"})
		return
	}
	arrival, f := s.arrival(r, key, pipe.Consumer)
	if f != nil {
		fail(w, r, f)
		return
	}
	if c := connOf(r); c != nil {
		// One who pipelines so much cannot be seen to hang up, so counts as having done so. Most send nothing,
		// which one question to the kernel tells.
		arrival.Alive = func() bool { return c.quiet() || c.alive() && !c.clogged() }
	}
	arrival.Interrupt = func() { control.SetWriteDeadline(past) }
	request := s.broker.Arrive(arrival)
	unwatch := watch(r, request.Leave)
	defer unwatch()
	exchange := request.AwaitMatch()
	if exchange == nil {
		if request.Outcome() == pipe.Left {
			hangUp()
		}
		fail(w, r, reply.ForRequest(request, request.Outcome()))
		return
	}
	endInOrder := endByReset(r, exchange)
	sink := &sink{w: w, r: r, control: control, exchange: exchange}
	sink.stall.start(exchange, connOf(r), s.config.StallTimeout)
	outcome := exchange.Relay(sink)
	sink.stall.stop()
	switch {
	case outcome == pipe.Delivered:
		endInOrder()
		if exchange.WasCut() {
			control.SetWriteDeadline(time.Time{}) // the cut came too late; what is left is the final chunk
		}
	case outcome == pipe.Unrecorded && !sink.begun:
		endInOrder()
		w.Header().Set(reply.HeaderExchange, exchange.ID)
		fail(w, r, reply.ForOutcome(outcome, pipe.Consumer))
	default:
		if r.ProtoAtLeast(1, 1) && !sink.inChunk {
			endInOrder() // the last chunk is missing, which every client sees, and what was sent may still arrive
		}
		breakOff()
	}
}

// endByReset makes the connection end with a reset until endInOrder is called, if its mere end could be taken
// for the end of the body: in HTTP/1.0 without a length, and in the middle of a chunk, where GNU wget reports
// success. This comes first, because others may close it at any time: net/http does so when a write fails, the
// kernel when the process is killed.
func endByReset(r *http.Request, x *pipe.Exchange) (endInOrder func()) {
	c := connOf(r)
	if c == nil || x.Producer.Length >= 0 {
		return func() {}
	}
	c.SetLinger(0)
	return func() { c.SetLinger(-1) }
}

// dropBody reads what body a GET may have. It means nothing, but unread it could hide the client's FIN, and
// net/http would read it, for as long as that takes, before it lets a response begin.
func (s *Server) dropBody(control *http.ResponseController, r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	control.SetReadDeadline(time.Now().Add(s.config.HeaderTimeout))
	defer control.SetReadDeadline(time.Time{})
	_, err := io.Copy(io.Discard, r.Body)
	return err
}

// sink is a consumer's response as the relay writes it. It begins with the first byte, or with the
// end of an empty body. Owned by the goroutine in Relay.
type sink struct {
	w        http.ResponseWriter
	r        *http.Request
	control  *http.ResponseController
	exchange *pipe.Exchange
	stall    stallClock
	begun    bool
	inChunk  bool // a write has begun, and it is not known that all of it has left
}

func (s *sink) Write(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.begin()
	}
	if len(p) == 0 {
		return 0, nil
	}
	s.inChunk = true
	s.stall.writing.Store(true)
	defer s.stall.writing.Store(false)
	return s.w.Write(p)
}

func (s *sink) Flush() error {
	s.stall.writing.Store(true)
	defer s.stall.writing.Store(false)
	err := s.control.Flush()
	s.inChunk = s.inChunk && err != nil
	return err
}

// begin sets the response's headers.
func (s *sink) begin() {
	producer := s.exchange.Producer
	head := producer.Head
	h := s.w.Header()
	h.Set(reply.HeaderExchange, s.exchange.ID)
	h.Set("Content-Type", head.ContentType)
	if producer.Length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(producer.Length, 10))
	}
	for _, optional := range [...]struct{ name, value string }{
		{"Content-Disposition", disposition(s.r, head)}, {"Content-Encoding", head.ContentEncoding}, {"Content-Language", head.ContentLanguage},
	} {
		if optional.value != "" {
			h.Set(optional.name, optional.value)
		}
	}
	maps.Copy(h, relayed)
	s.w.WriteHeader(http.StatusOK)
}
