package pipe

import (
	"testing"
	"time"
)

// How long clients wait, and how long a producer may be silent.

func TestWaitRunsOut(t *testing.T) {
	for _, role := range []Role{Producer, Consumer} {
		t.Run(string(role), func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				arrived := time.Now()
				p := w.arrive("r", role, []option{waitingFor(time.Second)})
				w.after(time.Second - 1)
				p.pending()
				w.after(1)
				p.ends(TimedOut)
				if got := p.request; !got.ArrivedAt.Equal(arrived) || got.EndedAt().Sub(arrived) != time.Second {
					t.Errorf("here from %v to %v", got.ArrivedAt, got.EndedAt())
				}
				w.told("open 1", "gone r timed_out", "close 1 idle 0 0")
			})
		})
	}
}

func TestForeverIsForever(t *testing.T) {
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

func TestClocksAreStopped(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		left := w.consume("left", waitingFor(time.Hour))
		left.leaves()
		p := w.produce("p", firstBytes("x"), waitingFor(time.Hour))
		c := w.consume("c", waitingFor(time.Hour))
		for _, p := range []*peer{left, p, c} {
			if p.request.timer.Stop() {
				t.Errorf("the clock of %s still runs", p.name)
			}
		}
	})
}

// The head's running out of time is no harm to the next.
func TestWaitingBehindOneWhoTimesOut(t *testing.T) {
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
	inWorld(t, Config{}, func(w *world) { // nobody is there
		w.consume("c", now).ends(TimedOut)
		w.produce("p", now, whole("x")).ends(TimedOut)
		w.looks(0, 0, false)
		w.told("gone c timed_out", "gone p timed_out")
	})
	inWorld(t, Config{}, func(w *world) { // only its own kind
		w.consume("c1")
		w.consume("c2", now).ends(TimedOut)
		w.looks(0, 1, true)
	})
	inWorld(t, Config{}, func(w *world) { // one of the other kind waits, but for another
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
	inWorld(t, Config{}, func(w *world) { // the pair may take its time to begin
		p := w.produce("p")
		c := w.consume("c", now)
		w.after(time.Hour)
		c.is(waiting)
		p.sends("x")
		c.is(running)
	})
}

func TestZeroWaitWhosePeerLeaves(t *testing.T) {
	now := waitingFor(0)
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p")
		c := w.consume("c", now)
		p.leaves()
		c.ends(TimedOut)
		w.told("open 1", "gone p left", "gone c timed_out", "close 1 idle 0 0")
	})
	inWorld(t, Config{}, func(w *world) {
		c := w.consume("c")
		p := w.produce("p", now)
		c.leaves()
		p.ends(TimedOut)
	})
	inWorld(t, Config{}, func(w *world) { // dead at the beginning
		p := w.produce("p", whole("x"))
		p.hungUp.Store(true)
		w.consume("c", now).ends(TimedOut)
		p.ends(Left)
		w.looks(0, 0, false)
	})
	inWorld(t, Config{}, func(w *world) { // with a successor: still the next pair
		p1, p2 := w.produce("p1"), w.produce("p2")
		c := w.consume("c", now)
		p1.leaves()
		c.is(waiting)
		p2.sends("2")
		c.is(running)
	})
}

// While it waits for its peer's first byte, a request that would not wait holds its place like any other.
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
		w.told("open 1", "gone p silent", "match p2 c", "end p2 c delivered 1", "close 1 idle 1 1")
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

func TestSilenceOfTheNextProducerStartsAnew(t *testing.T) {
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

func TestSilenceStartsAnewWithANewConsumer(t *testing.T) {
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

// A consumer that takes the place of another at once changes nothing: some consumer was there all along.
func TestSilenceGoesOnWithTheConsumerBehind(t *testing.T) {
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

func TestFirstByteStopsTheClock(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p, c := w.produce("p"), w.consume("c")
		w.after(limit - 1)
		p.sends("x")
		c.is(running)
		w.after(limit - 1)
		c.is(running)
	})
}

// A clock that could not be stopped in time must not speak for the one that followed it.
func TestStaleSilenceClock(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p := w.produce("p")
		w.consume("c")
		w.after(limit - 1)
		w.broker.silenceTimedOut(p.request.channel)
		p.is(waiting)
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

// While the consumer does not take what is there, nobody waits for the producer.
func TestSlowConsumerIsNotTheProducersSilence(t *testing.T) {
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
