package metrics

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
)

// ended returns an exchange that took half a second.
func ended(o pipe.Outcome) *pipe.Exchange {
	now := time.Now()
	return &pipe.Exchange{MatchedAt: now.Add(-500 * time.Millisecond), EndedAt: now, Outcome: o,
		Producer: &pipe.Request{ArrivedAt: now.Add(-time.Hour)}, Consumer: &pipe.Request{ArrivedAt: now.Add(-time.Minute)}}
}

// wantExchanges checks how many exchanges a scrape reports with an outcome.
func (m *Metrics) wantExchanges(t *testing.T, o pipe.Outcome, want int) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if line := fmt.Sprintf("\nhttpipe_exchanges_total{outcome=%q} %d\n", o, want); !strings.Contains(w.Body.String(), line) {
		t.Errorf("the scrape does not contain %q:\n%s", line, w.Body)
	}
}

// An exchange is counted by the outcome that is decided after its end, not by the one at its end.
func TestExchangeIsCountedByItsDecidedOutcome(t *testing.T) {
	for _, decided := range []pipe.Outcome{pipe.Delivered, pipe.Unrecorded} {
		m := New()
		r, x := m.Recorder(nil), ended(pipe.Delivered)
		r.ExchangeEnded(x)
		m.wantExchanges(t, pipe.Delivered, 0)
		r.OutcomeDecided(x, decided)
		m.wantExchanges(t, decided, 1)
	}
}

// An outcome without a counter of its own is counted too.
func TestUncommonOutcome(t *testing.T) {
	m := New()
	m.Recorder(nil).OutcomeDecided(ended(pipe.Interrupted), pipe.Interrupted)
	m.wantExchanges(t, pipe.Interrupted, 1)
}

func TestNilMetrics(t *testing.T) {
	var m *Metrics
	if next := m.Recorder(nil); next != nil {
		t.Errorf("Recorder = %T, want nil", next)
	}
	m.Register(nil, nil)
	m.CountError("refused")
}

// BenchmarkExchange measures the cost of the metrics per exchange.
func BenchmarkExchange(b *testing.B) {
	r := New().Recorder(nil)
	x := ended(pipe.Delivered)
	b.ReportAllocs()
	for b.Loop() {
		r.ExchangeMatched(x)
		r.ExchangeEnded(x)
		r.OutcomeDecided(x, pipe.Delivered)
	}
}
