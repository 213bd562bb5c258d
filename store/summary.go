package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Summary counts the exchanges that match a filter and, of the same namespace and channel, the requests that were never
// matched and the publications.
type Summary struct {
	From, To time.Time     // From is included, To is not
	Oldest   time.Time     // the time of the oldest row in the log, whatever the filter; zero if there is none
	Since    time.Time     // older rows are not counted; From if all are counted
	Step     time.Duration // the length of a Bucket
	Total    Bucket
	Buckets  []Bucket // in order of time, without empty ones
}

// Complete reports whether everything is counted.
func (s *Summary) Complete() bool { return s.Since.Equal(s.From) }

// A Bucket counts what happened in a period of time: exchanges by the time of their match, unmatched requests by that of
// their end.
type Bucket struct {
	From          time.Time // the beginning, a multiple of Step; in Total, From of the Summary
	Exchanges     int64
	Bytes         int64
	Outcomes      map[string]int64
	ProducerWaits WaitTimes
	ConsumerWaits WaitTimes

	Unmatched    map[string]int64 // requests that were never matched, by outcome; nil if there are none
	Publications int64
	Deliveries   int64 // of these publications to subscribers
}

// WaitTimes is the distribution of the times that producers or consumers had waited when they were matched.
// Times are exact below one second, and otherwise rounded down to three digits.
type WaitTimes struct{ counts map[int64]int64 } // by milliseconds

func (w *WaitTimes) add(ms, n int64) {
	if w.counts == nil {
		w.counts = make(map[int64]int64)
	}
	unit := int64(1)
	for ms/unit >= 1000 {
		unit *= 10
	}
	w.counts[ms/unit*unit] += n
}

// addAll adds times from a comma-separated list of milliseconds.
func (w *WaitTimes) addAll(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		w.add(ms, 1)
	}
	return nil
}

// Quantile returns the quantile part, from 0 to 1, in milliseconds, or 0 if no times were added.
func (w *WaitTimes) Quantile(part float64) int64 {
	var all, seen int64
	for _, n := range w.counts {
		all += n
	}
	for _, ms := range slices.Sorted(maps.Keys(w.counts)) {
		if seen += w.counts[ms]; float64(seen) >= part*float64(all) {
			return ms
		}
	}
	return 0
}

// steps are the possible lengths of a bucket; maxBuckets is the most buckets in a summary.
var steps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

const maxBuckets = 120

// stepFor returns the shortest step with which that duration has at most maxBuckets buckets.
func stepFor(d time.Duration) time.Duration {
	for _, step := range steps {
		if d <= maxBuckets*step {
			return step
		}
	}
	const day = 24 * time.Hour
	return (d/maxBuckets + day).Truncate(day)
}

// Summarize counts what matches the filter, newest first, until all is counted or patience has passed; 0 is no limit. In
// between it holds no lock and no snapshot. The filter's outcome selects exchanges only. If the filter has no From, the
// summary begins with the oldest row; if it has no To, it ends now.
func (h *History) Summarize(ctx context.Context, f Filter, patience time.Duration) (*Summary, error) {
	began := time.Now()
	if f.To.IsZero() {
		f.To = began.Add(time.Millisecond)
	}
	f.To = f.To.UTC().Truncate(time.Millisecond)
	oldest, err := h.oldest(ctx)
	if err != nil {
		return nil, err
	}
	if f.From.IsZero() {
		f.From = cmp.Or(oldest, f.To)
	}
	f.From = f.From.UTC().Truncate(time.Millisecond)
	if f.From.After(f.To) {
		f.From = f.To
	}
	t := &tally{filter: f, oldest: oldest, step: stepFor(f.To.Sub(f.From)), since: f.To, sides: sideCounts(f.To), buckets: make(map[int64]*Bucket)}
	for t.since.After(f.From) {
		until := time.Now().Add(h.pace.page)
		if end := began.Add(patience); patience > 0 && end.Before(until) {
			until = end
		}
		err := h.with(ctx, func(ctx context.Context, conn *sql.Conn) error { return t.advance(ctx, h, conn, until) })
		if err != nil {
			return nil, err
		}
		if patience > 0 && time.Since(began) >= patience {
			break
		}
	}
	return t.summary(), nil
}

// oldest returns the time of the oldest row, or the zero time if there is none. Rows of one table ascend in time, apart from
// clock changes.
func (h *History) oldest(ctx context.Context) (at time.Time, err error) {
	err = h.with(ctx, func(ctx context.Context, conn *sql.Conn) error {
		for _, k := range []*Kind{Exchanges, Requests, Publications, Subscriptions} {
			column := k.time
			var ms int64
			err := conn.QueryRowContext(ctx, "SELECT "+column+" FROM "+k.table+" ORDER BY id LIMIT 1").Scan(&ms)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			if first := time.UnixMilli(ms).UTC(); at.IsZero() || first.Before(at) {
				at = first
			}
		}
		return nil
	})
	return at, err
}

// tally collects the counts of a Summary.
type tally struct {
	filter  Filter
	step    time.Duration
	oldest  time.Time // of the Summary
	since   time.Time // exchanges matched from then on are counted
	sides   []*sideCount
	buckets map[int64]*Bucket
}

