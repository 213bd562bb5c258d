package pipe

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

// How an exchange ends.

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
			inWorld(t, Config{}, func(w *world) { // before it is ready
				p, c := w.produce("p"), w.consume("c")
				p.fails(test.err)
				p.ends(test.waits)
				c.is(waiting)
			})
			inWorld(t, Config{}, func(w *world) { // ready, and waiting for a consumer
				p := w.produce("p", firstBytes("x"))
				p.fails(test.err)
				p.ends(test.waits)
				w.told("open 1", "gone p "+string(test.waits), "close 1 idle 0 0")
			})
			inWorld(t, Config{}, func(w *world) { // together with its first bytes
				p, c := w.produce("p"), w.consume("c")
				p.src.send([]byte("x"), test.err)
				w.settle()
				p.ends(test.waits)
				c.is(waiting)
			})
			inWorld(t, Config{}, func(w *world) { // in the exchange
				p, c := w.produce("p", firstBytes("abc")), w.consume("c")
				p.fails(test.err)
				p.ends(test.runs)
				c.ends(test.runs)
				c.got("abc")
			})
			inWorld(t, Config{}, func(w *world) { // in the exchange, together with its last bytes
				p, c := w.produce("p", firstBytes("abc")), w.consume("c")
				p.src.send([]byte("de"), test.err)
				w.settle()
				c.ends(test.runs)
				c.got("abcde")
			})
		})
	}
}

func TestConsumerLeavesWhileNothingComes(t *testing.T) {
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

// The end of the body is in hand, but the relay still writes what came before it.
func TestConsumerLeavesBeforeTheEndIsHandedOut(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.held("c")
		p.finishes()
		c.leaves()
		c.ends(ConsumerLeft)
		p.ends(ConsumerLeft)
	})
	inWorld(t, Config{}, func(w *world) { // a failure in hand is no last byte
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

// Nobody told the broker, but the relay asks before the last byte.
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
		p, c := w.produce("p", whole("")), w.consume("c", func(p *peer) { p.arrival.Alive = nil })
		c.leaves()
		matched <- nil
		w.settle()
		c.ends(ConsumerLeft)
		p.ends(ConsumerLeft)
	})
}

// A producer that died while it waited, with the rest of its body in the kernels: that comes to its end, and
// is dead all the same. One that leaves after its whole body has come is not missed.
func TestPosthumousBody(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.consume("c")
		p.leaves()
		c.is(running) // until its body shows it
		p.sends("y")
		p.src.send([]byte("z"), io.EOF)
		w.settle()
		p.ends(ProducerLeft)
		c.ends(ProducerLeft)
		c.got("xy") // with the rest it could look whole

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

// A source that panics takes its own exchange with it, not the channel.
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
	inWorld(t, Config{}, func(w *world) { // in Write
		p, c := w.produce("p", whole("x")), w.held("c")
		c.cuts(Stalled)
		p.ends(Stalled)
		c.ends(Stalled)
		w.told("open 1", "match p c", "end p c stalled 0", "close 1 idle 1 0")
	})
	inWorld(t, Config{}, func(w *world) { // in next
		p, c := w.produce("p", firstBytes("x")), w.consume("c")
		c.cuts(Stalled)
		p.ends(Stalled)
		c.ends(Stalled)
	})
}

// The consumer is told at once, though nobody can make the producer's Read return.
func TestCutDoesNotAwaitTheSource(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p", firstBytes("x"), func(p *peer) { p.arrival.Interrupt = nil })
		c := w.consume("c")
		c.cuts(Stalled)
		c.ends(Stalled)
		p.is(ended)
		p.pending()
		p.sends("y")
		p.ends(Stalled)
	})
}

// What was in hand when the cut came is void.
func TestCutWithMoreInHand(t *testing.T) {
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

// A cut that comes while the last byte is written does not undo the delivery.
func TestCutTooLate(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", whole("x")), w.held("c", stubborn)
		x := c.request.Exchange()
		if x.WasCut() {
			t.Error("WasCut before any cut")
		}
		c.cuts(Stalled)
		c.releases()
		p.ends(Delivered)
		c.ends(Delivered)
		if !x.WasCut() {
			t.Error("the consumer was interrupted, but WasCut does not say so")
		}
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
		if c.request.Exchange().WasCut() {
			t.Error("WasCut after a cut that never was")
		}
	})
}

// A cut while the sink panics is still the reason, as it is when the sink fails.
func TestCauseOfAPanic(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.held("c", stubborn)
		c.sink.panics = true
		c.cuts(Stalled)
		c.releases()
		p.ends(Stalled)
	})
}

func TestExchangeTellsItsStory(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		start := time.Now()
		p := w.produce("p", firstBytes("abc"))
		w.after(time.Second)
		c := w.consume("c")
		x := c.request.Exchange()
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
		if p.request.Exchange() != x || x.Outcome != Delivered || x.Bytes != 3 || x.EndedAt.Sub(start) != 2*time.Second {
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
		if !cut.src.interrupted() || read.src.interrupted() {
			t.Errorf("interrupted: %v and %v, want true and false", cut.src.interrupted(), read.src.interrupted())
		}
	})
}

func stubborn(p *peer) { p.sink.stubborn = true }
