package pipe

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"
)

// How channels open and close: deletion, shutdown, and the lists of names.

func TestDeleteMissingChannel(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.deletes(home, false)
		w.consume("c", at(Key{"home", "other"}))
		w.deletes(home, false)
	})
}

func TestDeleteWaiting(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p1, p2 := w.produce("p1"), w.produce("p2", whole("x"))
		c1, c2 := w.consume("c1"), w.consume("c2")
		w.deletes(home, true)
		for _, p := range []*peer{p1, p2, c1, c2} {
			p.ends(Deleted)
		}
		w.looks(0, 0, false)
		w.deletes(home, false)
		w.told("open 1", "unmatched p1 deleted", "unmatched p2 deleted", "unmatched c1 deleted", "unmatched c2 deleted",
			"close 1 deleted 0 0")
	})
}

func TestDeleteRunningAndWaiting(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p1, c1 := w.produce("p1", firstBytes("abc")), w.consume("c1")
		p2, c2 := w.produce("p2", whole("x")), w.consume("c2")
		w.deletes(home, true)
		for _, p := range []*peer{p1, c1, p2, c2} {
			p.ends(Deleted)
		}
		c1.got("abc")
		w.told("open 1", "match p1 c1", "unmatched p2 deleted", "unmatched c2 deleted", "end p1 c1 deleted 3",
			"close 1 deleted 1 3")
	})
}

func TestNewLifeBesideTheDeletedOne(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p1, c1 := w.produce("p1", firstBytes("old")), w.held("c1", stubborn)
		w.deletes(home, true)
		w.looks(0, 0, false)
		p2, c2 := w.produce("p2", whole("new")), w.consume("c2")
		p2.ends(Delivered)
		c2.got("new")
		w.deletes(home, false)
		w.after(time.Minute)
		c1.is(running)
		c1.releases()
		p1.ends(Deleted)
		c1.ends(Deleted)
		w.told("open 1", "match p1 c1", "open 2", "match p2 c2", "end p2 c2 delivered 3", "close 2 idle 1 3",
			"end p1 c1 deleted 3", "close 1 deleted 1 3")
	})
}

func TestLifeClosesAtItsDeletion(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.produce("p1", firstBytes("x"))
		c := w.held("c1", stubborn)
		opened, life := time.Now(), &c.request.channel.Life
		w.after(time.Minute)
		w.deletes(home, true)
		w.after(time.Minute)
		c.releases()
		if !life.OpenedAt.Equal(opened) || life.ClosedAt.Sub(opened) != time.Minute {
			t.Errorf("the life lasted from %v to %v", life.OpenedAt, life.ClosedAt)
		}
	})
}

// The last byte of the deleted life is already being written.
func TestDeleteAfterTheLastByte(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", whole("x")), w.held("c", stubborn)
		w.deletes(home, true)
		c.releases()
		p.ends(Delivered)
		c.ends(Delivered)
		w.told("open 1", "match p c", "end p c delivered 1", "close 1 deleted 1 1")
	})
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", whole("x")), w.consume("c")
		w.deletes(home, false)
		p.ends(Delivered)
		c.ends(Delivered)
	})
}

func TestDeleteNamespace(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p", at(Key{"doomed", "a"}), firstBytes("x"))
		c := w.consume("c", at(Key{"doomed", "a"}))
		waiter := w.consume("waiter", at(Key{"doomed", "b"}))
		other := w.consume("other")
		if !w.broker.DeleteNamespace("doomed") {
			t.Error("DeleteNamespace = false, want true")
		}
		w.settle()
		for _, p := range []*peer{p, c, waiter} {
			p.ends(Deleted)
		}
		other.is(waiting)
		if w.broker.DeleteNamespace("doomed") {
			t.Error("the second DeleteNamespace = true, want false")
		}
		if got := w.broker.Namespaces(); !slices.Equal(got, []string{"home"}) {
			t.Errorf("the namespaces %q still exist", got)
		}
	})
}

func TestLifeCounts(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		last := w.produce("keeper")
		w.consume("c0").leaves()
		last.leaves()
		w.told("open 1", "unmatched c0 left", "unmatched keeper left", "close 1 idle 0 0")

		w.produce("p1", whole("four"))
		w.produce("p2", firstBytes("three"))
		w.consume("c1")
		w.consume("c2").leaves()
		w.told("open 2", "match p1 c1", "end p1 c1 delivered 4", "match p2 c2", "end p2 c2 consumer_left 5",
			"close 2 idle 2 9")
	})
}

func TestShutdownOfWaiters(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p"), w.consume("c", at(Key{"other", "channel"}))
		w.broker.Shutdown(w.t.Context())
		w.settle()
		p.ends(ShutDown)
		c.ends(ShutDown)
		if got := w.broker.Namespaces(); len(got) > 0 {
			t.Errorf("the namespaces %q still exist", got)
		}
	})
	inWorld(t, Config{}, func(w *world) {
		w.produce("p")
		w.consume("c")
		w.broker.Shutdown(w.t.Context())
		w.told("open 1", "unmatched p shut_down", "unmatched c shut_down", "close 1 shut_down 0 0")
	})
}

