package pipe

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// How exchanges end.

func TestBodyFails(t *testing.T) {
	tests := []struct {
		name        string
		err         error
		waits, runs Outcome
	}{
		{"any error", errors.New("reset"), Left, ProducerLeft},
		{"too large", fmt.Errorf("reading: %w", TooLarge), TooLarge, TooLarge},
		{"malformed", fmt.Errorf("reading: %w", ProducerLeft), ProducerLeft, ProducerLeft},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) { // before the producer is ready
				p, c := w.produce("p"), w.consume("c")
				p.fails(test.err)
				p.ends(test.waits)
				c.is(waiting)
			})
			inWorld(t, Config{}, func(w *world) { // while a ready producer waits for a consumer
				p := w.produce("p", firstBytes("x"))
				p.fails(test.err)
				p.ends(test.waits)
				w.told("open 1", "unmatched p "+string(test.waits), "close 1 idle 0 0")
			})
			inWorld(t, Config{}, func(w *world) { // with its first bytes
				p, c := w.produce("p"), w.consume("c")
				p.src.send([]byte("x"), test.err)
				w.settle()
				p.ends(test.waits)
				c.is(waiting)
			})
			inWorld(t, Config{}, func(w *world) { // during the exchange
				p, c := w.produce("p", firstBytes("abc")), w.consume("c")
				p.fails(test.err)
				p.ends(test.runs)
				c.ends(test.runs)
				c.got("abc")
			})
			inWorld(t, Config{}, func(w *world) { // during the exchange, with its last bytes
				p, c := w.produce("p", firstBytes("abc")), w.consume("c")
				p.src.send([]byte("de"), test.err)
				w.settle()
				c.ends(test.runs)
				c.got("abcde")
			})
		})
	}
}

func TestConsumerLeavesWhileTheProducerIsIdle(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.consume("c")
		c.leaves()
		c.ends(ConsumerLeft)
		p.ends(ConsumerLeft)
		w.told("open 1", "match p c", "end p c consumer_left 1", "close 1 idle 1 1")
	})
}

func TestConsumerLeavesDuringAWrite(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.held("c")
		c.leaves()
		c.ends(ConsumerLeft)
		p.ends(ConsumerLeft)
		c.got("")
	})
}

// The end of the body has been read, but the relay is still writing the bytes before it.
func TestConsumerLeavesBeforeTheEndIsHandedOut(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.held("c")
		p.finishes()
		c.leaves()
		c.ends(ConsumerLeft)
		p.ends(ConsumerLeft)
	})
	inWorld(t, Config{}, func(w *world) { // a failed body has no last byte
		p, c := w.produce("p", firstBytes("x")), w.held("c")
		p.src.send([]byte("y"), TooLarge)
		c.sink.releaseOne()
		w.settle()
		c.leaves()
		c.ends(ConsumerLeft)
		c.got("x")
	})
}

func TestConsumerLeavesAfterTheLastByteWasHandedOut(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", whole("x")), w.held("c")
		c.leaves()
		c.is(running)
		c.releases()
		c.ends(Delivered)
		p.ends(Delivered)
		c.got("x")
	})
}

// Leave was not called, but the relay calls Alive before it writes the last byte.
func TestConsumerIsDeadAtTheLastByte(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.consume("c")
		c.hungUp.Store(true)
		p.src.send([]byte("y"), nil)
		p.finishes()
		p.ends(ConsumerLeft)
		c.ends(ConsumerLeft)
	})
}

// The exchange of an empty body has begun, but its relay has not.
func TestConsumerLeavesBeforeAnEmptyBodyIsRelayed(t *testing.T) {
	matched := make(commit)
	inWorld(t, Config{Strict: true}, func(w *world) {
		matched = make(commit)
		w.journal.matched = matched
		p, c := w.produce("p", whole("")), w.consume("c")
		c.leaves()
		matched <- nil
		w.settle()
		c.ends(ConsumerLeft)
		p.ends(ConsumerLeft)
	})
}

// A producer hangs up while it waits, with the rest of its body in kernel buffers: the body can be read to its end, but
// the producer has left. A producer that leaves after its whole body has been read does no harm.
func TestBodyOfADeadProducer(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.consume("c")
		p.leaves()
		c.is(running) // until the end of the body is read
		p.sends("y")
		p.src.send([]byte("z"), io.EOF)
		w.settle()
		p.ends(ProducerLeft)
		c.ends(ProducerLeft)
		c.got("xy") // with the rest the body could look whole

		q, held := w.produce("q", whole("x")), w.consume("held", func(p *peer) { p.sink.hold() })
		q.leaves()
		held.releases()
		held.ends(Delivered)
	})
}

func TestSinkFails(t *testing.T) {
	broken := errors.New("broken pipe")
	sinks := map[string]option{
		"write": func(p *peer) { p.sink.writeErr = broken },
		"flush": func(p *peer) { p.sink.flushErr = broken },
		"panic": func(p *peer) { p.sink.panics = true },
	}
	for name, bad := range sinks {
		for _, body := range []option{whole("x"), whole(""), firstBytes("x")} {
			t.Run(name, func(t *testing.T) {
				inWorld(t, Config{}, func(w *world) {
					p1 := w.produce("p1", body)
					w.consume("c1", bad)
					p1.ends(ConsumerLeft)
					w.produce("p2", whole("2"))
					w.consume("c2").got("2")
				})
			})
		}
	}
}

