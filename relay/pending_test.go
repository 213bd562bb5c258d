package relay

import (
	"io"
	"net/http"
	"testing"

	"httpipe/pipe"
	"httpipe/reply"
)

// An insistent owner answers as often as it is asked. It may be asked again before its answer is sent.
type insistent struct{ Pending }

func (o *insistent) HungUp() { o.Abort() }

func (o *insistent) Resume() {
	o.Fail(&reply.Error{Status: http.StatusGone, Code: "deleted", Text: "the first answer"})
	o.Fail(&reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "the second answer"})
	o.Answer(reply.Text(http.StatusOK, "text/plain", "the third answer"))
}

// TestOneAnswer: a request gets one answer, also where it cannot be sent at once, as over TLS. The connection carries the
// next request.
func TestOneAnswer(t *testing.T) {
	r := start(t)
	counted := make(chan string, 1000)
	r.relay.config.CountError = func(code string) { counted <- code }
	r.own = func(w http.ResponseWriter, hr *Request) {
		OnEngine(w, hr, func(w *Response, hr *Request) {
			o := new(insistent)
			w.Park(hr, &o.Pending, o)
			o.Wake()
			o.Resume()
		})
	}
	c := r.dial()
	for range 100 {
		c.Get("/channels/n/own").Answer().Failed(410, "deleted")
		if code := <-counted; code != "deleted" || len(counted) > 0 {
			t.Fatalf("counted is %q, and %d more", code, len(counted))
		}
	}
	c.Unanswered()
}

// An unfinished owner has no request yet, so that HungUp panics.
type unfinished struct {
	Pending
	request *pipe.Request
}

func (o *unfinished) HungUp() { o.request.Leave() }

func (o *unfinished) Resume() {}

// TestPanicBeforeArrival: a handler that panics before its owner is complete costs its client the connection, and no other.
func TestPanicBeforeArrival(t *testing.T) {
	r := start(t)
	r.own = func(w http.ResponseWriter, hr *Request) {
		OnEngine(w, hr, func(w *Response, hr *Request) {
			o := new(unfinished)
			w.Park(hr, &o.Pending, o)
			panic("planted")
		})
	}
	if got, _ := io.ReadAll(r.dial().Get("/channels/n/own")); len(got) > 0 {
		t.Errorf("the client got %q", got)
	}
	r.Journal.Forgive("serving a request failed")
	c := r.dial().Get("/channels/n/c")
	r.dial().Post("/channels/n/c", "hello").Answer().Is(200)
	c.Answer().Got("hello")
}
