package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"httpipe/pipe"
	"httpipe/store"
)

// state is what is asked for at each scrape.
type state struct {
	broker *pipe.Broker
	log    *store.Log // nil: there is none
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("httpipe_"+name, help, labels, nil)
}

var (
	waiting = describe("requests_waiting", "Requests that wait for their exchange to begin, by role.", "role")
	running = describe("exchanges_running", "Exchanges that run.")
	relayed = describe("bytes_total", "Bytes of bodies that were written to consumers, by exchanges that run as well.")

	failing     = describe("audit_failing", "1 while the audit log cannot be written, else 0.")
	rowsWaiting = describe("audit_rows_waiting", "Rows of the audit log that are in memory and not yet on disk.")
	rowsLost    = describe("audit_rows_lost_total", "Rows that could not be recorded since the start.")
	fileSize    = describe("audit_file_bytes", "Size of the audit log's file.")
	walSize     = describe("audit_wal_bytes", "Size of the write-ahead log beside it.")
)

// Describe implements prometheus.Collector.
func (s state) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, ch) }

// Collect implements prometheus.Collector. It can take as long as the file system does.
func (s state) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	load := s.broker.Load()
	gauge(waiting, int64(load.Producers), string(pipe.Producer))
	gauge(waiting, int64(load.Consumers), string(pipe.Consumer))
	gauge(running, int64(load.Exchanges))
	counter(relayed, s.broker.BytesRelayed())
	if s.log == nil {
		return
	}
	status := s.log.Status()
	fails := int64(0)
	if status.Err != nil {
		fails = 1
	}
	gauge(failing, fails)
	gauge(rowsWaiting, int64(status.Waiting))
	counter(rowsLost, status.Lost)
	gauge(fileSize, status.File)
	gauge(walSize, status.WAL)
}
