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
	}
	waits struct {
		Median int64 `json:"median"`
		P95    int64 `json:"p95"`
	}
)

func newSummary(s *store.Summary) summary {
	v := summary{From: pipe.Timestamp(s.From), To: pipe.Timestamp(s.To), Complete: s.Complete(), Since: pipe.Timestamp(s.Since),
		Step: s.Step.Seconds(), Total: newBucket(&s.Total), Buckets: make([]bucket, 0, len(s.Buckets))}
	for i := range s.Buckets {
		v.Buckets = append(v.Buckets, newBucket(&s.Buckets[i]))
	}
	return v
}

func newBucket(b *store.Bucket) bucket {
	quantiles := func(w *store.WaitTimes) waits { return waits{w.Quantile(0.5), w.Quantile(0.95)} }
	return bucket{pipe.Timestamp(b.From), b.Exchanges, b.Bytes, b.Outcomes, quantiles(&b.ProducerWaits), quantiles(&b.ConsumerWaits)}
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
		[]string{"producer_wait_ms_median", "producer_wait_ms_p95", "consumer_wait_ms_median", "consumer_wait_ms_p95"})
	for _, b := range buckets {
		row := []any{b.From, b.Exchanges, b.Bytes}
		for _, word := range words {
			row = append(row, b.Outcomes[word])
		}
		page.Rows = append(page.Rows, append(row, b.Producers.Median, b.Producers.P95, b.Consumers.Median, b.Consumers.P95))
	}
	return page
}
