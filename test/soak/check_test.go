//go:build linux

package soak

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The checker: invariants that hold for every history, whatever the clients and faults did. It relies on what clients know
// for certain. If one event is known to have ended before another began, it allows no exception. Where only the clock can
// tell, it allows for a busy machine, and ignores times in which the machine was too busy (history.late).
//
// This file has the promises to clients. The invariants of the log are in log_test.go.

// invariants are checked for every history.
var invariants = []struct {
	name  string
	check func(*history, func(format string, args ...any))
}{
	{"answered", (*history).answered},
	{"truth", (*history).truth},
	{"once", (*history).once},
	{"gone", (*history).gone},
	{"whole", (*history).whole},
	{"order", (*history).order},
	{"single", (*history).single},
	{"recorded", (*history).recorded},
	{"agreement", (*history).agreement},
	{"causes", (*history).causes},
	{"deletes", (*history).deletes},
	{"lives", (*history).addUp},
}

const (
	// resolution is how far two times of one moment may differ in the log, which rounds them.
	resolution = 2 * time.Millisecond
	// promptly is how soon a client that hangs up must lose its place in the queue.
	promptly = 300 * time.Millisecond
	// busy is how long anything may take on a busy machine.
	busy = 500 * time.Millisecond
)

// answered: a client that stays gets an answer in time, unless the server is killed.
func (h *history) answered(report func(string, ...any)) {
	for _, n := range h.notes {
		switch {
		case n.status == 0 && n.done.Sub(n.begun) > capTime:
			report("no answer in the longest time that a request may take: %v", n)
		case !n.stayed() || h.killed(n):
		case n.status == 0 && h.stopping(n.begun, n.done) && !h.stopping(n.begun, n.asked.Add(busy)):
			if !h.late(n.begun, n.done) {
				report("waited when the server was stopped, and got no answer: %v", n)
			}
		case n.status == 0 && h.stopping(n.begun, n.done):
		case n.role == "consumer" && n.status <= 200 && !n.complete:
			// Broken off; the invariant agreement checks the reason.
			if len(n.exchanges) == 0 {
				report("broken off without an exchange: %v", n)
			}
		case n.status == 0 || !n.complete:
			report("no answer: %v", n)
		}
	}
}

// truth: for every 200 the log has the outcome delivered with all bytes, and the consumer got them unless it hung up. No 200
// is sent before the last byte of the body.
func (h *history) truth(report func(string, ...any)) {
	for _, n := range h.notes {
		if n.role != "producer" || n.status != 200 {
			continue
		}
		if len(n.exchanges) != 1 || n.exchanges[0].outcome != "delivered" || n.exchanges[0].id != n.exchange {
			report("a 200, and the log does not have it as delivered: %v", n)
			continue
		}
		x := n.exchanges[0]
		consumer := x.side[1]
		switch {
		case n.sent != n.size || n.last.IsZero() || n.malformed:
			report("a 200 for half a message: %v", n)
		case x.bytes != n.size:
			report("the log has %d bytes: %v", x.bytes, n)
		case consumer.stayed() && (!consumer.complete || consumer.got != n.size) && !(consumer.pipelined && h.killed(consumer)):
			report("a 200, and the consumer did not get all of it: %v\n\t%v", n, consumer)
		case !consumer.known.IsZero() && consumer.known.Before(n.last):
			report("a 200, and the consumer had left before the last byte was sent: %v\n\t%v", n, consumer)
		}
	}
}

// once: no message, nor part of one, goes to two consumers, and each goes to the consumer that the log names.
func (h *history) once(report func(string, ...any)) {
	first := make(map[int]*note)
	ids := make(map[string]*note)
	for _, n := range h.notes {
		if n.status != 200 {
			continue
		}
		if other := ids[n.role+n.exchange]; other != nil {
			report("two in one role in exchange %s: %v\n\t%v", n.exchange, n, other)
		}
		ids[n.role+n.exchange] = n
		if n.role != "consumer" || n.message == 0 {
			continue
		}
		if other := first[n.message]; other != nil {
			report("two got message %d: %v\n\t%v", n.message, n, other)
		}
		first[n.message] = n
		if len(n.exchanges) > 0 && n.exchanges[0].side[0].number != n.message {
			report("another message than the log says: %v", n)
		}
	}
}

// gone: a client that has left is not matched: never with a client that came later, and not for long with one that was there.
func (h *history) gone(report func(string, ...any)) {
	for _, x := range h.exchanges {
		for i, n := range x.side {
			other := x.side[1-i]
			switch {
			case n.stayed():
			case !n.known.IsZero() && other.begun.After(n.known):
				report("the kernel of the server knew that the %s had left when the other came: %v\n\t%v", n.role, n, other)
			case h.late(n.left, x.matched):
			case (!n.known.IsZero() || n.how == byReset) && x.matched.After(n.left.Add(promptly)):
				report("the %s had left: %v\n\t%v", n.role, n, other)
			case n.role == "producer" && x.matched.After(n.left.Add(promptly)) && x.outcome == "delivered":
				report("the producer had left, hidden behind a large body, and its message is delivered: %v\n\t%v", n, other)
			case n.expect && x.matched.After(n.left.Add(5*time.Second+busy)):
				report("the producer had left, and a 100 Continue would have shown it: %v\n\t%v", n, other)
			}
		}
	}
	for _, r := range h.requests {
		if n := r.note; r.outcome == "left" && (!n.known.IsZero() || n.how == byReset) && r.ended.After(n.left.Add(promptly+busy)) && !h.late(n.left, r.ended) {
			report("the server took too long to notice that the client had left: %v", n)
		}
	}
}

// whole: a body that ends properly is a complete message of this channel; a body that breaks off is a part of one.
func (h *history) whole(report func(string, ...any)) {
	producers := make(map[int]*note)
	for _, n := range h.notes {
		if n.role == "producer" {
			producers[n.number] = n
		}
	}
	for _, n := range h.notes {
		if n.role != "consumer" {
			continue
		}
		producer := producers[n.message]
		switch {
		case n.status != 200:
			if n.got > 0 && n.status != 400 {
				report("a consumer got text that is not a message: %v", n)
			}
		case n.got == 0 && n.complete:
			if len(n.exchanges) == 1 && n.exchanges[0].side[0].size > 0 {
				report("a message arrived as an empty body: %v", n)
			}
		case n.got < numberLength && !n.complete:
		case producer == nil || n.wrong || producer.channel != n.channel || n.got > producer.size:
			report("a consumer got what no producer sent: %v", n)
		case n.complete && (n.got != producer.size || producer.malformed):
			report("an incomplete body looks complete: %v\n\t%v", n, producer)
		}
	}
}

// findings are the violations of each invariant: how many, and the text of the first few. Only the test's goroutine uses it.
type findings struct {
	count map[string]int
	texts map[string][]string
}

func newFindings() *findings {
	return &findings{count: make(map[string]int), texts: make(map[string][]string)}
}

func (f *findings) add(name, format string, args ...any) {
	f.count[name]++
	if len(f.texts[name]) < 3 {
		f.texts[name] = append(f.texts[name], fmt.Sprintf(format, args...))
	}
}

func (f *findings) any() bool { return len(f.count) > 0 }

func (f *findings) report(t *testing.T) {
	t.Helper()
	for name, n := range f.count {
		t.Errorf("%s: %d violations, such as\n\t%s", name, n, strings.Join(f.texts[name], "\n\t"))
	}
}
