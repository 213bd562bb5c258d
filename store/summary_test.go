package store_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// TestSummary compares the counts for every filter with plain queries, also those of a summary that stops
// early.
func TestSummary(t *testing.T) {
	t.Parallel()
	f := open(t)
	record(t, f)
	for name, h := range histories(t, f) {
		for _, slow := range []bool{false, true} {
			if slow {
				h.Slow()
			}
			for i, filter := range filters(store.Exchanges) {
				if slow && i%5 != 0 || name != "own" && i%othersShare != 0 {
					continue
				}
				s, err := h.Summarize(t.Context(), filter, 0)
				if err != nil {
					t.Fatal(err)
				}
				if !s.Complete() {
					t.Fatalf("%s %+v: a summary without a time limit stopped at %v", name, filter, s.Since)
				}
				compareSummary(t, f.path, filter, s)
				compareSideCounts(t, f.path, filter, s)
				s, err = h.Summarize(t.Context(), filter, 1)
				if err != nil {
					t.Fatal(err)
				}
				filter.From = s.Since
				compareSummary(t, f.path, filter, s)
			}
		}
	}
}

// compareSummary compares a summary with plain queries.
func compareSummary(t *testing.T, path string, filter store.Filter, s *store.Summary) {
	t.Helper()
	ids := naive(t, path, store.Exchanges, filter)
	list := "('" + strings.Join(ids, "', '") + "')"
	want := map[string]int64{}
	for _, line := range query(t, path, "SELECT outcome, count(*) FROM exchanges WHERE id IN "+list+" GROUP BY outcome") {
		var n int64
		outcome, count, _ := strings.Cut(line, "|")
		fmt.Sscan(count, &n)
		want[outcome] = n
	}
	if s.Total.Exchanges != int64(len(ids)) || !reflect.DeepEqual(s.Total.Outcomes, want) {
		t.Fatalf("%+v: %d %v, want %d %v", filter, s.Total.Exchanges, s.Total.Outcomes, len(ids), want)
	}
	if got, want := fmt.Sprint(s.Total.Bytes), one(t, path, "SELECT coalesce(sum(bytes), 0) FROM exchanges WHERE id IN "+list); got != want {
		t.Fatalf("%+v: %s bytes, want %s", filter, got, want)
	}
	inBuckets := int64(0)
	for i, b := range s.Buckets {
		inBuckets += b.Exchanges
		if b.Exchanges+b.Publications+total(b.Unmatched) == 0 || !b.From.Equal(b.From.Truncate(s.Step)) || i > 0 && !b.From.After(s.Buckets[i-1].From) {
			t.Fatalf("%+v: bucket %d is %+v", filter, i, b)
		}
	}
	if inBuckets != s.Total.Exchanges || len(s.Buckets) > 121 {
		t.Fatalf("%+v: %d exchanges in %d buckets, %d in all", filter, inBuckets, len(s.Buckets), s.Total.Exchanges)
	}
	if len(ids) == 0 {
		return
	}
	var got, median int64 = s.Total.ProducerWaits.Quantile(0.5), 0
	fmt.Sscan(one(t, path, fmt.Sprintf("SELECT producer_wait_ms FROM exchanges WHERE id IN %s ORDER BY 1 LIMIT 1 OFFSET %d", list, (len(ids)-1)/2)), &median)
	if got > median || got < median-median/100 {
		t.Fatalf("%+v: the median is %d, want %d", filter, got, median)
	}
}

// compareSideCounts compares what a complete summary counts besides exchanges with plain queries.
func compareSideCounts(t *testing.T, path string, filter store.Filter, s *store.Summary) {
	t.Helper()
	filter.Topic, filter.Outcome = filter.Channel, ""
	published := "FROM publications WHERE id IN ('" + strings.Join(naive(t, path, store.Publications, store.Filter{Namespace: filter.Namespace,
		Topic: filter.Channel, From: filter.From, To: filter.To}), "', '") + "')"
	got := fmt.Sprint(s.Total.Publications, " ", s.Total.Deliveries)
	if want := one(t, path, "SELECT count(*) || ' ' || coalesce(sum(delivered), 0) "+published); got != want {
		t.Fatalf("%+v: publications and deliveries are %s, want %s", filter, got, want)
	}
	filter.Topic = ""
	requests := strings.Join(naive(t, path, store.Requests, filter), ", ")
	if got, want := fmt.Sprint(total(s.Total.Unmatched), " ", s.Total.Unmatched["left"]),
		one(t, path, "SELECT coalesce(sum(count), 0) || ' ' || coalesce(sum(count) FILTER (WHERE outcome = 'left'), 0) FROM requests WHERE id IN ("+requests+")"); got != want {
		t.Fatalf("%+v: unmatched requests are %s, want %s", filter, got, want)
	}
}

// total returns the sum of the counts.
func total(counts map[string]int64) (sum int64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// TestTimeOfMatch checks that the time of the match counts, even if the id was generated in the millisecond
// before.
func TestTimeOfMatch(t *testing.T) {
	f := open(t)
	m := match(idAt(noon))
	m.At = noon.Add(time.Millisecond)
	wait(t, f.ExchangeMatched(m))
	for _, test := range []struct {
		filter store.Filter
		want   int
	}{
		{store.Filter{From: m.At}, 1},
		{store.Filter{From: noon, To: m.At}, 0},
		{store.Filter{To: m.At.Add(time.Millisecond)}, 1},
		{store.Filter{From: m.At.Add(time.Millisecond)}, 0},
	} {
		page, err := f.History().Page(t.Context(), store.Exchanges, test.filter, "", 10)
		if err != nil || len(page.Rows) != test.want {
			t.Errorf("%+v: %d rows, %v, want %d", test.filter, len(page.Rows), err, test.want)
		}
	}
}
