package pipe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPublishWithoutSubscribers(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		w.publish("x").is(w, Published, 0, 0)
		w.told("accept 000001 0", "end 000001 published 0")
		if _, exists := w.broker.LookTopic(home); exists || len(w.broker.topics) > 0 {
			t.Error("the topic is left")
		}
	})
}

func TestPublishToStreamsAndToThoseThatWantOne(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		a, b := w.subscribe("a"), w.subscribe("b", once)
		if n, exists := w.broker.LookTopic(home); n != 2 || !exists {
			t.Errorf("LookTopic = %d, %v", n, exists)
		}
		w.publish("x").is(w, Published, 2, 2)
		w.publish("y").is(w, Published, 1, 1)
		a.got("", "x", "y")
		b.got(Delivered, "x")
		w.told("open a", "open b", "accept 000003 2", "close b delivered 1 1 000003-000003", "end 000003 published 2",
			"accept 000004 1", "end 000004 published 1")
		a.s.Leave()
		w.told("close a left 2 2 000003-000004")
	})
}

// A topic sends one message at a time; a subscriber that comes meanwhile gets those that were accepted later.
func TestOneMessageAtATime(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		slow, only := w.subscribe("slow", room(1)), w.subscribe("once", once, room(0))
		p1, p2 := w.publish("11"), w.publish("22")
		late := w.subscribe("late")
		p3 := w.publish("33")
		p1.pending(w)
		late.got("")
		only.takes(-1)
		p1.pending(w)
		slow.takes(1)
		p1.is(w, Published, 2, 2)
		p2.pending(w)
		slow.takes(-1)
		p2.is(w, Published, 1, 1) // the subscriber of one message was in time for the first
		p3.is(w, Published, 2, 2)
		only.got(Delivered, "11")
		slow.got("", "11", "22", "33")
		late.got("", "33")
	})
}

func TestSubscriberLeavesDuringAMessage(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		a, b, c := w.subscribe("a", room(1)), w.subscribe("b"), w.subscribe("c", once, room(1))
		p := w.publish("xx")
		p.pending(w)
		a.s.Leave()
		w.settle()
		if n, _ := w.broker.LookTopic(home); n != 1 {
			t.Errorf("%d are subscribed", n)
		}
		c.s.Leave()
		w.settle()
		p.is(w, Published, 3, 1)
		a.got(Left)
		b.got("", "xx")
		c.got(Left)
		if a.whole || c.whole {
			t.Error("a half message was noted as whole")
		}
	})
}

func TestWriteFails(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		a, b := w.subscribe("a"), w.subscribe("b", room(1))
		a.broken = true
		p := w.publish("xx")
		a.got(Left)
		b.broken = true
		b.takes(0)
		b.got(Left)
		p.is(w, Published, 2, 0)
		w.publish("y").is(w, Published, 0, 0)
	})
}

// A subscriber that acknowledges nothing is cut after the timeout; one that is slow, after six of them.
func TestSubscriberStalls(t *testing.T) {
	inTopicWorld(t, Config{MessageTimeout: 8 * time.Second}, func(w *topicWorld) {
		dead, slow, quick := w.subscribe("dead", room(1)), w.subscribe("slow", room(1)), w.subscribe("quick")
		p := w.publish(strings.Repeat("x", 100))
		quick.got("", strings.Repeat("x", 100))
		for range 3 {
			w.after(2500 * time.Millisecond)
			slow.takes(1)
		}
		dead.got("")
		w.after(time.Second)
		dead.got(Stalled)
		p.pending(w)
		for range 12 {
			slow.got("")
			w.after(3 * time.Second)
			slow.takes(1)
		}
		w.after(4 * time.Second)
		slow.got(Stalled)
		p.is(w, Published, 3, 1)
		if slow.whole || dead.whole {
			t.Error("a half message was noted as whole")
		}
		w.after(time.Hour)
	})
}

