package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Who meets whom, over real connections.

func TestEitherMayComeFirst(t *testing.T) {
	for _, body := range []string{"", "hello", strings.Repeat("large ", 1<<20)} {
		r := start(t)
		p := r.dial().post(here, body)
		r.waiting(1, 0)
		r.dial().get(here).answer().got(body)
		p.answer().got("")
		r.vanished()

		c := r.dial().get(here)
		r.waiting(0, 1)
		p = r.dial().request("PUT", here, length(len(body))).upload(body)
		c.answer().got(body)
		p.answer().got("")
		r.vanished()
	}
}

func TestProducersAreServedInOrder(t *testing.T) {
	r := start(t)
	var producers []*client
	for i := range 20 {
		producers = append(producers, r.dial().post(here, fmt.Sprint("message ", i)))
		r.waiting(i+1, 0)
	}
	for i, p := range producers {
		r.dial().get(here).answer().got(fmt.Sprint("message ", i))
		p.answer().is(200)
	}
}

func TestConsumersAreServedInOrder(t *testing.T) {
	r := start(t)
	var consumers []*client
	for i := range 20 {
		consumers = append(consumers, r.dial().get(here))
		r.waiting(0, i+1)
	}
	for i, c := range consumers {
		r.dial().post(here, fmt.Sprint("message ", i)).answer().is(200)
		c.answer().got(fmt.Sprint("message ", i))
	}
}

func TestOneExchangeAtATime(t *testing.T) {
	r := start(t)
	first := r.dial().request("POST", here, chunked).say(chunk("fir"))
	reader := r.dial().get(here)
	body := reader.head().Body
	reads(t, body, "fir")
	second, next := r.dial().post(here, "second"), r.dial().get(here)
	r.waiting(1, 1) // and they do not meet, though both are there: the running pair is not counted

	elsewhere := r.dial().post("/channels/n/other", "elsewhere")
	r.dial().get("/channels/n/other").answer().got("elsewhere")
	elsewhere.answer().is(200)

	r.waiting(1, 1)
	first.say(chunk("st") + chunk(""))
	reads(t, body, "st")
	first.answer().is(200)
	next.answer().got("second")
	second.answer().is(200)
}

// The next pair starts when the last has ended, however that was.
func TestNextPairAfterAFailure(t *testing.T) {
	r := start(t)
	first := r.dial().request("POST", here, chunked).say(chunk("fir"))
	reader := r.dial().get(here)
	reads(t, reader.head().Body, "fir")
	second, next := r.dial().post(here, "second"), r.dial().get(here)
	r.waiting(1, 1)
	first.reset()
	next.answer().got("second")
	second.answer().is(200)
	r.vanished()
}

func TestManyExchangesOnTwoConnections(t *testing.T) {
	r := start(t)
	p, c := r.dial(), r.dial()
	for i := range 100 {
		message := fmt.Sprint("message ", i)
		p.post(here, message)
		c.get(here).answer().got(message)
		p.answer().is(200)
		switch i % 4 {
		case 0:
			p = r.again(p, p.post(here+"?wait=1ms", message).answer().failed(408, "timed_out"))
			c.get(here+"?wait=1ms").answer().failed(408, "timed_out")
		case 1:
			c.get(here+"?wait=0").answer().failed(408, "timed_out")
			c.get(here+"?wait=soon").answer().failed(400, "bad_wait")
		case 2:
			c.request("HEAD", here).answer().failed(404, "not_found")
			p.request("DELETE", here).answer().failed(404, "not_found")
		case 3:
			p.post(here, message)
			r.waiting(1, 0)
			c.request("DELETE", here).answer().is(204)
			p = r.again(p, p.answer().failed(410, "deleted"))
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
	p := r.dial().say(all.String())
	for i := range 5 {
		r.dial().get(here).answer().got(fmt.Sprint(i))
		p.answer().is(200)
	}
}

// A client may go on with its next request before it has read the answer to the last.
func TestPipelinedConsumer(t *testing.T) {
	r := start(t)
	c := r.dial().get(here).get(here)
	for _, message := range []string{"one", "two"} {
		r.waiting(0, 1)
		p := r.dial().post(here, message)
		c.answer().got(message)
		p.answer().is(200)
	}
}

func TestExchangesGoOnWhileOthersWait(t *testing.T) {
	r := start(t)
	for i := range 200 {
		r.dial().get(fmt.Sprint("/channels/waiters/", i))
	}
	began := time.Now()
	for range 50 {
		p := r.dial().post(here, "hello")
		r.dial().get(here).answer().got("hello")
		p.answer().is(200)
	}
	if took := time.Since(began); took > noise {
		t.Errorf("50 exchanges took %v", took)
	}
}
