package relay

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// A waiting client that hangs up is out of the queue, and its message is never delivered.

// A death is a way for a waiting client to end, and how soon that must be noticed.
type death struct {
	name string
	die  func(*client)
	soon time.Duration // 0: it cannot be
}

var (
	fin = death{"FIN", (*client).HangUp, atOnce}
	rst = death{"RST", (*client).Reset, atOnce}
)

// pipelined is what may stand behind a request, unread, and hide that the connection ends there.
var pipelined = []string{"", "\r\n", "GET /channels/n/pipelined HTTP/1.1\r\nHost: relay\r\n\r\n"}

func TestDeadProducers(t *testing.T) {
	const expect = "Expect: 100-continue"
	unseen, probed := fin, fin
	unseen.soon, probed.soon = 0, 5*time.Second
	for _, test := range []struct {
		size    int
		headers []string
		deaths  []death
	}{
		{5, nil, []death{fin, rst}},
		{60_000, nil, []death{fin, rst}},
		{100_000, nil, []death{fin, rst}},
		{500_000, nil, []death{unseen, rst}}, // all of it fits into the kernels
		{3 << 20, nil, []death{unseen, rst}},
		{10 << 20, nil, []death{unseen, rst}},
		{5, []string{expect}, []death{fin, rst}},
		{100_000, []string{expect}, []death{fin, rst}},
		{500_000, []string{expect}, []death{probed, rst}},
		{10 << 20, []string{expect}, []death{probed, rst}},
	} {
		for _, death := range test.deaths {
			for _, behind := range pipelined {
				if behind != "" && test.size > 1<<20 {
					continue // the kernel takes nothing behind such a body
				}
				t.Run(fmt.Sprintf("%d %v %s %.3q", test.size, test.headers, death.name, behind), func(t *testing.T) {
					if death.soon == probed.soon {
						t.Parallel()
					}
					deadProducer(t, test.size, test.headers, behind, death)
				})
			}
		}
	}
}

