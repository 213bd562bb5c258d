package pipe

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestMessageSize(t *testing.T) {
	inTopicWorld(t, Config{MaxMessage: 5000, MaxMessageMemory: 20_000}, func(w *topicWorld) {
		w.publish(strings.Repeat("x", 5001)).is(w, TooLarge, 0, 0)
		unknown := func(p *Publication) { p.Length = -1 }
		w.publish(strings.Repeat("x", 5001), unknown).is(w, TooLarge, 0, 0)
		w.publish(strings.Repeat("x", 5000), unknown).is(w, Published, 0, 0)
		w.publish("", unknown).is(w, Published, 0, 0)
		if n := w.broker.MessageMemory(); n != 0 {
			t.Errorf("%d bytes are in use", n)
		}
		a := w.subscribe("a", room(1))
		for range 3 {
			w.publish(strings.Repeat("x", 5000)).pending(w)
		}
		over := w.publish(strings.Repeat("x", 5000))
		over.is(w, Refused, 0, 0)
		if over.p.Reason() != LimitMessageMemory {
			t.Errorf("refused by %s", over.p.Reason())
		}
		a.takes(-1)
		w.publish("now").is(w, Published, 1, 1)
	})
}

// The forms of a message are made once, and count as memory.
func TestForms(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		p := w.broker.NewPublication(Arrival{Length: 4}, strings.NewReader("body"), 0)
		if err := p.Read(); err != nil {
			t.Fatal(err)
		}
		before := w.broker.MessageMemory()
		made := 0
		form := &upper{&made}
		if first, again := string(p.In(form)), string(p.In(form)); first != "BODY" || again != first || made != 1 || string(p.In(plain{})) != "body" {
			t.Errorf("made %d times", made)
		}
		if n := w.broker.MessageMemory() - before; n != 4 {
			t.Errorf("the form counts %d bytes", n)
		}
		p.Release()
	})
}

type upper struct{ made *int }

func (u *upper) Encode(p *Publication) []byte {
	*u.made++
	return []byte(strings.ToUpper(string(p.Body)))
}

func TestMessageFails(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		broken := func(err error) func(*Publication) {
			return func(p *Publication) { p.source = io.MultiReader(strings.NewReader("x"), errReader{err}) }
		}
		w.publish("", broken(io.ErrUnexpectedEOF)).is(w, ProducerLeft, 0, 0)
		w.publish("", broken(fmt.Errorf("%w", TooLarge))).is(w, TooLarge, 0, 0)
		w.told("unmatched topic producer producer_left", "unmatched topic producer too_large")
	})
}

func TestStrictHoldsAMessage(t *testing.T) {
	inTopicWorld(t, Config{Strict: true}, func(w *topicWorld) {
		accepted := make(commit)
		w.accepted = accepted
		a, one := w.subscribe("a"), w.subscribe("one", once)
		p := w.publish("x")
		p.pending(w)
		a.got("")
		accepted <- nil
		w.settle()
		p.is(w, Published, 2, 2)
		one.got(Delivered, "x")

		one = w.subscribe("one", once)
		held := w.publish("never")
		next := w.publish("y")
		accepted <- errors.New("disk full")
		w.settle()
		held.is(w, Unrecorded, 2, 0)
		accepted <- nil
		w.settle()
		next.is(w, Published, 2, 2) // the subscriber of one message gets the next one
		a.got("", "x", "y")
		one.got(Delivered, "y")

		one = w.subscribe("one", once)
		held = w.publish("never")
		accepted <- errors.New("disk full")
		w.settle()
		held.is(w, Unrecorded, 2, 0)
		if n, _ := w.broker.LookTopic(home); n != 2 {
			t.Errorf("%d are subscribed", n)
		}
		w.accepted = nil
		w.publish("z").is(w, Published, 2, 2)
		one.got(Delivered, "z")
	})
}

func TestWaitEndsWhileAMessageIsHeldBack(t *testing.T) {
	inTopicWorld(t, Config{Strict: true}, func(w *topicWorld) {
		accepted := make(commit)
		w.accepted = accepted
		one := w.subscribe("one", once, waits(time.Second))
		held := w.publish("never")
		w.after(2 * time.Second)
		one.got("") // the message was in time
		accepted <- errors.New("disk full")
		w.settle()
		held.is(w, Unrecorded, 1, 0)
		one.got(TimedOut)
	})
}

func TestPublisherAwaitsTheRecord(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		full := errors.New("disk full")
		ended := make(commit)
		w.ended = ended
		a := w.subscribe("a")
		p := w.publish("x")
		a.got("", "x")
		p.pending(w)
		w.ended = failedCommit{full}
		q := w.publish("y") // the next message does not wait for the record
		a.got("", "x", "y")
		q.is(w, Unrecorded, 1, 1)
		if q.err != full {
			t.Errorf("the cause is %v", q.err)
		}
		ended <- nil
		w.settle()
		p.is(w, Published, 1, 1)
	})
}
