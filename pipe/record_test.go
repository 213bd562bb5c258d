package pipe

import (
	"errors"
	"testing"
	"time"
)

// Who waits for a record to be safe, and who does not.

func TestStrictHoldsTheFirstByte(t *testing.T) {
	inWorld(t, Config{Strict: true}, func(w *world) {
		matched := make(commit)
		w.journal.matched = matched
		p, c := w.produce("p", whole("x")), w.consume("c")
		w.after(time.Hour)
		c.is(running)
		if c.sink.writes > 0 {
			t.Error("written before the match was safe")
		}
		matched <- nil
		w.settle()
		p.ends(Delivered)
		c.got("x")
	})
}

func TestStrictUnrecorded(t *testing.T) {
	inWorld(t, Config{Strict: true}, func(w *world) {
		w.journal.matched = failedCommit{errors.New("disk full")}
		p, c := w.produce("p", whole("x")), w.consume("c")
		p.ends(Unrecorded)
		c.ends(Unrecorded)
		if c.sink.writes > 0 {
			t.Error("written though the match was not recorded")
		}
		w.told("open 1", "match p c", "end p c unrecorded 0", "close 1 idle 1 0")
	})
}

func TestMatchIsNotWaitedForUnlessStrict(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.journal.matched = make(commit)
		w.produce("p", whole("x"))
		w.consume("c").got("x")
	})
}

func TestProducerAwaitsTheRecord(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		ended := make(commit)
		w.journal.ended = ended
		p, c := w.produce("p", whole("x")), w.consume("c")
		c.ends(Delivered)
		p.pending()
		w.produce("p2", firstBytes("2")) // the channel goes on meanwhile
		w.consume("c2").is(running)
		ended <- nil
		w.settle()
		p.ends(Delivered)
	})
}

func TestAwaitUnrecorded(t *testing.T) {
	full := errors.New("disk full")
	inWorld(t, Config{}, func(w *world) {
		w.journal.ended = failedCommit{full}
		p, c := w.produce("p", whole("x")), w.consume("c")
		c.ends(Delivered)
		p.ends(Unrecorded)
		if p.err != full {
			t.Errorf("Await gave %v", p.err)
		}
	})
}

// Only a delivery is waited for: any other end may be told at once.
func TestFailureDoesNotAwaitTheRecord(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.journal.ended = make(commit)
		p, c := w.produce("p", firstBytes("x")), w.consume("c")
		c.leaves()
		p.ends(ConsumerLeft)
	})
}
