package metrics

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
)

// recorded is a Recorder whose commits are as given.
type recorded struct {
	pipe.Discard
	commit pipe.Commit
}

func (r recorded) ExchangeEnded(*pipe.Exchange) pipe.Commit { return r.commit }

// A commit is one that has ended with the error, or with nil.
type commit struct{ error }

func (c commit) Wait() error { return c.error }

// ended is an exchange of half a second.
func ended(o pipe.Outcome) *pipe.Exchange {
	now := time.Now()
	return &pipe.Exchange{MatchedAt: now.Add(-500 * time.Millisecond), EndedAt: now, Outcome: o,
		Producer: &pipe.Request{ArrivedAt: now.Add(-time.Hour)}, Consumer: &pipe.Request{ArrivedAt: now.Add(-time.Minute)}}
}

// counts asserts how many exchanges have ended so, as it is scraped.
func (m *Metrics) counts(t *testing.T, o pipe.Outcome, want int) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if line := fmt.Sprintf("\nhttpipe_exchanges_total{outcome=%q} %d\n", o, want); !strings.Contains(w.Body.String(), line) {
		t.Errorf("the scrape is without %q:\n%s", line, w.Body)
	}
}

// A delivery is counted when it is known whether it is on record, and once, however often that is asked.
func TestDeliveryIsCountedWithItsCommit(t *testing.T) {
	for _, test := range []struct {
		err  error
		want pipe.Outcome
	}{{nil, pipe.Delivered}, {errors.New("disk full"), pipe.Unrecorded}} {
		m := New()
		c := m.Recorder(recorded{commit: commit{test.err}}).ExchangeEnded(ended(pipe.Delivered))
		m.counts(t, test.want, 0) // nobody can know yet
		for range 2 {
			if err := c.Wait(); err != test.err {
				t.Errorf("Wait returns %v, want %v", err, test.err)
			}
		}
		m.counts(t, test.want, 1)
	}
}

// An outcome that was not thought of is counted too.
func TestUnusualOutcome(t *testing.T) {
	m := New()
	m.Recorder(nil).ExchangeEnded(ended(pipe.Interrupted))
	m.counts(t, pipe.Interrupted, 1)
}

func TestNoMetrics(t *testing.T) {
	var m *Metrics
	if next := m.Recorder(nil); next != nil {
		t.Errorf("there is a recorder %T", next)
	}
	m.Watch(nil, nil)
	m.Failed("refused")
}

// BenchmarkExchange is what counting costs an exchange.
func BenchmarkExchange(b *testing.B) {
	r := New().Recorder(recorded{commit: commit{}})
	x := ended(pipe.Delivered)
	b.ReportAllocs()
	for b.Loop() {
		r.ExchangeMatched(x)
		r.ExchangeEnded(x).Wait()
	}
}
