package httpapi

import (
	"io"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
)

// Consumers that are slow, that stop, and that leave.

func stallAfter(d time.Duration) func(*Config) {
	return func(c *Config) { c.StallTimeout = d }
}

// A blocked writer is woken only when a third of a send buffer of megabytes is free, which takes this
// consumer longer than the time-out; it reads all the while.
func TestASlowConsumerIsNotStalled(t *testing.T) {
	t.Parallel()
	const size, rate = 6 << 20, 700_000
	r := start(t, stallAfter(time.Second))
	c := r.dial()
	c.SetReadBuffer(64 << 10)
	p := r.dial().post(here, strings.Repeat("x", size))
	body := c.get(here).head().Body
	total := 0
	for tick := time.Tick(20 * time.Millisecond); total < size; <-tick {
		n, err := io.CopyN(io.Discard, body, min(rate/50, size-int64(total)))
		total += int(n)
		if err != nil {
			t.Fatalf("cut off after %d bytes: %v; the producer gets %d", total, err, p.answer().StatusCode)
		}
	}
	p.answer().is(200)
}

func TestAStalledConsumer(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	for _, test := range []struct{ framing, version string }{{length(50 << 20), "1.1"}, {chunked, "1.1"}, {length(50 << 20), "1.0"}, {chunked, "1.0"}} {
		r := start(t, stallAfter(timeout))
		p := r.dial().request("POST", here, test.framing)
		if test.framing == chunked {
			p.say("3200000\r\n")
		}
		go io.Copy(p, io.LimitReader(zeros{}, 50<<20))
		began := time.Now()
		c := r.dial().say("GET " + here + " HTTP/" + test.version + "\r\nHost: relay\r\n\r\n")
		body := c.head().Body
		p.answer().failed(504, "stalled")
		if took := time.Since(began); took < timeout || took > timeout*5/4+noise {
			t.Errorf("it took %v", took)
		}
		if n, err := io.Copy(io.Discard, body); err == nil {
			t.Errorf("%d bytes look whole", n)
		}
		r.ended(pipe.Stalled)
		r.vanished()
	}
}

// A producer with nothing to send does not make its consumer a stalled one.
func TestAPauseIsNoStall(t *testing.T) {
	t.Parallel()
	const timeout = 80 * time.Millisecond
	r := start(t, stallAfter(timeout))
	p, body := r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	<-time.After(3 * timeout) // the pause
	p.say(chunk("again") + chunk(""))
	reads(t, body, "again")
	p.answer().is(200)
}

// A consumer that closes the moment it has the last byte has been served.
func TestConsumerClosesAtTheLastByte(t *testing.T) {
	r := start(t)
	p := r.dial()
	for range 500 {
		p.post(here, "hello")
		c := r.dial().get(here)
		reads(t, c.head().Body, "hello")
		c.Close()
		p.answer().is(200)
	}
}

func TestConsumerLeavesHalfway(t *testing.T) {
	for name, cut := range cuts {
		for _, framing := range []string{chunked, length(100)} {
			t.Run(name+" "+framing, func(t *testing.T) {
				r := start(t)
				p, c := r.dial().request("POST", here, framing), r.dial()
				if framing == chunked {
					p.say("5\r\n")
				}
				p.say("hello")
				reads(t, c.get(here).head().Body, "hello")
				began := time.Now()
				cut(c)
				p.answer().failed(502, "consumer_left") // though it has nothing to send just now
				if took := time.Since(began); took > atOnce {
					t.Errorf("the producer hears of it after %v", took)
				}
				r.ended(pipe.ConsumerLeft)
				next := r.dial().post(here, "next")
				r.dial().get(here).answer().got("next")
				next.answer().is(200)
			})
		}
	}
}

// The same while the producer sends as fast as it can.
func TestConsumerLeavesAFastProducer(t *testing.T) {
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			p := r.dial().request("POST", here, length(1<<30))
			go io.Copy(p, io.LimitReader(zeros{}, 1<<30))
			c := r.dial().get(here)
			io.CopyN(io.Discard, c.head().Body, 5<<20)
			cut(c)
			p.answer().failed(502, "consumer_left")
			r.vanished()
		})
	}
}
