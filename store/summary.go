package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Summary counts the exchanges that a filter asks for.
type Summary struct {
	From, To time.Time     // From is included, To is not
	Since    time.Time     // what was matched before is not counted; From if everything is
	Step     time.Duration // how long a Bucket is
	Total    Bucket
	Buckets  []Bucket // in the order of time, without empty ones
}

// Complete reports whether everything is counted.
func (s *Summary) Complete() bool { return s.Since.Equal(s.From) }

// A Bucket counts the exchanges that were matched within a time.
type Bucket struct {
	From      time.Time // its beginning, a multiple of Step; those of the total are From and To of the Summary
	Exchanges int64
	Bytes     int64
	Outcomes  map[string]int64
	Producers Waits
	Consumers Waits
}

// Waits tells how long one side had waited when it was matched. Times are exact below a second, and else to three digits.
type Waits struct{ counts map[int64]int64 } // by milliseconds

func (w *Waits) add(ms, n int64) {
	if w.counts == nil {
		w.counts = make(map[int64]int64)
	}
	unit := int64(1)
	for ms/unit >= 1000 {
		unit *= 10
	}
	w.counts[ms/unit*unit] += n
}

// addAll adds times with commas between them.
func (w *Waits) addAll(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		w.add(ms, 1)
	}
	return nil
}

// Quantile returns how many milliseconds that part of all, from 0 to 1, had waited at the most. Without any it is 0.
func (w *Waits) Quantile(part float64) int64 {
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

// steps are how long buckets can be; mostBuckets is how many there are at the most.
var steps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

const mostBuckets = 120

// stepFor returns the shortest step that makes few enough buckets of that time.
func stepFor(d time.Duration) time.Duration {
	for _, step := range steps {
		if d <= mostBuckets*step {
			return step
		}
	}
	const day = 24 * time.Hour
	return (d/mostBuckets + day).Truncate(day)
}

// Summarize counts the exchanges that the filter asks for, from the newest on, until all are counted or patience is over; 0 is
// no bound. In between nothing of the log is held. If it says no beginning, that is the oldest exchange's; if it says no end,
// that is now.
func (h *History) Summarize(ctx context.Context, f Filter, patience time.Duration) (*Summary, error) {
	began := time.Now()
	if f.To.IsZero() {
		f.To = began.Add(time.Millisecond)
	}
	f.To = f.To.UTC().Truncate(time.Millisecond)
	if f.From.IsZero() {
		oldest, err := h.oldest(ctx)
		if err != nil {
			return nil, err
		}
		f.From = oldest
	}
	f.From = f.From.UTC().Truncate(time.Millisecond)
	if f.From.After(f.To) {
		f.From = f.To
	}
	t := &tally{filter: f, step: stepFor(f.To.Sub(f.From)), since: f.To, buckets: make(map[int64]*Bucket)}
	for t.since.After(f.From) {
		err := h.with(ctx, func(ctx context.Context, conn *sql.Conn) error { return t.count(ctx, h, conn) })
		if err != nil {
			return nil, err
		}
		if patience > 0 && time.Since(began) >= patience {
			break
		}
	}
	return t.summary(), nil
}

// oldest returns the time of the oldest exchange, or now.
func (h *History) oldest(ctx context.Context) (at time.Time, err error) {
	at = time.Now()
	err = h.with(ctx, func(ctx context.Context, conn *sql.Conn) error {
		var id sql.NullString
		if err := conn.QueryRowContext(ctx, "SELECT min(id) FROM exchange").Scan(&id); err != nil || !id.Valid {
			return err
		}
		at = time.UnixMilli(idTime(id.String))
		return nil
	})
	return at, err
}

// A tally is a Summary in the making.
type tally struct {
	filter  Filter
	step    time.Duration
	since   time.Time // all from then on is counted
	buckets map[int64]*Bucket
}

// count goes on counting where the last one has stopped, for about the time of a page.
func (t *tally) count(ctx context.Context, h *History, conn *sql.Conn) error {
	rest := t.filter
	rest.To = t.since
	w, err := h.walk(ctx, conn, Exchanges, rest, "")
	if err != nil {
		return err
	}
	w.filter.From, w.filter.To = time.Time{}, time.Time{} // the times in the ids will do
	for began := time.Now(); t.since.After(t.filter.From); {
		step := time.Now()
		w.rest = span{idFloor(t.filter.From.UnixMilli()), idFloor(t.since.UnixMilli())}
		newest, err := w.nth(ctx, &w.plan, 1)
		if err != nil {
			return err
		}
		if newest == nil {
			t.since = t.filter.From
			break
		}
		from := time.UnixMilli(idTime(newest.(string))).UTC().Truncate(t.step) // a step does not go beyond a bucket
		if from.Before(t.filter.From) {
			from = t.filter.From
		}
		w.rest.low = idFloor(from.UnixMilli())
		s, last, err := w.next(ctx)
		if err != nil {
			return err
		}
		if !last {
			from = time.UnixMilli(wholeMilliseconds(&s)).UTC()
		}
		if err := t.add(ctx, w, s, from.Truncate(t.step)); err != nil {
			return err
		}
		t.since = from
		if time.Since(began) >= h.pace.page {
			break
		}
		w.grow(time.Since(step))
	}
	return nil
}

// wholeMilliseconds lets the span have all of its first millisecond, and returns that.
func wholeMilliseconds(s *span) int64 {
	ms := idTime(s.low.(string))
	s.low = idFloor(ms)
	return ms
}

// add counts what is in the span, which lies in one bucket. It asks for columns as texts, since rows take six times as long.
func (t *tally) add(ctx context.Context, w *walk, s span, from time.Time) error {
	where, args := Exchanges.where(&w.plan, &w.filter, s)
	var exchanges, bytes, delivered int64
	var others, producers, consumers string
	err := w.conn.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(bytes), 0), count(*) FILTER (WHERE outcome = 'delivered'),
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
	return errors.Join(b.Producers.addAll(producers), b.Consumers.addAll(consumers))
}

// bucket returns the bucket that begins then.
func (t *tally) bucket(from time.Time) *Bucket {
	b := t.buckets[from.UnixMilli()]
	if b == nil {
		b = &Bucket{From: from, Outcomes: make(map[string]int64)}
		t.buckets[from.UnixMilli()] = b
	}
	return b
}

func (t *tally) summary() *Summary {
	s := &Summary{From: t.filter.From, To: t.filter.To, Since: t.since.UTC(), Step: t.step}
	s.Total = Bucket{From: s.From, Outcomes: make(map[string]int64)}
	for _, from := range slices.Sorted(maps.Keys(t.buckets)) {
		b := t.buckets[from]
		s.Buckets = append(s.Buckets, *b)
		s.Total.Exchanges += b.Exchanges
		s.Total.Bytes += b.Bytes
		for outcome, n := range b.Outcomes {
			s.Total.Outcomes[outcome] += n
		}
		for ms, n := range b.Producers.counts {
			s.Total.Producers.add(ms, n)
		}
		for ms, n := range b.Consumers.counts {
			s.Total.Consumers.add(ms, n)
		}
	}
	return s
}

// idTime returns the time in an id, in milliseconds, or 0 if it is none of ours.
func idTime(id string) int64 {
	if len(id) < 13 {
		return 0
	}
	ms, err := strconv.ParseInt(id[:8]+id[9:13], 16, 64)
	if err != nil {
		return 0
	}
	return ms
}