func TestDeleteTopic(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		a, b, c := w.subscribe("a"), w.subscribe("b", room(1)), w.subscribe("c", once)
		p := w.publish("xx")
		waiting := w.publish("never", enough(9))
		next := w.publish("yy")
		if !w.broker.DeleteTopic(home) || w.broker.DeleteTopic(home) {
			t.Error("DeleteTopic is wrong about what there was")
		}
		fresh := w.subscribe("fresh")
		w.settle()
		a.got(Deleted, "xx")
		b.got(Deleted)
		c.got(Delivered, "xx")
		p.is(w, Published, 3, 2)
		next.is(w, Published, 2, 0)
		waiting.is(w, Deleted, 0, 0)
		if b.whole || !a.whole {
			t.Errorf("whole: a %v, b %v", a.whole, b.whole)
		}
		w.publish("zz").is(w, Published, 1, 1)
		fresh.got("", "zz")
	})
}

func TestDeleteAnswersForLargeTopics(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		for i := range 2*drainSize + 1 {
			r := newReader(w, fmt.Sprint(i))
			r.s = &Subscription{Key: home, Wait: Forever, To: r}
			w.readers = append(w.readers, r)
			w.broker.Subscribe(r.s)
		}
		w.publish("x").is(w, Published, 2*drainSize+1, 2*drainSize+1)
		w.broker.DeleteTopic(home)
		for _, r := range w.readers {
			r.got(Deleted, "x")
		}
	})
}

// At a shutdown messages that were accepted are sent, then the subscriptions end.
func TestShutdownFinishesMessages(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		a, idle := w.subscribe("a", room(1)), w.subscribe("idle", func(r *reader) { r.s.Key = Key{"home", "idle"} })
		p, next := w.publish("xx"), w.publish("yy")
		waiting := w.publish("zz", enough(2))
		done := make(chan struct{})
		go func() { w.broker.Shutdown(context.Background()); close(done) }()
		w.settle()
		idle.got(ShutDown)
		waiting.is(w, ShutDown, 0, 0)
		w.publish("late").is(w, ShutDown, 0, 0)
		w.subscribe("late").got(ShutDown)
		a.got("")
		a.takes(-1)
		<-done
		p.is(w, Published, 1, 1)
		next.is(w, Published, 1, 1)
		a.got(ShutDown, "xx", "yy")
	})
}

func TestShutdownCutsMessages(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		a, b := w.subscribe("a", room(1)), w.subscribe("b")
		p, next := w.publish("xx"), w.publish("yy")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		w.broker.Shutdown(ctx)
		w.settle()
		p.is(w, Published, 2, 1)
		next.is(w, Published, 2, 0)
		a.got(ShutDown)
		b.got(ShutDown, "xx")
	})
}

func TestPublisherWaitsForSubscribers(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		w.publish("0", enough(1), atMost(0)).is(w, TimedOut, 0, 0)
		w.publish("1", enough(2), atMost(time.Second))
		p := w.publish("2", enough(2))
		gone := w.publish("3", enough(2))
		gone.p.Leave()
		w.settle()
		gone.is(w, Left, 0, 0)
		a := w.subscribe("a", once)
		p.pending(w)
		w.after(time.Second)
		w.publishers[1].is(w, TimedOut, 0, 0)
		w.publish("between").is(w, Published, 1, 1) // those that do not wait pass
		a.got(Delivered, "between")
		b, c := w.subscribe("b"), w.subscribe("c")
		p.is(w, Published, 2, 2)
		b.got("", "2")
		c.got("", "2")
		w.publish("4", enough(2), atMost(0)).is(w, Published, 2, 2)
	})
}

func TestPublisherLeavesBeforeItWaits(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		w.publish("x", enough(1), func(p *Publication) { p.Leave() }).is(w, Left, 0, 0)
		w.publish("x", func(p *Publication) { p.Leave() }).is(w, Published, 0, 0) // its last byte is in hand
	})
}

func TestSubscriptionWait(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		w.subscribe("none", waits(0)).got(TimedOut)
		a, b, c := w.subscribe("a", waits(time.Second), once), w.subscribe("b", waits(2*time.Second)), w.subscribe("c", waits(2*time.Second), room(1))
		w.after(time.Second)
		a.got(TimedOut)
		p := w.publish("xx")
		w.after(time.Minute) // neither a running message nor a stream that has had one is limited
		b.got("", "xx")
		c.got("")
		c.takes(-1)
		c.got("", "xx")
		p.is(w, Published, 2, 2)
	})
}

