//go:build linux

package soak

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// What the soak's clients mean to do is drawn by lot: on which channel, in which role, and in which of the ways that
// clients have of going about it, good and bad.

// These are the server's limits, which plans keep or break.
const (
	waitLimit    = 4 * time.Second
	stallLimit   = 1500 * time.Millisecond
	silenceLimit = 1500 * time.Millisecond
	drainLimit   = 2 * time.Second
	sizeLimit    = 12 << 20
)

// A farewell is a way to hang up.
type farewell string

const (
	byFIN   farewell = "FIN"
	byReset farewell = "reset"
	byHalf  farewell = "half-close" // it sends a FIN and goes on reading, which counts as having left
)

// A plan is what a client means to do with a request.
type plan struct {
	role     string
	channel  string // with its namespace
	http10   bool
	keep     bool          // the connection for the next request
	wait     time.Duration // asked for; negative: not at all
	prefer   bool          // asked for with Prefer, not in the query
	patience time.Duration // how long until it hangs up if there is no answer; a consumer: no response
	how      farewell

	out  chan struct{} // it closes this when the head of the request is written,
	cue  chan struct{} // hangs up when this is closed,
	gone chan struct{} // and closes this when it has

	dies  bool // hangs up
	dieAt int64
	piece int64         // how much it sends or reads at a time
	pace  time.Duration // between the pieces

	// A producer's.
	size      int64
	chunked   bool
	malformed bool
	expect    bool
	pause     time.Duration // at pauseAt
	pauseAt   int64

	// A consumer's.
	small     bool          // its kernel takes little ahead of it
	pipelined bool          // it sends more bytes behind its request
	stall     time.Duration // at pauseAt: reads nothing
}

// channels are where the storm is, each as often as it gets requests.
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
		how:      []farewell{byFIN, byReset, byHalf}[rng.IntN(3)],
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
		p.dies, p.dieAt = true, rng.Int64N(p.size)
	case 1:
		p.pace = between(rng, time.Millisecond, 20*time.Millisecond)
	case 2:
		p.pauseAt, p.pause = rng.Int64N(p.size), between(rng, time.Millisecond, time.Second)
	case 3:
		if chance(rng, 30) { // it is too silent
			p.pauseAt, p.pause = rng.Int64N(2)*rng.Int64N(p.size), silenceLimit+between(rng, 500*time.Millisecond, time.Second)
		}
	case 4:
		p.malformed = p.chunked && chance(rng, 30)
	}
}

// drawSize draws the size of a message: with or without anything, more than a read-ahead, more than fits the kernels.
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
		p.dies, p.dieAt = true, rng.Int64N(100<<10)
		if large {
			p.dieAt = rng.Int64N(6 << 20)
		}
	case 2:
		if large || chance(rng, 20) {
			p.small, p.pauseAt, p.stall = true, rng.Int64N(1<<20), stallLimit+between(rng, 700*time.Millisecond, 1500*time.Millisecond)
		}
	}
}

// A deletion is what somebody knows of a DELETE.
type deletion struct {
	name            string // a channel's, or "namespace/" for all of it
	asked, answered time.Time
}

// live is a client's life: it does this and that until the storm is over.
func (c *client) live(calm <-chan struct{}) {
	defer c.close()
	for !isClosed(calm) {
		here := true
		switch {
		case c.rng.IntN(500) == 0:
			c.storm.delete(c.drawDeletion())
		case chance(c.rng, 2):
			path := []string{"/state", "/channels/namespaces", "/channels/soak-a", "/channels/soak-b/mixed2"}[c.rng.IntN(4)]
			if resp, err := c.storm.http.Head("http://" + c.storm.relay.addr + path); err == nil {
				resp.Body.Close()
			}
		default:
			channel := channels[c.rng.IntN(len(channels))]
			here = c.do(draw(c.rng, channel, drawRole(c.rng, channel)))
		}
		pause := between(c.rng, time.Microsecond, 30*time.Millisecond)
		if !here {
			pause += 20 * time.Millisecond // nobody listens
		}
		rest(pause, calm)
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
