package pipe

import (
	"errors"
	"testing"
	"time"
)

// Which sides wait for a record to be safe.

func TestStrictHoldsTheFirstByte(t *testing.T) {
	inWorld(t, Config{Strict: true}, func(w *world) {
		matched := make(commit)
		w.journal.matched = matched
		p, c := w.produce("p", whole("x")), w.consume("c")
		w.after(time.Hour)
		c.is(running)
		if c.sink.writes > 0 {
			t.Error("bytes were written before the record of the match was safe")
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
			t.Error("bytes were written though the record of the match failed")
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
		w.produce("p2", firstBytes("2")) // meanwhile the next exchange begins
		w.consume("c2").is(running)
		ended <- nil
		w.settle()
		p.ends(Delivered)
	})
}

func TestFailedRecordMakesUnrecorded(t *testing.T) {
	full := errors.New("disk full")
	inWorld(t, Config{}, func(w *world) {
		w.journal.ended = failedCommit{full}
		p, c := w.produce("p", whole("x")), w.consume("c")
		c.ends(Delivered)
		p.ends(Unrecorded)
		if p.err != full {
			t.Errorf("the cause is %v, want %v", p.err, full)
		}
	})
}

// Only the record of a delivery is waited for.
func TestFailureDoesNotAwaitTheRecord(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.journal.ended = make(commit)
		p, c := w.produce("p", firstBytes("x")), w.consume("c")
		c.leaves()
		p.ends(ConsumerLeft)
	})
}