func TestTopicLimits(t *testing.T) {
	inTopicWorld(t, Config{Limits: Limits{Waiting: 4, PerChannel: 3, PerClient: 2}}, func(w *topicWorld) {
		w.subscribe("a", fromGroup("g"))
		w.publish("x", enough(9), func(p *Publication) { p.Group = "g" })
		if r := w.subscribe("b", fromGroup("g")); r.s.Outcome != Refused || r.s.Reason() != LimitPerClient {
			t.Errorf("%s, %s", r.s.Outcome, r.s.Reason())
		}
		w.subscribe("c", fromGroup("h"))
		if r := w.subscribe("d", fromGroup("i")); r.s.Reason() != LimitPerChannel {
			t.Errorf("%s, %s", r.s.Outcome, r.s.Reason())
		}
		w.broker.Arrive(Arrival{Key: home, Role: Consumer, Wait: Forever, Sink: waitingSink{}})
		if r := w.subscribe("e", func(r *reader) { r.s.Key.Channel = "other" }); r.s.Reason() != LimitWaiting {
			t.Errorf("%s, %s", r.s.Outcome, r.s.Reason())
		}
		if r := w.broker.Arrive(Arrival{Key: home, Role: Consumer, Wait: Forever, Sink: waitingSink{}}); r.Reason() != LimitWaiting {
			t.Errorf("a consumer of a channel: %s", r.Reason())
		}
		w.publish("y").is(w, Published, 2, 2) // one that does not wait is not limited
	})
}

// Each subscription has ids between those of the publications before and after it.
func TestIDsOrderSubscriptionsAndPublications(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		before := w.publish("1")
		a := w.subscribe("a")
		after := w.publish("2")
		if !slices.IsSorted([]string{before.p.ID, a.s.ID, after.p.ID}) {
			t.Errorf("%s, %s, %s", before.p.ID, a.s.ID, after.p.ID)
		}
	})
}

// A pass takes many subscriptions, some at a time. Those that leave meanwhile, or come, do not disturb it.
func TestLargePass(t *testing.T) {
	look := func(to []Subscriber) {
		if len(to) == 0 || len(to) > LookSize {
			t.Errorf("a look at %d connections", len(to))
		}
		for _, s := range to {
			s.(*meddler).looks++
		}
	}
	inTopicWorld(t, Config{Look: look}, func(w *topicWorld) {
		const n = 3*passSize + 10
		for i := range n {
			r := newReader(w, fmt.Sprint(i))
			r.s = &Subscription{Key: home, Wait: Forever, To: &meddler{reader: r, at: i}, Once: i%5 == 0}
			w.readers = append(w.readers, r)
			w.broker.Subscribe(r.s)
		}
		w.publish("x").is(w, Published, n, n-1) // number passSize+1 left before its turn
		for i, r := range w.readers[:n] {
			if want := i != passSize+1; want != (len(r.history) == 1) {
				t.Errorf("%d took %q", i, r.history)
			}
		}
		w.readers[n].got("")
	})
}

// A meddler is a reader that makes others leave, and come, while the message is written to it.
type meddler struct {
	*reader
	at    int
	looks int // before Offer
}

func (m *meddler) Offer(p *Publication) (bool, error) {
	if m.looks != 1 {
		m.w.t.Errorf("%d looks before a message is offered", m.looks)
	}
	if m.at == 7 {
		m.w.readers[passSize+1].s.Leave() // not yet in a pass
		m.w.readers[3].s.Leave()          // took it in this part of the pass
		fresh := newReader(m.w, "fresh")
		fresh.s = &Subscription{Key: home, Wait: Forever, To: fresh}
		m.w.readers = append(m.w.readers, fresh)
		m.w.broker.Subscribe(fresh.s)
	}
	return m.reader.Offer(p)
}

// A client that hangs up behind the last byte has its message.
func TestLeavesBehindTheLastByte(t *testing.T) {
	inTopicWorld(t, Config{}, func(w *topicWorld) {
		leaver := func(r *reader) { r.s.To = leavingReader{r} }
		a, b := w.subscribe("a", leaver), w.subscribe("b", leaver, once)
		w.publish("x").is(w, Published, 2, 2)
		a.got(Left, "x")
		b.got(Delivered, "x")
	})
}

// A leavingReader hangs up while a message is written to it.
type leavingReader struct{ *reader }

func (r leavingReader) Offer(p *Publication) (bool, error) {
	r.s.Leave()
	return r.reader.Offer(p)
}

// A waitingSink is the connection of a consumer that waits.
type waitingSink struct{ Sink }

func (waitingSink) Wake() {}
