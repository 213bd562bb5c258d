package relay

import (
	"io"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
)

// Consumers that are slow, that stop, and that leave.

// A blocked writer is woken only when a third of a send buffer of 4 MB is free, which takes this consumer longer than the
// timeout, although it reads all the time. The timeout is so long that a pause of a busy machine is shorter. The consumer
// takes the rest, which fits into the buffers, as fast as it can.
func TestASlowConsumerIsNotStalled(t *testing.T) {
	t.Parallel()
	const size, slowly, rate = 6 << 20, 5 << 19, 250_000
	r := start(t, stallAfter(3*time.Second))
	c := r.dial()
	c.SetReadBuffer(64 << 10)
	p := r.dial().Post(here, strings.Repeat("x", size))
	body := c.Get(here).Head().Body
	total := 0
	for tick := time.Tick(20 * time.Millisecond); total < slowly; <-tick {
		n, err := io.CopyN(io.Discard, body, min(rate/50, size-int64(total)))
		total += int(n)
		if err != nil {
			t.Fatalf("cut off after %d bytes: %v; the producer gets %d", total, err, p.Answer().StatusCode)
		}
	}
	if n, err := io.Copy(io.Discard, body); err != nil || total+int(n) != size {
		t.Fatalf("cut off after %d bytes: %v", total+int(n), err)
	}
	p.Answer().Is(200)
}

func TestAStalledConsumer(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	for _, test := range []struct{ framing, version string }{{length(50 << 20), "1.1"}, {chunked, "1.1"}, {length(50 << 20), "1.0"}, {chunked, "1.0"}} {
		r := start(t, stallAfter(timeout))
		p := r.dial().Request("POST", here, test.framing)
		if test.framing == chunked {
			p.Say("3200000\r\n")
		}
		go io.Copy(p, io.LimitReader(zeros{}, 50<<20))
		began := time.Now()
		c := r.dial().Say("GET " + here + " HTTP/" + test.version + "\r\nHost: relay\r\n\r\n")
		body := c.Head().Body
		p.Answer().Failed(504, "stalled")
		if took := time.Since(began); took < timeout || took > timeout*5/4+noise {
			t.Errorf("it took %v", took)
		}
		if n, err := io.Copy(io.Discard, body); err == nil {
			t.Errorf("%d bytes look whole", n)
		}
		r.Ended(pipe.Stalled)
		r.Vanished()
	}
}

// A producer with nothing to send does not make its consumer a stalled one.
func TestAPauseIsNoStall(t *testing.T) {
	t.Parallel()
	const timeout = 80 * time.Millisecond
	r := start(t, stallAfter(timeout))
	p, body := r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	<-time.After(3 * timeout) // the pause
	p.Say(chunk("again") + chunk(""))
	reads(t, body, "again")
	p.Answer().Is(200)
}

// A consumer that closes the moment it has the last byte has been served.
func TestConsumerClosesAtTheLastByte(t *testing.T) {
	r := start(t)
	p := r.dial()
	for range 500 {
		p.Post(here, "hello")
		c := r.dial().Get(here)
		reads(t, c.Head().Body, "hello")
		c.Close()
		p.Answer().Is(200)
	}
}

func TestConsumerLeavesHalfway(t *testing.T) {
	for name, cut := range cuts {
		for _, framing := range []string{chunked, length(100), spliced} {
			t.Run(name+" "+framing, func(t *testing.T) {
				r := start(t)
				p, c := r.dial().Request("POST", here, framing), r.dial()
				if framing == chunked {
					p.Say("5\r\n")
				}
				p.Say("hello")
				reads(t, c.Get(here).Head().Body, "hello")
				began := time.Now()
				cut(c)
				p.Answer().Failed(502, "consumer_left") // though it has nothing to send just now
				if took := time.Since(began); took > atOnce {
					t.Errorf("the producer hears of it after %v", took)
				}
				r.Ended(pipe.ConsumerLeft)
				next := r.dial().Post(here, "next")
				r.dial().Get(here).Answer().Got("next")
				next.Answer().Is(200)
			})
		}
	}
}

// The same while the producer sends as fast as it can.
func TestConsumerLeavesAFastProducer(t *testing.T) {
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			p := r.dial().Request("POST", here, length(1<<30))
			go io.Copy(p, io.LimitReader(zeros{}, 1<<30))
			c := r.dial().Get(here)
			io.CopyN(io.Discard, c.Head().Body, 5<<20)
			cut(c)
			p.Answer().Failed(502, "consumer_left")
			r.Vanished()
		})
	}
}