// advance counts until that time. The side counts lead, so that all that is younger than t.since is counted; each takes at most
// a quarter of the time.
func (t *tally) advance(ctx context.Context, h *History, conn *sql.Conn, until time.Time) error {
	bound := t.filter.From
	for _, side := range t.sides {
		if side.since.After(t.filter.From) && !side.since.Before(t.since) {
			if err := side.count(ctx, h, conn, t, time.Now().Add(time.Until(until)/4)); err != nil {
				return err
			}
		}
		if side.since.After(bound) {
			bound = side.since
		}
	}
	return t.count(ctx, h, conn, bound, until)
}

// count continues where the last call stopped, until that time, and not beyond bound.
func (t *tally) count(ctx context.Context, h *History, conn *sql.Conn, bound, until time.Time) error {
	rest := t.filter
	rest.To = t.since
	sc, err := h.newScan(ctx, conn, Exchanges, rest, "")
	if err != nil {
		return err
	}
	sc.filter.From, sc.filter.To = time.Time{}, time.Time{} // spans of ids are exact enough
	for t.since.After(bound) {
		step := time.Now()
		sc.remaining = span{idFloor(bound.UnixMilli()), idFloor(t.since.UnixMilli())}
		newest, err := sc.nthID(ctx, &sc.plan, 1)
		if err != nil {
			return err
		}
		if newest == nil {
			t.since = bound
			break
		}
		from := time.UnixMilli(idTime(newest.(string))).UTC().Truncate(t.step) // a step stays within one bucket
		if from.Before(bound) {
			from = bound
		}
		sc.remaining.low = idFloor(from.UnixMilli())
		s, last, err := sc.next(ctx)
		if err != nil {
			return err
		}
		if !last {
			from = time.UnixMilli(alignToMillisecond(&s)).UTC()
		}
		if err := t.add(ctx, sc, s, from.Truncate(t.step)); err != nil {
			return err
		}
		t.since = from
		if !time.Now().Before(until) {
			break
		}
		sc.grow(time.Since(step))
	}
	return nil
}

// alignToMillisecond extends the span to the beginning of its first millisecond, and returns that.
func alignToMillisecond(s *span) int64 {
	ms := idTime(s.low.(string))
	s.low = idFloor(ms)
	return ms
}

// add counts the exchanges in the span, which lies in one bucket. It queries the columns as concatenated text,
// because separate rows take six times as long.
func (t *tally) add(ctx context.Context, sc *scan, s span, from time.Time) error {
	where, args := Exchanges.where(&sc.plan, &sc.filter, s)
	var exchanges, bytes, delivered int64
	var others, producers, consumers string
	err := sc.conn.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(bytes), 0), count(*) FILTER (WHERE outcome = 'delivered'),
		coalesce(group_concat(outcome) FILTER (WHERE outcome <> 'delivered'), ''),
		coalesce(group_concat(producer_wait_ms), ''), coalesce(group_concat(consumer_wait_ms), '')
		FROM exchanges WHERE `+where, args...).Scan(&exchanges, &bytes, &delivered, &others, &producers, &consumers)
	if err != nil || exchanges == 0 {
		return err
	}
	b := t.bucket(from)
	b.Exchanges += exchanges
	b.Bytes += bytes
	if delivered > 0 {
		b.Outcomes[Delivered] += delivered
	}
	for outcome := range strings.SplitSeq(others, ",") {
		if outcome != "" {
			b.Outcomes[outcome]++
		}
	}
	return errors.Join(b.ProducerWaits.addAll(producers), b.ConsumerWaits.addAll(consumers))
}

// bucket returns the bucket that begins at that time.
func (t *tally) bucket(from time.Time) *Bucket {
	b := t.buckets[from.UnixMilli()]
	if b == nil {
		b = &Bucket{From: from, Outcomes: make(map[string]int64)}
		t.buckets[from.UnixMilli()] = b
	}
	return b
}

func (t *tally) summary() *Summary {
	s := &Summary{From: t.filter.From, To: t.filter.To, Oldest: t.oldest, Since: t.since.UTC(), Step: t.step}
	s.Total = Bucket{From: s.From, Outcomes: make(map[string]int64)}
	for _, from := range slices.Sorted(maps.Keys(t.buckets)) {
		b := t.buckets[from]
		if !b.From.Add(t.step).After(t.since) {
			continue // a side count went further back
		}
		s.Buckets = append(s.Buckets, *b)
		s.Total.Exchanges += b.Exchanges
		s.Total.Bytes += b.Bytes
		for outcome, n := range b.Outcomes {
			s.Total.Outcomes[outcome] += n
		}
		s.Total.Publications += b.Publications
		s.Total.Deliveries += b.Deliveries
		for outcome, n := range b.Unmatched {
			if s.Total.Unmatched == nil {
				s.Total.Unmatched = make(map[string]int64)
			}
			s.Total.Unmatched[outcome] += n
		}
		for ms, n := range b.ProducerWaits.counts {
			s.Total.ProducerWaits.add(ms, n)
		}
		for ms, n := range b.ConsumerWaits.counts {
			s.Total.ConsumerWaits.add(ms, n)
		}
	}
	return s
}
