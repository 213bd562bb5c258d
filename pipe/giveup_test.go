package pipe

import (
	"sync/atomic"
	"testing"
)

var elsewhere = Key{"home", "elsewhere"}

// servesBut returns a Serves that denies home once it is told to.
func servesBut(gone *atomic.Bool) func(Key) bool {
	return func(k Key) bool { return k != home || !gone.Load() }
}

// TestGiveUp: waits on a name that is no longer served end, the exchange that runs does not, and nobody waits there again.
func TestGiveUp(t *testing.T) {
	var gone atomic.Bool
	inWorld(t, Config{Serves: servesBut(&gone)}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.consume("c")
		behind, other := w.produce("behind", whole("y")), w.consume("other", at(elsewhere))
		caller, worker := w.call("caller", whole("question"), at(elsewhere)), w.work("worker")
		gone.Store(true)
		w.broker.GiveUp()
		w.settle()
		behind.moved()
		worker.moved()
		c.is(running)
		other.pending()
		caller.pending()
		w.consume("late").moved()
		w.work("late worker").moved()
		p.finishes()
		p.ends(Delivered)
		c.got("x")
		if w.looks(0, 0, false); len(w.broker.Channels(home.Namespace)) != 1 {
			t.Error("the channel is left")
		}
		gone.Store(false)
		again := w.consume("again")
		w.broker.GiveUp()
		again.pending()
		w.broker.Shutdown(w.t.Context())
		w.settle()
		again.ends(ShutDown)
		if got := again.request.Reason(); got != NoReason {
			t.Errorf("a client of a broker that stops is told %v", got)
		}
	})
}

// moved requires that p has ended because its name is no longer served.
func (p *peer) moved() {
	p.w.t.Helper()
	p.ends(ShutDown)
	if got := p.request.Reason(); got != NotServed {
		p.w.t.Errorf("%s ended for %v, want %v", p.name, got, NotServed)
	}
}

// TestGiveUpTopic: subscriptions end after the message that is being sent, and publishers that wait for subscribers at once.
func TestGiveUpTopic(t *testing.T) {
	var gone atomic.Bool
	inTopicWorld(t, Config{Serves: servesBut(&gone)}, func(w *topicWorld) {
		r, idle := w.subscribe("r", room(1)), w.subscribe("idle", func(r *reader) { r.s.Key = elsewhere })
		p, waiting := w.publish("xyz"), w.publish("more", enough(5))
		gone.Store(true)
		go w.broker.GiveUp()
		w.settle()
		waiting.is(w, ShutDown, 0, 0)
		if got := waiting.p.Reason(); got != NotServed {
			t.Errorf("a publisher is told %v", got)
		}
		p.pending(w)
		late := w.subscribe("late")
		late.got(ShutDown)
		w.publish("late").is(w, ShutDown, 0, 0)
		r.takes(-1)
		p.is(w, Published, 1, 1)
		r.got(ShutDown, "xyz")
		idle.got("")

		gone.Store(false)
		again := w.subscribe("again")
		gone.Store(true)
		w.broker.GiveUp()
		w.settle()
		again.got(ShutDown)
	})
}
