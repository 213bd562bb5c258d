// Package metrics exports counters, histograms and gauges of one server to Prometheus.
//
// Each event is counted in one place. A pipe.Recorder in front of the audit log's (recorder.go, topics.go) counts
// requests, exchanges, calls, publications and subscriptions, so that the metrics agree with the log. Waiting requests,
// running exchanges, bytes and the state of the log are read at each scrape (collector.go) and cost nothing in between.
// Package httpapi reports the errors that it sends, and the requests that it refuses before they reach the broker.
//
// Every label takes its values from a closed list. A client cannot add a time series.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"httpipe/pipe"
	"httpipe/store"
)

// Metrics holds the metrics of one server. Its methods may be called from any goroutine. All except Handler may
// be called on a nil *Metrics and then do nothing.
type Metrics struct {
	registry  *prometheus.Registry
	exchanges outcomeCounter
	unmatched map[pipe.Role]outcomeCounter
	calls     outcomeCounter
	errors    *prometheus.CounterVec
	topics    topicCounters

	producerWait, consumerWait, transfer prometheus.Observer
	commit                               prometheus.Histogram // registered only if there is an audit log
}

var (
	// waitBuckets suit times between a millisecond and hours, in seconds.
	waitBuckets = []float64{.001, .005, .025, .1, .5, 1, 5, 15, 60, 300, 1800, 7200, 28800}
	// commitBuckets suit the times of a disk, in seconds. A commit fails after 5 s.
	commitBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
)

// New returns metrics that are not connected to a server yet: use Recorder, then Register.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	exchanges := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "httpipe_exchanges_total",
		Help: "Ended exchanges, by outcome.",
	}, []string{"outcome"})
	unmatched := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "httpipe_requests_unmatched_total",
		Help: "Produce and consume requests that ended without an exchange, by role and outcome.",
	}, []string{"role", "outcome"})
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "httpipe_calls_total",
		Help: "Ended calls of services, by outcome. The request and the answer of a call are exchanges too.",
	}, []string{"outcome"})
	wait := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "httpipe_wait_seconds",
		Help:    "Time from the arrival of a request to the beginning of its exchange, by role.",
		Buckets: waitBuckets,
	}, []string{"role"})
	transfer := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "httpipe_transfer_seconds",
		Help:    "Time from the beginning of an exchange to its end.",
		Buckets: waitBuckets,
	})
	m.commit = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "httpipe_audit_commit_seconds",
		Help:    "Time from the end of a delivery until its record is on disk; its producer waits for this.",
		Buckets: commitBuckets,
	})
	m.errors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "httpipe_errors_total",
		Help: "Requests answered with an error, by its code (Httpipe-Error).",
	}, []string{"code"})
	m.topics = newTopicCounters()
	m.registry.MustRegister(m.topics.publications.all, m.topics.subscriptions.all, m.topics.deliveries, exchanges, unmatched, calls, m.errors, wait, transfer,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	m.exchanges = newOutcomeCounter(exchanges, exchangeOutcomes)
	m.calls = newOutcomeCounter(calls, callOutcomes)
	m.unmatched = make(map[pipe.Role]outcomeCounter)
	for role, outcomes := range unmatchedOutcomes {
		m.unmatched[role] = newOutcomeCounter(unmatched.MustCurryWith(prometheus.Labels{"role": role.String()}), outcomes)
	}
	m.producerWait = wait.WithLabelValues(pipe.Producer.String())
	m.consumerWait = wait.WithLabelValues(pipe.Consumer.String())
	m.transfer = transfer
	return m
}

// Register registers the metrics that are read from the broker and the audit log at each scrape. log is nil if the
// server has none. It must be called once.
func (m *Metrics) Register(b *pipe.Broker, log *store.Log) {
	if m == nil {
		return
	}
	m.registry.MustRegister(collector{broker: b, log: log})
	if log != nil {
		m.registry.MustRegister(m.commit)
	}
}

// SetNode registers the metric that names the node. It must be called at most once.
func (m *Metrics) SetNode(name string) {
	if m == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "httpipe_node_info",
		Help:        "Always 1; the label is the name of this node.",
		ConstLabels: prometheus.Labels{"node": name},
	}, func() float64 { return 1 }))
}

// CountRefused counts a request that was refused before it reached the broker. A request in neither role is not
// counted.
func (m *Metrics) CountRefused(role pipe.Role) {
	if m == nil {
		return
	}
	if unmatched, ok := m.unmatched[role]; ok {
		unmatched.add(pipe.Refused)
	}
}

// CountError counts a request that was answered with an error. The code must come from a closed list.
func (m *Metrics) CountError(code string) {
	if m != nil {
		m.errors.WithLabelValues(code).Inc()
	}
}

// Handler returns the handler for scrapes. Concurrent scrapes share one collection.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{CoalesceGather: true})
}

// An outcomeCounter counts by outcome.
type outcomeCounter struct {
	all    *prometheus.CounterVec
	common map[pipe.Outcome]prometheus.Counter // exist, at 0, before the first event
}

func newOutcomeCounter(all *prometheus.CounterVec, common []pipe.Outcome) outcomeCounter {
	c := outcomeCounter{all: all, common: make(map[pipe.Outcome]prometheus.Counter)}
	for _, o := range common {
		c.common[o] = all.WithLabelValues(string(o))
	}
	return c
}

func (c outcomeCounter) add(o pipe.Outcome) {
	if counter, ok := c.common[o]; ok {
		counter.Inc()
		return
	}
	c.all.WithLabelValues(string(o)).Inc()
}
