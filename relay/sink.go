package relay

import (
	"maps"
	"net/http"
	"strconv"

	"httpipe/pipe"
	"httpipe/reply"
)

// relayed are the headers of every relayed body: no proxy stores it, changes it or holds it back, no client guesses
// its type, and a page runs in an origin of its own, from where it cannot reach this server. All responses share the
// map, so it must not be changed.
var relayed = http.Header{
	"Cache-Control":           {"no-store, no-transform"},
	"Content-Security-Policy": {"sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts"},
	"X-Accel-Buffering":       {"no"},
	"X-Content-Type-Options":  {"nosniff"},
	"X-Robots-Tag":            {"none"},
}

// A sink is a consumer's response, as pipe writes it. The response begins with the first byte of the body, or with the
// end of an empty one. It is owned by the goroutine in Exchange.Relay.
type sink struct {
	w        *response
	r        *Request
	exchange *pipe.Exchange
	config   *Config
	stall    stallClock
	begun    bool
	inChunk  bool // a write has begun, and has not been flushed
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
	err := s.w.FlushError()
	s.inChunk = s.inChunk && err != nil
	return err
}

// begin writes the head of the response.
func (s *sink) begin() {
	producer := s.exchange.Producer
	head := producer.Head
	s.w.set(reply.HeaderExchange, s.exchange.ID)
	s.w.set("Content-Type", head.ContentType)
	if producer.Length >= 0 {
		s.w.set("Content-Length", strconv.FormatInt(producer.Length, 10))
	}
	for _, optional := range [...]struct{ name, value string }{
		{"Content-Disposition", disposition(s.r, head)}, {"Content-Encoding", head.ContentEncoding}, {"Content-Language", head.ContentLanguage},
	} {
		if optional.value != "" {
			s.w.set(optional.name, optional.value)
		}
	}
	if hasParameter(s.r.URL.RawQuery, "headers") {
		own := len(head.ContentType) + len(head.ContentDisposition) + len(head.ContentEncoding) + len(head.ContentLanguage)
		s.w.addRequest(&head.Request, s.config.MaxHeader-own, s.config.ClientIPHeader)
	}
	maps.Copy(s.w.header, relayed)
	s.w.WriteHeader(http.StatusOK)
}
