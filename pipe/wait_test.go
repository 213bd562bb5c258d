package pipe

import (
	"testing"
	"time"
)

// The limits of a wait and of a producer's silence.

func TestWaitRunsOut(t *testing.T) {
	for _, role := range []Role{Producer, Consumer} {
		t.Run(role.String(), func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				arrived := time.Now()
				p := w.arrive("r", role, []option{waitingFor(time.Second)})
				w.after(time.Second - 1)
				p.pending()
				w.after(1)
				p.ends(TimedOut)
				if got := p.request; !got.ArrivedAt.Equal(arrived) || got.EndedAt().Sub(arrived) != time.Second {
					t.Errorf("arrived at %v and ended at %v", got.ArrivedAt, got.EndedAt())
				}
				w.told("open 1", "unmatched r timed_out", "close 1 idle 0 0")
			})
		})
	}
}

func TestForeverHasNoLimit(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.consume("c")
		w.after(1000 * time.Hour)
		c.is(waiting)
	})
}

func TestWaitDoesNotLimitTheExchange(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p", firstBytes("1"), waitingFor(time.Second))
		c := w.consume("c", waitingFor(time.Second))
		w.after(time.Hour)
		p.is(running)
		p.finishes()
		c.ends(Delivered)
	})
}

func TestTimersAreStopped(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		left := w.consume("left", waitingFor(time.Hour))
		left.leaves()
		p := w.produce("p", firstBytes("x"), waitingFor(time.Hour))
		c := w.consume("c", waitingFor(time.Hour))
		for _, p := range []*peer{left, p, c} {
			if p.request.timer.Stop() {
				t.Errorf("the timer of %s is still running", p.name)
			}
		}
	})
}

// When the first producer times out, the next takes its place.
func TestFirstProducerTimesOut(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p1 := w.produce("p1", waitingFor(time.Second))
		p2, c := w.produce("p2", whole("2")), w.consume("c")
		c.is(waiting)
		w.after(time.Second)
		p1.ends(TimedOut)
		p2.ends(Delivered)
		c.got("2")
	})
}

func TestZeroWait(t *testing.T) {
	now := waitingFor(0)
	inWorld(t, Config{}, func(w *world) { // no other request
		w.consume("c", now).ends(TimedOut)
		w.produce("p", now, whole("x")).ends(TimedOut)
		w.looks(0, 0, false)
		w.told("unmatched c timed_out", "unmatched p timed_out")
	})
	inWorld(t, Config{}, func(w *world) { // only a request of the same role
		w.consume("c1")
		w.consume("c2", now).ends(TimedOut)
		w.looks(0, 1, true)
	})
	inWorld(t, Config{}, func(w *world) { // one of the other role waits, but with its own partner
		w.produce("p")
		w.consume("c1")
		w.consume("c2", now).ends(TimedOut)
		w.produce("p2", now, whole("x")).ends(TimedOut)
	})
	inWorld(t, Config{}, func(w *world) { // an exchange runs
		w.produce("p1", firstBytes("1"))
		w.consume("c1").is(running)
		w.produce("p2", whole("2"))
		w.consume("c2", now).ends(TimedOut)
	})
}

func TestZeroWaitNextPair(t *testing.T) {
	now := waitingFor(0)
	inWorld(t, Config{}, func(w *world) {
		w.produce("p1", whole("1"))
		w.consume("c1", now).got("1")
		w.consume("c2")
		w.produce("p2", now, whole("2")).ends(Delivered)
	})
	inWorld(t, Config{}, func(w *world) { // the pair may take any time to begin
		p := w.produce("p")
		c := w.consume("c", now)
		w.after(time.Hour)
		c.is(waiting)
		p.sends("x")
		c.is(running)
	})
}

func TestZeroWaitWhenThePartnerLeaves(t *testing.T) {
	now := waitingFor(0)
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p")
		c := w.consume("c", now)
		p.leaves()
		c.ends(TimedOut)
		w.told("open 1", "unmatched p left", "unmatched c timed_out", "close 1 idle 0 0")
	})
	inWorld(t, Config{}, func(w *world) {
		c := w.consume("c")
		p := w.produce("p", now)
		c.leaves()
		p.ends(TimedOut)
	})
	inWorld(t, Config{}, func(w *world) { // the partner turns out to be dead
		p := w.produce("p", whole("x"))
		p.hungUp.Store(true)
		w.consume("c", now).ends(TimedOut)
		p.ends(Left)
		w.looks(0, 0, false)
	})
	inWorld(t, Config{}, func(w *world) { // another partner follows: still the next pair
		p1, p2 := w.produce("p1"), w.produce("p2")
		c := w.consume("c", now)
		p1.leaves()
		c.is(waiting)
		p2.sends("2")
		c.is(running)
	})
}

