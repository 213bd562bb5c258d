package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"
)

// pace is how a History divides its work into pages and statements, so that tests can change it.
type pace struct {
	rows   int           // rows per page in Each
	page   time.Duration // how long to fill a page; the next page continues with the rest
	step   time.Duration // how long one statement should take; a checkpoint may have to wait for it
	first  int           // ids that the first statement covers, unless the page has more rows
	last   int           // the most ids that a later statement covers
	sample int           // ids of each index that are sampled to choose a plan
}

var standardPace = pace{rows: 1000, page: 50 * time.Millisecond, step: 10 * time.Millisecond, first: 500, last: 64_000, sample: 1000}

// A scan visits the ids of a plan in steps, from the newest to the oldest.
type scan struct {
	kind      *Kind
	conn      *sql.Conn
	filter    Filter
	plan      plan
	pace      pace
	remaining span // not yet visited
	size      int  // number of ids in the next step
}

// newScan begins a scan with the best plan for the filter.
func (h *History) newScan(ctx context.Context, conn *sql.Conn, k *Kind, f Filter, cursor string) (*scan, error) {
	sc := &scan{kind: k, conn: conn, filter: f, pace: h.pace, size: h.pace.first}
	if err := sc.setBounds(ctx, cursor, h.running == nil); err != nil {
		return nil, err
	}
	return sc, sc.choosePlan(ctx, k.plans(&f, h.running, h.indexes))
}

// setBounds limits the scan to ids that the filter and the cursor allow.
func (sc *scan) setBounds(ctx context.Context, cursor string, mayBeOpen bool) error {
	sc.remaining = span{int64(0), int64(math.MaxInt64)}
	first, spare := sc.firstIDAt, clockSlack
	if sc.kind.textID {
		sc.remaining, spare = span{"", "g"}, idSlack // "g" sorts after every character of an id
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

// excludeEarlierRuns leaves out exchanges of earlier runs than the newest of each node, none of which is open.
func (sc *scan) excludeEarlierRuns(ctx context.Context) error {
	var began sql.NullInt64
	err := sc.conn.QueryRowContext(ctx, "SELECT min(started_at) FROM run WHERE id IN ("+newestRuns+")").Scan(&began)
	if err != nil || !began.Valid {
		return err
	}
	if id := idFloor(began.Int64 - clockSlack.Milliseconds()); compareIDs(id, sc.remaining.low) > 0 {
		sc.remaining.low = id
	}
	return nil
}

// firstIDAt returns the first id at or after that time. It uses a binary search, as ids and times ascend
// together, apart from clock changes.
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

// next returns the span of the next step, which has size ids or is the last.
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
	sc.size = max(sc.size, limit+1) // one more than limit, to find out whether there are more rows
	for began := time.Now(); ; {
		step := time.Now()
		s, last, err := sc.next(ctx)
		if err != nil {
			return err
		}
		where, args := sc.kind.where(&sc.plan, &sc.filter, s)
		key := sc.kind.keyColumn()
		query := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s DESC LIMIT ?", sc.kind.columns, cmp.Or(sc.kind.view, sc.kind.Name), where, key)
		if err := page.add(ctx, sc.conn, query, append(args, limit+1-len(page.Rows))...); err != nil {
			return err
		}
		if n := len(page.Rows); n > limit {
			page.Rows = page.Rows[:limit]
			page.Next = fmt.Sprint(page.Value(limit-1, key))
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

// grow doubles the next step if the last one was quick.
func (sc *scan) grow(took time.Duration) {
	if took < sc.pace.step/2 && sc.size < sc.pace.last {
		sc.size *= 2
	}
}
