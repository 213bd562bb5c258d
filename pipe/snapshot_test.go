package pipe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// shows checks a snapshot: its load, the waiting requests by agent, the running exchanges with their bytes.
func (w *world) shows(limit int, load Load, waiting, running string) {
	w.t.Helper()
	s := w.broker.Snapshot(limit)
	var waits, runs []string
	for _, r := range s.Waiting {
		waits = append(waits, r.Client.Agent)
	}
	for _, x := range s.Running {
		runs = append(runs, fmt.Sprint(x.Producer.Client.Agent, ">", x.Consumer.Client.Agent, ":", x.Written()))
	}
	if got := strings.Join(waits, " "); got != waiting {
		w.t.Errorf("waiting: %q, want %q", got, waiting)
	}
	if got := strings.Join(runs, " "); got != running {
		w.t.Errorf("running: %q, want %q", got, running)
	}
	if s.Load != load || w.broker.Load() != load {
		w.t.Errorf("load %v and %v, want %v", s.Load, w.broker.Load(), load)
	}
	if !s.At.Equal(time.Now()) { // no time passes in the bubble
		w.t.Errorf("At = %v, want the time of the call", s.At)
	}
}

// Waiting requests of all channels come in the order of arrival, running exchanges in the order of matching.
func TestSnapshot(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.shows(10, Load{}, "", "")
		there := at(Key{"another", "channel"})
		w.consume("c1")
		w.consume("c2", there)
		w.produce("p1") // has sent nothing yet
		w.consume("c3")
		w.shows(10, Load{Producers: 1, Consumers: 3}, "c1 c2 p1 c3", "")
		w.shows(2, Load{Producers: 1, Consumers: 3}, "c1 c2", "")

		w.produce("p2", there, firstBytes("12"))
		p1 := w.peers[2]
		p1.sends("123")
		w.shows(10, Load{Consumers: 1, Exchanges: 2}, "c3", "p2>c2:2 p1>c1:3")
		w.shows(1, Load{Consumers: 1, Exchanges: 2}, "c3", "p2>c2:2")
		w.shows(0, Load{Consumers: 1, Exchanges: 2}, "", "")
		p1.sends("4")
		w.shows(10, Load{Consumers: 1, Exchanges: 2}, "c3", "p2>c2:2 p1>c1:4")

		w.peers[3].leaves()
		p1.finishes()
		w.shows(10, Load{Exchanges: 1}, "", "p2>c2:2")
	})
}

// An exchange runs until its relay has returned, even after its channel was deleted.
func TestSnapshotOfADeletedChannel(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.produce("p", whole("x"))
		c := w.held("c", stubborn)
		w.deletes(home, true)
		w.shows(10, Load{Exchanges: 1}, "", "p>c:0")
		c.releases()
		w.shows(10, Load{}, "", "")
	})
}

// Each byte is counted once, when it is written, and stays counted.
func TestRelayed(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		relayed := func(want int64) {
			t.Helper()
			if got := w.broker.BytesRelayed(); got != want {
				t.Errorf("BytesRelayed = %d, want %d", got, want)
			}
		}
		relayed(0)
		p := w.produce("p1", firstBytes("12"))
		relayed(0)
		w.consume("c1")
		relayed(2)
		w.produce("p2", at(Key{"another", "channel"}), whole("345"))
		w.consume("c2", at(Key{"another", "channel"}))
		relayed(5)
		p.sends("6")
		relayed(6)
		w.deletes(home, true)
		relayed(6)
	})
}

// BenchmarkSnapshot takes snapshots of 1,000 among thousands of waiting requests. It reports the 90th percentile of
// their durations, which bounds how long the lock is held.
func BenchmarkSnapshot(b *testing.B) {
	for _, waiting := range []int{1000, 2000, 10_000} {
		b.Run(fmt.Sprint("waiting=", waiting), func(b *testing.B) {
			broker := New(Config{NewID: func() string { return "x" }})
			for i := range waiting {
				broker.Arrive(Arrival{Key: Key{"bench", fmt.Sprint(i % 700)}, Role: Consumer, Wait: Forever})
			}
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				broker.Snapshot(1000)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*9/10].Microseconds()), "µs/p90")
		})
	}
}
