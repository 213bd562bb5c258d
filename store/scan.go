package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"
)

// A pace is how a History divides its work, in a form that tests can change.
type pace struct {
	rows   int           // in a page that is one of many
	page   time.Duration // how long a page is filled; what is not found by then is for the next one
	step   time.Duration // how long a statement should take at the most, for which a checkpoint may have to wait
	first  int           // how many ids the first statement looks at, unless the page has more rows
	last   int           // and later ones at the most
	sample int           // how many ids of each index are looked at to choose one
}

var standardPace = pace{rows: 1000, page: 50 * time.Millisecond, step: 10 * time.Millisecond, first: 500, last: 64_000, sample: 1000}

// A walk goes through the ids of a plan, step by step, from the newest to the oldest.
type scan struct {
	kind      *Kind
	conn      *sql.Conn
	filter    Filter
	plan      plan
	pace      pace
	remaining span // what has not been visited yet
	size      int  // of the next step, in ids
}

// walk begins one.
func (h *History) newScan(ctx context.Context, conn *sql.Conn, k *Kind, f Filter, cursor string) (*scan, error) {
	sc := &scan{kind: k, conn: conn, filter: f, pace: h.pace, size: h.pace.first}
	if err := sc.setBounds(ctx, cursor, h.running == nil); err != nil {
		return nil, err
	}
	return sc, sc.choosePlan(ctx, k.plans(&f, h.running))
}

// bound sets the span of ids in which all must be that the filter asks for.
func (sc *scan) setBounds(ctx context.Context, cursor string, mayBeOpen bool) error {
	sc.remaining = span{int64(0), int64(math.MaxInt64)}
	first, spare := sc.firstIDAt, clockSlack
	if sc.kind.textID {
		sc.remaining, spare = span{"", "g"}, time.Second // an id has nothing behind f
		first = func(_ context.Context, t time.Time) (any, error) { return idFloor(t.UnixMilli()), nil }
	}
	var err error
	if from := sc.filter.From; !from.IsZero() {
		if sc.remaining.low, err = first(ctx, from.Add(-spare)); err != nil {
			return err
		}
	}
	if to := sc.filter.To; !to.IsZero() {
		if sc.remaining.high, err = first(ctx, to.Add(spare)); err != nil {
			return err
		}
	}
	if sc.kind == Exchanges && sc.filter.Outcome == StillOpen && mayBeOpen {
		if err := sc.excludeEarlierRuns(ctx); err != nil {
			return err
		}
	}
	if cursor == "" {
		return nil
	}
	id, err := sc.kind.parseCursor(cursor)
	if err == nil && compareIDs(id, sc.remaining.high) < 0 {
		sc.remaining.high = id
	}
	return err
}

// boundByRun leaves out what earlier runs have left: of that nothing is open.
func (sc *scan) excludeEarlierRuns(ctx context.Context) error {
	var began int64
	err := sc.conn.QueryRowContext(ctx, "SELECT started_at FROM run ORDER BY id DESC LIMIT 1").Scan(&began)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if id := idFloor(began - clockSlack.Milliseconds()); compareIDs(id, sc.remaining.low) > 0 {
		sc.remaining.low = id
	}
	return err
}

// idAt returns the first id at or after that time, by halving: ids and times ascend together, more or less.
func (sc *scan) firstIDAt(ctx context.Context, t time.Time) (any, error) {
	first, err := sc.conn.PrepareContext(ctx, fmt.Sprintf("SELECT id, %s FROM %s WHERE id >= ? ORDER BY id LIMIT 1", sc.kind.time, sc.kind.table))
	if err != nil {
		return nil, err
	}
	defer first.Close()
	low, high := int64(0), int64(math.MaxInt64)
	for low < high {
		middle := low + (high-low)/2
		var id, at int64
		switch err := first.QueryRowContext(ctx, middle).Scan(&id, &at); {
		case errors.Is(err, sql.ErrNoRows) || err == nil && at >= t.UnixMilli():
			high = middle
		case err != nil:
			return nil, err
		default:
			low = id + 1
		}
	}
	return low, nil
}

// next returns the span of the next step, which has as many ids as size says or is the last.
func (sc *scan) next(ctx context.Context) (s span, last bool, err error) {
	s = sc.remaining
	low, err := sc.nthID(ctx, &sc.plan, sc.size)
	if err != nil || low == nil {
		return s, true, err
	}
	s.low, sc.remaining.high = low, low
	return s, false, nil
}

// fill fills a page.
func (sc *scan) fill(ctx context.Context, page *Page, limit int) error {
	sc.size = max(sc.size, limit+1) // one more than it takes, to see that there is more
	for began := time.Now(); ; {
		step := time.Now()
		s, last, err := sc.next(ctx)
		if err != nil {
			return err
		}
		where, args := sc.kind.where(&sc.plan, &sc.filter, s)
		query := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY id DESC LIMIT ?", sc.kind.columns, sc.kind.Name, where)
		if err := page.add(ctx, sc.conn, query, append(args, limit+1-len(page.Rows))...); err != nil {
			return err
		}
		if n := len(page.Rows); n > limit {
			page.Rows = page.Rows[:limit]
			page.Next = fmt.Sprint(page.Value(limit-1, "id"))
			return nil
		} else if last {
			return nil
		} else if n == limit || time.Since(began) >= sc.pace.page {
			page.Next = fmt.Sprint(s.low)
			return nil
		}
		sc.grow(time.Since(step))
	}
}

// grow makes the next step larger if the last one was quick.
func (sc *scan) grow(took time.Duration) {
	if took < sc.pace.step/2 && sc.size < sc.pace.last {
		sc.size *= 2
	}
}
