package pipe

import (
	"errors"
	"strings"
	"testing"
)

// Bytes that the source sends to the sink itself.

func canSplice(p *peer) { p.src.spliced = make(chan int, 10) }

// splices makes n bytes available.
func (p *peer) splices(n int) {
	p.w.t.Helper()
	p.src.spliced <- n
	p.w.settle()
}

func zeros(n int) string { return strings.Repeat("\x00", n) }

// What was read before is written first, and the end is read.
func TestSplice(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.consume("c")
		p := w.produce("p", canSplice, firstBytes("a"))
		c.got("a")
		p.splices(2)
		p.splices(3)
		c.got("a" + zeros(5))
		if got := p.src.read.Load(); got != 1 {
			t.Errorf("%d bytes were read, want 1", got)
		}
		if got := p.request.exchange.Written(); got != 6 {
			t.Errorf("Written is %d, want 6", got)
		}
		p.src.send([]byte("b"), nil)
		p.src.end()
		p.splices(0)
		c.got("a" + zeros(5) + "b")
		p.splices(0)
		p.ends(Delivered)
		c.ends(Delivered)
		w.told("open 1", "match p c", "end p c delivered 7", "close 1 idle 1 7")
	})
}

func TestSpliceFails(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.consume("c")
		p := w.produce("p", canSplice, firstBytes("a"))
		c.sink.writeErr = errors.New("reset")
		p.splices(2)
		p.ends(ConsumerLeft)
		c.ends(ConsumerLeft)
		c.got("a")
	})
}

// A producer that sends nothing is silent. One whose consumer takes nothing is not.
func TestSilenceWhileBytesAreSpliced(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		c := w.consume("c")
		p := w.produce("p", canSplice, firstBytes("a"))
		c.sink.hold()
		p.splices(2)
		w.after(2 * limit)
		c.is(running)
		c.releases()
		w.after(limit - 1)
		p.splices(1)
		w.after(limit - 1)
		c.is(running)
		w.after(1)
		p.ends(Silent)
		c.ends(Silent)
		c.got("a" + zeros(3))
	})
}

func TestCutWhileBytesAreSpliced(t *testing.T) {
	for _, busy := range []bool{false, true} { // in Available, in Splice
		inWorld(t, Config{}, func(w *world) {
			c := w.consume("c")
			p := w.produce("p", canSplice, firstBytes("a"))
			if busy {
				c.sink.hold()
				p.splices(2)
			}
			p.cuts(Stalled)
			p.ends(Stalled)
			c.ends(Stalled)
			c.got("a")
		})
	}
}
