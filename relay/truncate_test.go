package relay

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"httpipe/pipe"
)

// A body that did not arrive whole never looks whole.

// cuts are the ways in which a producer's connection ends.
var cuts = map[string]func(*client){
	"FIN":        (*client).HangUp,
	"half-close": func(c *client) { c.CloseWrite() },
	"RST":        (*client).Reset,
}

func TestProducerLeavesHalfway(t *testing.T) {
	for name, cut := range cuts {
		for _, framing := range []string{chunked, length(10), spliced} {
			t.Run(name+" "+framing, func(t *testing.T) {
				r := start(t)
				p, body := r.halfway(framing, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
				cut(p)
				if rest, err := io.ReadAll(body); err == nil {
					t.Errorf("%q looks whole", rest)
				}
				r.Ended(pipe.ProducerLeft)
				r.Vanished()
			})
		}
	}
}

// To an HTTP/1.0 client without a length a closed connection is a whole body, so it gets a reset.
func TestProducerLeavesHalfwayHTTP10(t *testing.T) {
	const get = "GET " + here + " HTTP/1.0\r\n\r\n"
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			p, body := r.halfway(chunked, get)
			cut(p)
			if rest, err := io.ReadAll(body); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("without a length: %q, %v, want a reset", rest, err)
			}
			r.Ended(pipe.ProducerLeft)

			p, body = r.halfway(length(10), get)
			cut(p)
			if rest, err := io.ReadAll(body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("with a length: %q, %v, want an early end", rest, err)
			}
			r.Ended(pipe.ProducerLeft)
		})
	}
}

// A producer that is still there is told of a body that is malformed.
func TestMalformedBody(t *testing.T) {
	for _, bad := range []string{"zz\r\n", "5;" + strings.Repeat("x", 10_000) + "\r\n", "-1\r\n", "5\r\nhelloXX0\r\n\r\n",
		"0\r\nX y\r\n\r\n", "0\r\na: b\r\n: c\r\n\r\n", "0\r\nX y: z\r\n\r\n"} {
		r := start(t)
		p, body := r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
		p.Say(bad)
		if rest, err := io.ReadAll(body); err == nil {
			t.Errorf("%.20q: %q looks whole", bad, rest)
		}
		a := p.Answer().Failed(400, "producer_left")
		if !strings.Contains(a.Text, "malformed") {
			t.Errorf("%.20q: the producer is told %q", bad, a.Text)
		}
		r.Ended(pipe.ProducerLeft)
	}
}

// Before the exchange begins the consumer is not concerned.
func TestMalformedBodyBeforeTheFirstByte(t *testing.T) {
	r := start(t)
	c := r.dial().Get(here)
	r.Waiting(0, 1)
	r.dial().Request("POST", here, chunked).Say("zz\r\n").Answer().Failed(400, "bad_request")
	r.Waiting(0, 1)
	r.dial().Post(here, "hello").Answer().Is(200)
	c.Answer().Got("hello")
}

// A producer that leaves without any byte of what it announced costs the consumer nothing.
func TestProducerLeavesBeforeTheFirstByte(t *testing.T) {
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			c := r.dial().Get(here)
			r.Waiting(0, 1)
			p := r.dial().Request("POST", here, length(10))
			r.Waiting(1, 1)
			cut(p)
			r.Waiting(0, 1)
			r.dial().Post(here, "hello").Answer().Is(200)
			c.Answer().Got("hello")
			if name == "half-close" {
				p.Silence()
			}
		})
	}
}

// What the server itself ends looks no better.
func TestDeletedHalfway(t *testing.T) {
	for name, get := range map[string]string{"1.1": "GET " + here + " HTTP/1.1\r\nHost: relay\r\n\r\n", "1.0": "GET " + here + " HTTP/1.0\r\n\r\n"} {
		for _, framing := range []string{chunked, length(10), spliced} {
			t.Run(name+" "+framing, func(t *testing.T) {
				r := start(t)
				p, body := r.halfway(framing, get)
				r.dial().Request("DELETE", here).Answer().Is(204)
				if rest, err := io.ReadAll(body); err == nil {
					t.Errorf("%q looks whole", rest)
				}
				p.Answer().Failed(410, "deleted")
				r.Ended(pipe.Deleted)
			})
		}
	}
}

// GNU wget takes the end of the connection in the middle of a chunk for the end of the body.
func TestEndInAChunkIsAReset(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *settings) { c.StallTimeout = 500 * time.Millisecond })
	r.dial().Request("POST", here, chunked).Upload(chunk(strings.Repeat("x", 20<<20))) // more than the kernels hold
	c := r.dial().Get(here)
	r.Ended(pipe.Stalled)
	if n, err := io.Copy(io.Discard, c); n == 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after %d bytes the connection ends with %v, want a reset", n, err)
	}
}

// A version that net/http takes and the engine does not is answered as HTTP/1.1.
func TestProducerLeavesHalfwayLaterVersion(t *testing.T) {
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			p, body := r.halfway(chunked, "GET "+here+" HTTP/1.2\r\nHost: relay\r\n\r\n")
			cut(p)
			if rest, err := io.ReadAll(body); err == nil {
				t.Errorf("%q looks whole", rest)
			}
			r.Ended(pipe.ProducerLeft)
		})
	}
}