// A source that panics ends its own exchange and does not harm the channel.
func TestSourcePanics(t *testing.T) {
	explode := func(p *peer) { p.src.panics = true }
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", explode), w.consume("c")
		p.fails(errors.New("boom"))
		p.ends(ProducerLeft)
		c.is(waiting)
	})
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", explode, firstBytes("x")), w.consume("c")
		p.fails(errors.New("boom"))
		p.ends(ProducerLeft)
		c.ends(ProducerLeft)
		w.looks(0, 0, false)
	})
}

func TestCut(t *testing.T) {
	inWorld(t, Config{}, func(w *world) { // while Write blocks
		p, c := w.produce("p", whole("x")), w.held("c")
		c.cuts(Stalled)
		p.ends(Stalled)
		c.ends(Stalled)
		w.told("open 1", "match p c", "end p c stalled 0", "close 1 idle 1 0")
	})
	inWorld(t, Config{}, func(w *world) { // while next blocks
		p, c := w.produce("p", firstBytes("x")), w.consume("c")
		c.cuts(Stalled)
		p.ends(Stalled)
		c.ends(Stalled)
	})
}

// Bytes that have been read but not written when the cut comes are dropped.
func TestCutDropsBufferedBytes(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.held("c", stubborn)
		p.sends("y")
		p.finishes()
		c.cuts(Stalled)
		c.releases()
		p.ends(Stalled)
		c.ends(Stalled)
		c.got("x")
	})
}

func TestOnlyTheFirstCutCounts(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.held("c", stubborn)
		c.cuts(Stalled)
		c.cuts(ShutDown)
		c.leaves()
		c.is(running)
		c.releases()
		p.ends(Stalled)
		c.ends(Stalled)
	})
}

// A cut during the write of the last byte does not change the outcome.
func TestCutTooLate(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", whole("x")), w.held("c", stubborn)
		c.cuts(Stalled)
		c.releases()
		p.ends(Delivered)
		c.ends(Delivered)
	})
}

func TestCutAfterTheEnd(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", whole("x")), w.consume("c")
		c.cuts(Stalled)
		p.ends(Delivered)
		if c.sink.interrupted() {
			t.Error("the consumer was interrupted after its exchange had ended")
		}
	})
}

// A cut decides the outcome even if it makes the sink panic.
func TestCutBeforeASinkPanic(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.held("c", stubborn)
		c.sink.panics = true
		c.cuts(Stalled)
		c.releases()
		p.ends(Stalled)
	})
}

func TestExchangeFields(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		start := time.Now()
		p := w.produce("p", firstBytes("abc"))
		w.after(time.Second)
		c := w.consume("c")
		x := c.request.exchange
		if x.ID != "x1" || x.Key != home || x.Life != 1 || x.Producer != p.request || x.Consumer != c.request {
			t.Errorf("exchange %+v", x)
		}
		if got := x.MatchedAt.Sub(start); got != time.Second {
			t.Errorf("matched after %v", got)
		}
		if x.Written() != 3 {
			t.Errorf("Written = %d, want 3", x.Written())
		}
		w.after(time.Second)
		p.finishes()
		if p.request.exchange != x || x.Outcome != Delivered || x.Bytes != 3 || x.EndedAt.Sub(start) != 2*time.Second {
			t.Errorf("ended exchange %+v", x)
		}
	})
}

func TestBodyRead(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		cut, read := w.produce("cut", firstBytes("x")), w.produce("read", whole("x"))
		w.deletes(home, true)
		if cut.request.BodyRead() || !read.request.BodyRead() {
			t.Errorf("BodyRead = %v and %v, want false and true", cut.request.BodyRead(), read.request.BodyRead())
		}
		if cut.src.woke.Load() != 1 || read.src.woke.Load() != 0 {
			t.Errorf("Read was woken %d and %d times, want once and never", cut.src.woke.Load(), read.src.woke.Load())
		}
	})
}

func stubborn(p *peer) { p.sink.stubborn = true }

// An exchange that begins when the last one ends is carried out a little later, by the producer's goroutine.
func TestConsumerLeavesBeforeTheProducerWakes(t *testing.T) {
	b := New(Config{NewID: func() string { return "x" }})
	arrive := func(p *peer) *peer {
		if p.arrival.InHand = p.src.reader != nil; p.arrival.Role == Producer {
			p.arrival.Length = 1
		}
		p.request = b.Arrive(p.arrival)
		return p
	}
	produce := func() *peer {
		p := newPeer(nil, "p", Producer)
		p.src.reader = strings.NewReader("x")
		return arrive(p)
	}
	_, second := produce(), produce()
	first, gone := arrive(newPeer(nil, "c", Consumer)), arrive(newPeer(nil, "c", Consumer))
	carryOut(first.request.Begun())
	gone.hungUp.Store(true)
	carryOut(second.request.Begun())
	if second.outcome != ConsumerLeft || gone.sink.writes > 0 {
		t.Errorf("the producer got %q after %d writes, want %q without any", second.outcome, gone.sink.writes, ConsumerLeft)
	}
}