func TestArriveAfterShutdown(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		if w.broker.Stopping() {
			t.Error("Stopping is true before Shutdown")
		}
		w.broker.Shutdown(w.t.Context())
		if !w.broker.Stopping() {
			t.Error("Stopping is false after Shutdown")
		}
		w.produce("p", whole("x")).ends(ShutDown)
		w.consume("c", waitingFor(0)).ends(ShutDown)
		w.looks(0, 0, false)
		w.told("unmatched p shut_down", "unmatched c shut_down")
	})
}

// shutDown starts a shutdown. cut makes it cut the running exchanges, down reports whether it has returned.
func (w *world) shutDown() (cut func(), down func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		w.broker.Shutdown(ctx)
		close(done)
	}()
	w.settle()
	cut = func() {
		cancel()
		w.settle()
	}
	down = func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	return cut, down
}

func TestShutdownLetsExchangesEnd(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.consume("c")
		waiter := w.produce("waiter", whole("y"))
		cut, down := w.shutDown()
		defer cut()
		waiter.ends(ShutDown)
		c.is(running)
		w.consume("late").ends(ShutDown)
		w.after(time.Hour)
		if down() {
			t.Error("Shutdown has returned while an exchange runs")
		}
		p.finishes()
		p.ends(Delivered)
		c.got("x")
		if !down() {
			t.Error("Shutdown has not returned though no exchange runs")
		}
		w.told("open 1", "match p c", "unmatched waiter shut_down", "unmatched late shut_down", "end p c delivered 1",
			"close 1 shut_down 1 1")
	})
}

func TestShutdownCuts(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("x")), w.held("c", stubborn)
		cut, down := w.shutDown()
		c.is(running)
		cut()
		if down() {
			t.Error("Shutdown has returned before the exchange has ended")
		}
		c.releases()
		p.ends(ShutDown)
		c.ends(ShutDown)
		if !down() {
			t.Error("Shutdown has not returned though no exchange runs")
		}
	})
}

func TestDeleteWhileStopping(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p", firstBytes("x"))
		w.consume("c")
		cut, _ := w.shutDown()
		defer cut()
		w.deletes(home, true)
		p.ends(Deleted)
		w.told("open 1", "match p c", "end p c deleted 1", "close 1 deleted 1 1")
	})
}

// A second shutdown, as after a second signal, may cut while the first still waits.
func TestShutdownTwice(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p", firstBytes("x"))
		w.consume("c")
		patient, down1 := w.shutDown()
		defer patient()
		cut, down2 := w.shutDown()
		cut()
		p.ends(ShutDown)
		if !down1() || !down2() {
			t.Errorf("the shutdowns have returned: %v and %v, want both", down1(), down2())
		}
	})
}

func TestShutdownAwaitsDeletedChannels(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.produce("p", firstBytes("x"))
		c := w.held("c", stubborn)
		w.deletes(home, true)
		cut, down := w.shutDown()
		cut()
		if down() {
			t.Error("Shutdown has returned while an exchange on a deleted channel runs")
		}
		c.releases()
		c.ends(Deleted)
		if !down() {
			t.Error("Shutdown has not returned though no exchange runs")
		}
	})
}

func TestStateAndNames(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		if got := w.broker.Namespaces(); got == nil || len(got) > 0 {
			t.Errorf("Namespaces = %#v, want an empty slice", got)
		}
		if got := w.broker.Channels("b"); got == nil || len(got) > 0 {
			t.Errorf("Channels = %#v, want an empty slice", got)
		}
		for _, k := range []Key{{"b", "2"}, {"a", "1"}, {"b", "3"}, {"b", "1"}} {
			w.consume("c", at(k))
		}
		w.produce("p", at(Key{"a", "1"}), firstBytes("x")) // a channel with a running exchange and no waiting requests
		want := map[string][]string{"a": {"1"}, "b": {"1", "2", "3"}}
		if got := w.broker.State(); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("State = %v, want %v", got, want)
		}
		if got := w.broker.Namespaces(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("Namespaces = %q", got)
		}
		if got := w.broker.Channels("b"); !slices.Equal(got, want["b"]) {
			t.Errorf("Channels = %q", got)
		}
	})
}

func TestRecordUnmatched(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.broker.RecordUnmatched(Arrival{Key: home, Role: Producer, Client: Client{Agent: "p"}}, Refused)
		w.looks(0, 0, false)
		w.told("unmatched p refused")
	})
}

func TestBrokerWithoutRecorder(t *testing.T) {
	b := New(Config{NewID: func() string { return "x" }})
	b.RecordUnmatched(Arrival{Role: Consumer}, Refused)
	if got := exchangeOnce(b); got != Delivered {
		t.Errorf("the exchange ended as %s", got)
	}
}