// While a request with Wait 0 waits for its producer's first byte, it keeps its place like any other.
func TestZeroWaitKeepsItsPlace(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p")
		c1 := w.consume("c1", waitingFor(0))
		c2 := w.consume("c2")
		p.sends("x")
		c1.is(running)
		c2.is(waiting)
	})
}

const limit = 10 * time.Second

func TestSilenceBeforeTheExchange(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p, c := w.produce("p"), w.consume("c")
		w.after(limit - 1)
		p.is(waiting)
		w.after(1)
		p.ends(Silent)
		c.is(waiting)
		w.produce("p2", whole("2")).ends(Delivered)
		c.got("2")
		w.told("open 1", "unmatched p silent", "match p2 c", "end p2 c delivered 1", "close 1 idle 1 1")
	})
}

func TestSilenceIsUnlimitedByDefault(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p"), w.consume("c")
		w.after(1000 * time.Hour)
		p.is(waiting)
		p.sends("x")
		w.after(1000 * time.Hour)
		c.is(running)
	})
}

func TestSilenceNeedsAConsumer(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p := w.produce("p")
		w.after(time.Hour)
		p.is(waiting)
		w.consume("c")
		w.after(limit - 1)
		p.is(waiting)
		w.after(1)
		p.ends(Silent)
	})
}

func TestSilenceNeedsItsTurn(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p1, p2 := w.produce("p1", firstBytes("1")), w.produce("p2")
		w.consume("c1")
		w.consume("c2")
		w.after(limit - 1)
		p1.finishes()
		w.after(limit - 1)
		p2.is(waiting)
		w.after(1)
		p2.ends(Silent)
	})
}

func TestSilenceRestartsForTheNextProducer(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p1, p2 := w.produce("p1"), w.produce("p2")
		w.consume("c")
		w.after(limit)
		p1.ends(Silent)
		w.after(limit - 1)
		p2.is(waiting)
		w.after(1)
		p2.ends(Silent)
	})
}

func TestSilenceRestartsWithANewConsumer(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p := w.produce("p")
		c := w.consume("c1")
		w.after(limit - 1)
		c.leaves()
		w.after(limit)
		p.is(waiting)
		w.consume("c2")
		w.after(limit - 1)
		p.is(waiting)
		w.after(1)
		p.ends(Silent)
	})
}

// The time goes on if a consumer leaves and another waits behind it: a consumer was there all the time.
func TestSilenceGoesOnWithTheNextConsumer(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p, c := w.produce("p"), w.consume("c1")
		w.consume("c2")
		w.after(limit - 1)
		c.leaves()
		p.is(waiting)
		w.after(1)
		p.ends(Silent)
	})
}

func TestFirstByteEndsTheSilence(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p, c := w.produce("p"), w.consume("c")
		w.after(limit - 1)
		p.sends("x")
		c.is(running)
		w.after(limit - 1)
		c.is(running)
	})
}

// A timer that was stopped too late must not end the silence that began after it.
func TestStaleSilenceTimer(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p := w.produce("p")
		w.consume("c")
		w.after(limit - 1)
		c := p.request.channel
		w.broker.silenceTimedOut(c, c.silences-1)
		p.is(waiting)
		w.after(1)
		p.ends(Silent)
	})
}

func TestSilenceDuringTheExchange(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p, c := w.produce("p", firstBytes("1")), w.consume("c")
		w.after(limit - 1)
		p.sends("2")
		w.after(limit - 1)
		c.is(running)
		w.after(1)
		p.ends(Silent)
		c.ends(Silent)
		c.got("12")
		w.told("open 1", "match p c", "end p c silent 2", "close 1 idle 1 2")
	})
}

// A read that brings nothing, such as one that was woken, does not end the silence.
func TestEmptyReadIsSilence(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p, c := w.produce("p", firstBytes("1")), w.consume("c")
		w.after(limit - 1)
		p.sends("")
		c.is(running)
		w.after(1)
		p.ends(Silent)
	})
}

// While the consumer does not accept data, the producer is not silent.
func TestSlowConsumerIsNoSilence(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p, c := w.produce("p", firstBytes("1")), w.held("c")
		w.after(time.Hour)
		c.is(running)
		c.releases()
		w.after(limit - 1)
		c.is(running)
		p.finishes()
		c.ends(Delivered)
	})
}
