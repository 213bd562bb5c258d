// Package metrics counts what happens on a relay, for Prometheus.
//
// Each thing is counted in one place. What becomes of requests and exchanges is told to the pipe.Recorder that
// stands before the audit log's (recorder.go), so that the two agree. Who waits, what runs, how many bytes
// have gone and how the log is doing is asked when somebody scrapes (state.go), and costs nothing before.
// Package httpapi tells of the errors that it has answered.
//
// No label has a value that a client could choose: there are as many series after a year as on the first day.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"httpipe/pipe"
	"httpipe/store"
)

// Metrics counts what happens on one relay. Its methods may be called from any goroutine. Those of a nil
// *Metrics, but for Handler, count nothing, and cost nothing.
type Metrics struct {
	registry  *prometheus.Registry
	exchanges tally
	unmatched map[pipe.Role]tally
	errors    *prometheus.CounterVec

	producerWait, consumerWait, transfer prometheus.Observer
	commit                               prometheus.Histogram // registered only where there is a log
}

var (
	// waits are the bounds for what may take a moment or a day, in seconds.
	waits = []float64{.001, .005, .025, .1, .5, 1, 5, 15, 60, 300, 1800, 7200, 28800}
	// commits are those for what a disk takes; after 5 s the log gives up.
	commits = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
)

// New returns metrics of no relay yet: see Recorder and Watch.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	exchanges := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "httpipe_exchanges_total",
		Help: "Exchanges that have ended, by outcome.",
	}, []string{"outcome"})
	unmatched := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "httpipe_requests_unmatched_total",
		Help: "Requests to produce or consume that ended without having been in an exchange, by role and outcome.",
	}, []string{"role", "outcome"})
	wait := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "httpipe_wait_seconds",
		Help:    "How long requests had waited when their exchange began, by role.",
		Buckets: waits,
	}, []string{"role"})
	transfer := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "httpipe_transfer_seconds",
		Help:    "How long exchanges took from their beginning to their end.",
		Buckets: waits,
	})
	m.commit = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "httpipe_audit_commit_seconds",
		Help:    "How long the records of deliveries took to be on disk, for which their producers wait.",
		Buckets: commits,
	})
	m.errors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "httpipe_errors_total",
		Help: "Requests that were refused or answered with another error, by its code (Httpipe-Error).",
	}, []string{"code"})
	m.registry.MustRegister(exchanges, unmatched, m.errors, wait, transfer,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	m.exchanges = newTally(exchanges, endings)
	m.unmatched = make(map[pipe.Role]tally)
	for role, outcomes := range partings {
		m.unmatched[role] = newTally(unmatched.MustCurryWith(prometheus.Labels{"role": string(role)}), outcomes)
	}
	m.producerWait = wait.WithLabelValues(string(pipe.Producer))
	m.consumerWait = wait.WithLabelValues(string(pipe.Consumer))
	m.transfer = transfer
	return m
}

// Watch makes these what is asked for its state at each scrape; the log is nil where there is none. It must be
// called once.
func (m *Metrics) Watch(b *pipe.Broker, log *store.Log) {
	if m == nil {
		return
	}
	m.registry.MustRegister(state{broker: b, log: log})
	if log != nil {
		m.registry.MustRegister(m.commit)
	}
}

// Refused counts a request that was turned away before it came to the broker, if it was for either role.
func (m *Metrics) Refused(role pipe.Role) {
	if m == nil {
		return
	}
	if unmatched, ok := m.unmatched[role]; ok {
		unmatched.add(pipe.Refused)
	}
}

// Failed counts a request that was answered with the error code, one of a closed list.
func (m *Metrics) Failed(code string) {
	if m != nil {
		m.errors.WithLabelValues(code).Inc()
	}
}

// Handler answers scrapes. Those that come at the same time share one look at everything.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{CoalesceGather: true})
}

// A tally counts by outcome.
type tally struct {
	all   *prometheus.CounterVec
	usual map[pipe.Outcome]prometheus.Counter // those that can be told beforehand, which are there from the start
}

func newTally(all *prometheus.CounterVec, usual []pipe.Outcome) tally {
	t := tally{all: all, usual: make(map[pipe.Outcome]prometheus.Counter)}
	for _, o := range usual {
		t.usual[o] = all.WithLabelValues(string(o))
	}
	return t
}

func (t tally) add(o pipe.Outcome) {
	if counter, ok := t.usual[o]; ok {
		counter.Inc()
		return
	}
	t.all.WithLabelValues(string(o)).Inc()
}
