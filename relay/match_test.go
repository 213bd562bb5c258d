package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Which producer and consumer are matched, over real connections.

func TestEitherMayComeFirst(t *testing.T) {
	for _, body := range []string{"", "hello", strings.Repeat("large ", 1<<20)} {
		r := start(t)
		p := r.dial().Post(here, body)
		r.Waiting(1, 0)
		r.dial().Get(here).Answer().Got(body)
		p.Answer().Got("")
		r.Vanished()

		c := r.dial().Get(here)
		r.Waiting(0, 1)
		p = r.dial().Request("PUT", here, length(len(body))).Upload(body)
		c.Answer().Got(body)
		p.Answer().Got("")
		r.Vanished()
	}
}

func TestProducersAreServedInOrder(t *testing.T) {
	r := start(t)
	var producers []*client
	for i := range 20 {
		producers = append(producers, r.dial().Post(here, fmt.Sprint("message ", i)))
		r.Waiting(i+1, 0)
	}
	for i, p := range producers {
		r.dial().Get(here).Answer().Got(fmt.Sprint("message ", i))
		p.Answer().Is(200)
	}
}

func TestConsumersAreServedInOrder(t *testing.T) {
	r := start(t)
	var consumers []*client
	for i := range 20 {
		consumers = append(consumers, r.dial().Get(here))
		r.Waiting(0, i+1)
	}
	for i, c := range consumers {
		r.dial().Post(here, fmt.Sprint("message ", i)).Answer().Is(200)
		c.Answer().Got(fmt.Sprint("message ", i))
	}
}

func TestOneExchangeAtATime(t *testing.T) {
	r := start(t)
	first := r.dial().Request("POST", here, chunked).Say(chunk("fir"))
	reader := r.dial().Get(here)
	body := reader.Head().Body
	reads(t, body, "fir")
	second, next := r.dial().Post(here, "second"), r.dial().Get(here)
	r.Waiting(1, 1) // and they do not meet, though both are there: the running pair is not counted

	elsewhere := r.dial().Post("/channels/n/other", "elsewhere")
	r.dial().Get("/channels/n/other").Answer().Got("elsewhere")
	elsewhere.Answer().Is(200)

	r.Waiting(1, 1)
	first.Say(chunk("st") + chunk(""))
	reads(t, body, "st")
	first.Answer().Is(200)
	next.Answer().Got("second")
	second.Answer().Is(200)
}

// The next pair starts when the last has ended, however that was.
func TestNextPairAfterAFailure(t *testing.T) {
	r := start(t)
	first := r.dial().Request("POST", here, chunked).Say(chunk("fir"))
	reader := r.dial().Get(here)
	reads(t, reader.Head().Body, "fir")
	second, next := r.dial().Post(here, "second"), r.dial().Get(here)
	r.Waiting(1, 1)
	first.Reset()
	next.Answer().Got("second")
	second.Answer().Is(200)
	r.Vanished()
}

func TestManyExchangesOnTwoConnections(t *testing.T) {
	r := start(t)
	p, c := r.dial(), r.dial()
	for i := range 100 {
		message := fmt.Sprint("message ", i)
		p.Post(here, message)
		c.Get(here).Answer().Got(message)
		p.Answer().Is(200)
		switch i % 4 {
		case 0:
			p = r.again(p, p.Post(here+"?wait=1ms", message).Answer().Failed(408, "timed_out"))
			c.Get(here+"?wait=1ms").Answer().Failed(408, "timed_out")
		case 1:
			c.Get(here+"?wait=0").Answer().Failed(408, "timed_out")
			c.Get(here+"?wait=soon").Answer().Failed(400, "bad_wait")
		case 2:
			c.Request("HEAD", here).Answer().Failed(404, "not_found")
			p.Request("DELETE", here).Answer().Failed(404, "not_found")
		case 3:
			p.Post(here, message)
			r.Waiting(1, 0)
			c.Request("DELETE", here).Answer().Is(204)
			p = r.again(p, p.Answer().Failed(410, "deleted"))
		}
	}
}

// again returns the connection for the next request after an answer: another one if the body of the last
// had not been read when it was refused.
func (r *testServer) again(c *client, last *answer) *client {
	if last.Close {
		return r.dial()
	}
	return c
}

func TestPipelinedProducer(t *testing.T) {
	r := start(t)
	var all strings.Builder
	for i := range 5 {
		fmt.Fprintf(&all, "POST %s HTTP/1.1\r\nHost: relay\r\nContent-Length: 1\r\n\r\n%d", here, i)
	}
	p := r.dial().Say(all.String())
	for i := range 5 {
		r.dial().Get(here).Answer().Got(fmt.Sprint(i))
		p.Answer().Is(200)
	}
}

// A client may go on with its next request before it has read the answer to the last.
func TestPipelinedConsumer(t *testing.T) {
	r := start(t)
	c := r.dial().Get(here).Get(here)
	for _, message := range []string{"one", "two"} {
		r.Waiting(0, 1)
		p := r.dial().Post(here, message)
		c.Answer().Got(message)
		p.Answer().Is(200)
	}
}

func TestExchangesGoOnWhileOthersWait(t *testing.T) {
	r := start(t)
	for i := range 200 {
		r.dial().Get(fmt.Sprint("/channels/waiters/", i))
	}
	began := time.Now()
	for range 50 {
		p := r.dial().Post(here, "hello")
		r.dial().Get(here).Answer().Got("hello")
		p.Answer().Is(200)
	}
	if took := time.Since(began); took > noise {
		t.Errorf("50 exchanges took %v", took)
	}
}
