package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"httpipe/pipe"
	"httpipe/store"
)

// A collector reads the state of the broker and the audit log at each scrape.
type collector struct {
	broker *pipe.Broker
	log    *store.Log // nil if there is none
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("httpipe_"+name, help, labels, nil)
}

var (
	waiting       = describe("requests_waiting", "Requests waiting for their exchange to begin, by role.", "role")
	running       = describe("exchanges_running", "Running exchanges.")
	subscribed    = describe("subscriptions", "Clients that are subscribed to topics.")
	publishers    = describe("publishers_waiting", "Publishers that wait for subscribers.")
	messageMemory = describe("message_memory_bytes", "Memory that messages to topics take.")

	relayed = describe("bytes_total", "Bytes of bodies written to consumers, running exchanges included.")

	failing     = describe("audit_failing", "1 while the audit log cannot be written, otherwise 0.")
	rowsWaiting = describe("audit_rows_waiting", "Rows of the audit log that are in memory but not yet on disk.")
	rowsLost    = describe("audit_rows_lost_total", "Rows that could not be recorded since the start.")
	fileSize    = describe("audit_file_bytes", "Size of the audit log's file, without its write-ahead log.")
	walSize     = describe("audit_wal_bytes", "Size of the audit log's write-ahead log.")
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector. It may block on the file system.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	load := c.broker.Load()
	gauge(waiting, int64(load.Producers), pipe.Producer.String())
	gauge(waiting, int64(load.Consumers), pipe.Consumer.String())
	gauge(running, int64(load.Exchanges))
	gauge(subscribed, int64(load.Subscriptions))
	gauge(publishers, int64(load.Publishers))
	gauge(messageMemory, c.broker.MessageMemory())
	counter(relayed, c.broker.BytesRelayed())
	if c.log == nil {
		return
	}
	status := c.log.Status()
	var isFailing int64
	if status.Err != nil {
		isFailing = 1
	}
	gauge(failing, isFailing)
	gauge(rowsWaiting, int64(status.Waiting))
	counter(rowsLost, status.Lost)
	gauge(fileSize, status.File)
	gauge(walSize, status.WAL)
}
