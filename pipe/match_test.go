package pipe

import (
	"fmt"
	"testing"
	"time"
)

// Which requests are matched, and when an exchange begins. How it ends is in exchange_test.go.

func TestProducerFirst(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p", whole("hello"))
		p.is(waiting)
		w.looks(1, 0, true)
		c := w.consume("c")
		p.ends(Delivered)
		c.ends(Delivered)
		c.got("hello")
		w.looks(0, 0, false)
		w.told("open 1", "match p c", "end p c delivered 5", "close 1 idle 1 5")
	})
}

func TestConsumerFirst(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.consume("c")
		c.is(waiting)
		w.looks(0, 1, true)
		p := w.produce("p", whole("hello"))
		p.ends(Delivered)
		c.ends(Delivered)
		c.got("hello")
		w.looks(0, 0, false)
		w.told("open 1", "match p c", "end p c delivered 5", "close 1 idle 1 5")
	})
}

func TestProducersInOrderOfArrival(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		for i := range 4 {
			w.produce(fmt.Sprint("p", i), whole(fmt.Sprint(i)))
		}
		for i := range 4 {
			w.consume("c").got(fmt.Sprint(i))
		}
	})
}

func TestConsumersInOrderOfArrival(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		var consumers []*peer
		for i := range 4 {
			consumers = append(consumers, w.consume(fmt.Sprint("c", i)))
		}
		for i, c := range consumers {
			c.pending()
			w.produce("p", whole(fmt.Sprint(i))).ends(Delivered)
			c.got(fmt.Sprint(i))
		}
	})
}

// A ready producer does not overtake one that is not.
func TestReadyProducerKeepsItsPlace(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		slow, fast := w.produce("slow"), w.produce("fast", whole("fast"))
		first, second := w.consume("c1"), w.consume("c2")
		fast.is(waiting)
		slow.sends("slow")
		first.is(running)
		fast.is(waiting)
		slow.finishes()
		first.got("slow")
		second.got("fast")
	})
}

func TestOneExchangeAtATime(t *testing.T) {
	endings := map[string]func(w *world, p, c *peer){
		"delivered":     func(_ *world, p, _ *peer) { p.finishes() },
		"consumer left": func(_ *world, _, c *peer) { c.leaves() },
		"producer left": func(_ *world, p, _ *peer) { p.fails(ProducerLeft) },
		"stalled":       func(_ *world, _, c *peer) { c.cuts(Stalled) },
		"silent":        func(w *world, _, _ *peer) { w.after(time.Minute) },
	}
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{SilenceTimeout: time.Minute}, func(w *world) {
				p1, c1 := w.produce("p1", firstBytes("1")), w.consume("c1")
				p2, c2 := w.produce("p2", whole("2")), w.consume("c2")
				c1.is(running)
				p2.is(waiting)
				c2.is(waiting)
				w.looks(1, 1, true)
				end(w, p1, c1)
				c1.is(ended)
				p2.ends(Delivered)
				c2.got("2")
			})
		})
	}
}

func TestChannelsDoNotWaitForOneAnother(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.produce("busy", firstBytes("1"))
		w.consume("c1").is(running)
		for _, k := range []Key{{"home", "other"}, {"other", "channel"}} {
			w.produce("p", at(k), whole("2"))
			w.consume("c", at(k)).ends(Delivered)
		}
	})
}

func TestUnreadyPairKeepsItsPlaces(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p"), w.consume("c")
		p.is(waiting)
		c.is(waiting)
		w.looks(1, 1, true)
		p.sends("x")
		p.is(running)
		c.is(running)
		w.looks(0, 0, true)
	})
}

func TestEndOfAnEmptyBodyMakesReady(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p"), w.consume("c")
		p.finishes()
		p.ends(Delivered)
		c.ends(Delivered)
		c.got("")
		if c.sink.writes == 0 {
			t.Error("nothing was written, so the consumer's response has not begun")
		}
	})
}

func TestProducerLeavesUnreadyPair(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p1, p2 := w.produce("p1"), w.produce("p2", firstBytes("2"))
		c1, c2 := w.consume("c1"), w.consume("c2")
		p1.leaves()
		p1.ends(Left)
		c1.is(running)
		c2.is(waiting)
		p2.finishes()
		c1.got("2")
	})
}

func TestConsumerLeavesUnreadyPair(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p1, p2 := w.produce("p1"), w.produce("p2", whole("2"))
		c1, c2 := w.consume("c1"), w.consume("c2")
		c1.leaves()
		c1.ends(Left)
		p1.sends("1")
		c2.is(running)
		p2.is(waiting)
		p1.finishes()
		c2.got("1")
	})
}

func TestLeaveFromTheMiddle(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.produce("p1", whole("1"))
		p2, p3, p4 := w.produce("p2", whole("2")), w.produce("p3", whole("3")), w.produce("p4", whole("4"))
		p2.leaves()
		p4.leaves()
		w.looks(2, 0, true)
		w.consume("c").got("1")
		w.consume("c").got("3")
		p3.ends(Delivered)
		w.looks(0, 0, false)
		w.told("open 1", "unmatched p2 left", "unmatched p4 left", "match p1 c", "end p1 c delivered 1",
			"match p3 c", "end p3 c delivered 1", "close 1 idle 2 2")
	})
}

func TestDeadProducerIsSkipped(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		dead, live := w.produce("dead", whole("dead")), w.produce("live", whole("live"))
		dead.hungUp.Store(true)
		c := w.consume("c")
		dead.ends(Left)
		live.ends(Delivered)
		c.got("live")
		w.told("open 1", "unmatched dead left", "match live c", "end live c delivered 4", "close 1 idle 1 4")
	})
}

func TestDeadConsumerIsSkipped(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		dead, live := w.consume("dead"), w.consume("live")
		dead.hungUp.Store(true)
		p := w.produce("p", whole("x"))
		dead.ends(Left)
		dead.got("")
		live.got("x")
		p.ends(Delivered)
	})
}

func TestDeadConsumerDoesNotKeepTheChannel(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.consume("c")
		c.hungUp.Store(true)
		p := w.produce("p", whole("x"))
		c.ends(Left)
		p.is(waiting)
		p.leaves()
		w.told("open 1", "unmatched c left", "unmatched p left", "close 1 idle 0 0")
	})
}

func TestLeaveTwice(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.consume("c")
		c.leaves()
		c.leaves()
		w.told("open 1", "unmatched c left", "close 1 idle 0 0")
	})
}
