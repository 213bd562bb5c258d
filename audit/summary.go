package audit

import (
	"slices"
	"strings"

	"httpipe/pipe"
	"httpipe/store"
)

// The JSON forms of a summary.
type (
	summary struct {
		From     string   `json:"from"`
		To       string   `json:"to"`
		Complete bool     `json:"complete"`
		Since    string   `json:"since"`
		Oldest   *string  `json:"oldest"` // null if the log is empty, or the client may not read all of it
		Step     float64  `json:"step_s"`
		Total    bucket   `json:"total"`
		Buckets  []bucket `json:"buckets"`
	}
	bucket struct {
		From      string           `json:"from"`
		Exchanges int64            `json:"exchanges"`
		Bytes     int64            `json:"bytes"`
		Outcomes  map[string]int64 `json:"outcomes"`
		Producers waits            `json:"producer_wait_ms"`
		Consumers waits            `json:"consumer_wait_ms"`

		Unmatched    map[string]int64 `json:"unmatched"`
		Publications int64            `json:"publications"`
		Deliveries   int64            `json:"deliveries"`
	}
	waits struct {
		Median int64 `json:"median"`
		P95    int64 `json:"p95"`
	}
)

func newSummary(s *store.Summary) summary {
	v := summary{From: pipe.Timestamp(s.From), To: pipe.Timestamp(s.To), Complete: s.Complete(), Since: pipe.Timestamp(s.Since),
		Step: s.Step.Seconds(), Total: newBucket(&s.Total), Buckets: make([]bucket, 0, len(s.Buckets))}
	if !s.Oldest.IsZero() {
		v.Oldest = new(pipe.Timestamp(s.Oldest))
	}
	for i := range s.Buckets {
		v.Buckets = append(v.Buckets, newBucket(&s.Buckets[i]))
	}
	return v
}

func newBucket(b *store.Bucket) bucket {
	quantiles := func(w *store.WaitTimes) waits { return waits{w.Quantile(0.5), w.Quantile(0.95)} }
	unmatched := b.Unmatched
	if unmatched == nil {
		unmatched = map[string]int64{}
	}
	return bucket{pipe.Timestamp(b.From), b.Exchanges, b.Bytes, b.Outcomes, quantiles(&b.ProducerWaits), quantiles(&b.ConsumerWaits),
		unmatched, b.Publications, b.Deliveries}
}

// SummaryText returns a summary in a format: as one JSON object, or its buckets as rows of NDJSON or CSV.
func SummaryText(f Format, s *store.Summary) string {
	v := newSummary(s)
	var out strings.Builder
	switch f {
	case NDJSON:
		for _, b := range v.Buckets {
			out.Write(append(mustJSON(b), '\n'))
		}
	case CSV:
		NewRows(&out, CSV).Page(bucketPage(v.Buckets))
	default:
		out.Write(append(mustJSON(v), '\n'))
	}
	return out.String()
}

// bucketPage returns buckets as rows, with a column for each outcome.
func bucketPage(buckets []bucket) (page store.Page) {
	words := []string{store.StillOpen}
	for _, o := range pipe.Outcomes {
		words = append(words, string(o))
	}
	page.Columns = slices.Concat([]string{"from", "exchanges", "bytes"}, words,
		[]string{"producer_wait_ms_median", "producer_wait_ms_p95", "consumer_wait_ms_median", "consumer_wait_ms_p95",
			"unmatched", "publications", "deliveries"})
	for _, b := range buckets {
		row := []any{b.From, b.Exchanges, b.Bytes}
		for _, word := range words {
			row = append(row, b.Outcomes[word])
		}
		var unmatched int64
		for _, n := range b.Unmatched {
			unmatched += n
		}
		page.Rows = append(page.Rows, append(row, b.Producers.Median, b.Producers.P95, b.Consumers.Median, b.Consumers.P95,
			unmatched, b.Publications, b.Deliveries))
	}
	return page
}
