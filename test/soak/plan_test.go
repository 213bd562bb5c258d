//go:build linux

package soak

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A client draws at random what it does next: channel, role, and how it behaves, well or badly.

// The limits of the server. Some plans break them.
const (
	waitLimit    = 4 * time.Second
	stallLimit   = 1500 * time.Millisecond
	silenceLimit = 1500 * time.Millisecond
	drainLimit   = 2 * time.Second
	sizeLimit    = 12 << 20
)

// A closing is a way to close a connection.
type closing string

const (
	byFIN   closing = "FIN"
	byReset closing = "reset"
	byHalf  closing = "half-close" // it sends a FIN and continues to read, which counts as leaving
)

// A plan is what a client does with one request.
type plan struct {
	role     string
	channel  string // with its namespace
	http10   bool
	keep     bool          // uses the connection for the next request, too
	wait     time.Duration // the wait that it asks for; negative: none
	prefer   bool          // asks with Prefer instead of the query
	patience time.Duration // hangs up after this time without an answer (producer) or a response (consumer)
	how      closing

	out  chan struct{} // closed when the head of the request is written,
	cue  chan struct{} // hangs up when this is closed,
	gone chan struct{} // closed when it has hung up

	hangsUp  bool // hangs up at hangUpAt
	hangUpAt int64
	piece    int64         // how much it sends or reads at a time
	pace     time.Duration // between the pieces

	// For a producer.
	size      int64
	chunked   bool
	malformed bool
	expect    bool
	pause     time.Duration // at pauseAt
	pauseAt   int64

	// For a consumer.
	small     bool          // has a small receive buffer
	pipelined bool          // sends more bytes after its request
	stall     time.Duration // at pauseAt: reads nothing
}

// channels are the channels that clients use. A channel that is listed more often gets more requests.
var channels = slices.Concat(
	slices.Repeat([]string{"soak-a/quick0", "soak-a/quick1", "soak-b/quick2"}, 8),
	slices.Repeat([]string{"soak-a/mixed0", "soak-a/mixed1", "soak-b/mixed2", "soak-b/mixed3", "soak-b/large0", "soak-b/large1"}, 2),
	[]string{"soak-c/lonely"},
)

func chance(rng *rand.Rand, percent int) bool { return rng.IntN(100) < percent }

// between draws a time.
func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)))
}

func drawRole(rng *rand.Rand, channel string) string {
	most := 50
	if strings.Contains(channel, "lonely") {
		most = 95
	}
	if chance(rng, most) {
		return "producer"
	}
	return "consumer"
}

// draw draws a plan for a request.
func draw(rng *rand.Rand, channel, role string) plan {
	p := plan{
		role:     role,
		channel:  channel,
		keep:     chance(rng, 60),
		wait:     -1,
		prefer:   chance(rng, 30),
		patience: capTime,
		how:      []closing{byFIN, byReset, byHalf}[rng.IntN(3)],
		piece:    64 << 10,
	}
	quick := strings.Contains(channel, "quick")
	switch {
	case quick && chance(rng, 80):
	case chance(rng, 5):
		p.wait = 0
	case chance(rng, 20):
		p.wait = between(rng, time.Millisecond, time.Second).Round(time.Millisecond)
	case chance(rng, 40):
		p.patience = between(rng, time.Millisecond, 700*time.Millisecond)
	case chance(rng, 5):
		p.patience = between(rng, time.Millisecond, 10*time.Millisecond)
	}
	if role == "producer" {
		p.drawProducer(rng, quick)
	} else {
		p.drawConsumer(rng, quick)
	}
	return p
}

func (p *plan) drawProducer(rng *rand.Rand, quick bool) {
	p.size = drawSize(rng, p.channel)
	p.chunked = chance(rng, 40)
	p.http10 = !p.chunked && chance(rng, 10)
	p.expect = !p.http10 && p.size > 0 && chance(rng, 20)
	p.piece = min(64<<10, 1+p.size/(1+rng.Int64N(20)))
	if quick || p.size == 0 {
		return
	}
	switch rng.IntN(10) {
	case 0:
		p.hangsUp, p.hangUpAt = true, rng.Int64N(p.size)
	case 1:
		p.pace = between(rng, time.Millisecond, 20*time.Millisecond)
	case 2:
		p.pauseAt, p.pause = rng.Int64N(p.size), between(rng, time.Millisecond, time.Second)
	case 3:
		if chance(rng, 30) { // it is silent for too long
			p.pauseAt, p.pause = rng.Int64N(2)*rng.Int64N(p.size), silenceLimit+between(rng, 500*time.Millisecond, time.Second)
		}
	case 4:
		p.malformed = p.chunked && chance(rng, 30)
	}
}

// drawSize draws the size of a message: empty, small, larger than the read-ahead, or larger than the socket buffers.
func drawSize(rng *rand.Rand, channel string) int64 {
	small := []int64{0, numberLength, 100, 3000, 60 << 10}[rng.IntN(5)]
	switch {
	case strings.Contains(channel, "quick") || chance(rng, 60):
		return small
	case strings.Contains(channel, "large"):
		if chance(rng, 5) {
			return sizeLimit + 1
		}
		return 1<<20 + rng.Int64N(9<<20)
	case chance(rng, 70):
		return numberLength + rng.Int64N(300<<10)
	default:
		return numberLength + rng.Int64N(2<<20)
	}
}

func (p *plan) drawConsumer(rng *rand.Rand, quick bool) {
	p.http10 = chance(rng, 15)
	p.pipelined = chance(rng, 8)
	if quick {
		return
	}
	switch large := strings.Contains(p.channel, "large"); rng.IntN(8) {
	case 0: // it is slow
		p.small, p.piece, p.pace = true, 16<<10, between(rng, time.Millisecond, 5*time.Millisecond)
	case 1:
		p.hangsUp, p.hangUpAt = true, rng.Int64N(100<<10)
		if large {
			p.hangUpAt = rng.Int64N(6 << 20)
		}
	case 2:
		if large || chance(rng, 20) {
			p.small, p.pauseAt, p.stall = true, rng.Int64N(1<<20), stallLimit+between(rng, 700*time.Millisecond, 1500*time.Millisecond)
		}
	}
}

// A deletion is a DELETE and when it was made.
type deletion struct {
	name            string // a channel's, or "namespace/" for all of it
	asked, answered time.Time
}

// live makes requests until stop is closed.
func (c *client) live(stop <-chan struct{}) {
	defer c.close()
	for !isClosed(stop) {
		connected := true
		switch {
		case c.rng.IntN(500) == 0:
			c.run.delete(c.drawDeletion())
		case chance(c.rng, 2):
			path := []string{"/state", "/channels/namespaces", "/channels/soak-a", "/channels/soak-b/mixed2"}[c.rng.IntN(4)]
			if resp, err := c.run.http.Head("http://" + c.run.relay.addr + path); err == nil {
				resp.Body.Close()
			}
		default:
			channel := channels[c.rng.IntN(len(channels))]
			connected = c.do(draw(c.rng, channel, drawRole(c.rng, channel)))
		}
		pause := between(c.rng, time.Microsecond, 30*time.Millisecond)
		if !connected {
			pause += 20 * time.Millisecond // the server is down
		}
		if !connected || chance(c.rng, 70) {
			rest(pause, stop) // or else the next request comes as soon as the last one has been answered
		}
	}
}

func (c *client) drawDeletion() string {
	name := channels[c.rng.IntN(len(channels))]
	if chance(c.rng, 20) {
		name, _, _ = strings.Cut(name, "/")
		name += "/"
	}
	return name
}