// deadProducer has one die that others wait behind.
func deadProducer(t *testing.T, size int, headers []string, behind string, death death) {
	r := start(t)
	dead := r.dial().Request("POST", here, append(headers, length(size))...)
	r.Waiting(1, 0)
	if len(headers) > 0 {
		reads(t, dead.In, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	dead.Fill(size)
	dead.Say(behind)
	live := r.dial().Post(here, "live")
	r.Waiting(2, 0)
	death.die(dead)
	if death.soon > 0 {
		r.WaitingWithin(death.soon, 1, 0)
	} else {
		r.dial().Get(here).Answer().Truncated()
		r.Ended("producer_left")
	}
	r.dial().Get(here).Answer().Got("live")
	live.Answer().Is(200)
	r.Vanished()
}

func TestDeadConsumers(t *testing.T) {
	for _, behind := range pipelined {
		for _, death := range []death{fin, rst} {
			t.Run(fmt.Sprintf("%s %.3q", death.name, behind), func(t *testing.T) {
				r := start(t)
				dead := r.dial().Get(here).Say(behind)
				r.Waiting(0, 1)
				live := r.dial().Get(here)
				r.Waiting(0, 2)
				death.die(dead)
				r.WaitingWithin(atOnce, 0, 1)
				r.dial().Post(here, "live").Answer().Is(200)
				live.Answer().Got("live")
				r.Vanished()
			})
		}
	}
}

// A consumer with more behind its request than the kernel takes could not be seen to hang up.
func TestConsumerWithMuchBehind(t *testing.T) {
	r := start(t)
	clogged := r.dial().Get(here)
	clogged.Fill(16 << 20)
	r.Waiting(0, 1)
	clogged.Close()
	p := r.dial().Post(here, "live")
	r.Waiting(1, 0)
	r.dial().Get(here).Answer().Got("live")
	p.Answer().Is(200)
}

// TestProducerWithMuchBehind: a producer with so much behind its body that its FIN cannot be seen is never delivered,
// whether its body was read before its exchange began or not.
func TestProducerWithMuchBehind(t *testing.T) {
	const behind = 16 << 20
	for _, size := range []int{0, 5, 60_000, 150_000} {
		for _, framing := range []string{length(size), chunked} {
			for _, death := range []death{fin, {name: "half-close", die: func(c *client) { c.CloseWrite() }}} {
				t.Run(fmt.Sprintf("%d %s %s", size, framing, death.name), func(t *testing.T) {
					r := start(t)
					dead := r.dial().Request("POST", here, framing)
					if framing != chunked {
						dead.Fill(size)
					} else {
						if size > 0 {
							dead.Say(chunk(strings.Repeat("x", size)))
						}
						dead.Say("0\r\n\r\n")
					}
					dead.Fill(behind)
					r.Waiting(1, 0)
					death.die(dead)
					live := r.dial().Post(here, "live")
					r.Waiting(2, 0)
					a := r.dial().Get(here).Answer()
					if size > 64<<10 { // more than the read-ahead, so only the exchange finds out
						a.Truncated()
						r.Ended("producer_left")
						a = r.dial().Get(here).Answer()
					}
					a.Got("live")
					live.Answer().Is(200)
					r.Vanished()
				})
			}
		}
	}
}

// A consumer that hangs up before the first byte, while its producer waits, costs the producer nothing.
func TestConsumerDiesBeforeTheFirstByte(t *testing.T) {
	for _, death := range []death{fin, rst} {
		r := start(t)
		p := r.dial().Request("POST", here, length(5))
		dead := r.dial().Get(here)
		r.Waiting(1, 1)
		death.die(dead)
		r.WaitingWithin(atOnce, 1, 0)
		live := r.dial().Get(here)
		r.Waiting(1, 1)
		p.Say("hello")
		live.Answer().Got("hello")
		p.Answer().Is(200)
	}
}

// A FIN counts as hanging up: a client that only half-closes gets no 200, and nothing is delivered.
func TestHalfClosed(t *testing.T) {
	r := start(t)
	p := r.dial().Post(here, "dead")
	r.Waiting(1, 0)
	p.CloseWrite()
	r.Vanished()
	p.Silence()

	c := r.dial().Get(here)
	r.Waiting(0, 1)
	c.CloseWrite()
	r.Vanished()
	c.Silence()

	// One whose FIN is there before its request's turn comes is dead on arrival.
	const before = 100
	c = r.dial()
	for range before {
		c.Request("HEAD", here)
	}
	c.Get(here).CloseWrite()
	c.Method = "HEAD"
	for range before {
		c.Answer()
	}
	c.Silence()
	r.Vanished()
}

// A consumer that has hung up gets no message, however closely the producer follows.
func TestMessagesAreNotLostToGoneClients(t *testing.T) {
	r := start(t)
	for i := range 200 {
		dead := r.dial().Get(here)
		r.Waiting(0, 1)
		dead.Close()
		p := r.dial().Post(here, fmt.Sprint("message ", i))
		r.Waiting(1, 0)
		r.dial().Get(here).Answer().Got(fmt.Sprint("message ", i))
		p.Answer().Is(200)
	}
}

// The body of a GET is dropped, and hinders no other request.
func TestGetWithABody(t *testing.T) {
	r := start(t)
	c := r.dial().Get(here, length(5)).Say("hello")
	r.Waiting(0, 1)
	p := r.dial().Post(here, "message")
	c.Answer().Got("message")
	p.Answer().Is(200)

	r.dial().Get(here, length(5)) // and sends none of it
	never := r.dial().Get(here, chunked)
	p = r.dial().Post(here, "message")
	c.Get(here).Answer().Got("message")
	p.Answer().Is(200)
	never.Say("zz\r\n")
	if rest, _ := io.ReadAll(never.In); len(rest) > 0 && string(rest[:12]) != "HTTP/1.1 400" {
		t.Errorf("a malformed body is answered with %q", rest)
	}
}
