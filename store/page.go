package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
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

// Page returns up to limit of the rows that the filter asks for, the newest first, from behind the cursor of another page; "" is
// the beginning. It looks for about a twentieth of a second, and a page may therefore be short, or even empty: there is more
// for as long as it has a Next.
func (h *History) Page(ctx context.Context, k *Kind, f Filter, cursor string, limit int) (page Page, err error) {
	err = h.with(ctx, func(ctx context.Context, conn *sql.Conn) error {
		w, err := h.walk(ctx, conn, k, f, cursor)
		if err != nil {
			return err
		}
		return w.fill(ctx, &page, limit)
	})
	return page, err
}

// Each calls f with page after page, until there is no more or it returns an error, which Each then returns. limit is for all
// pages together; 0 is none. Between pages nothing of the log is held.
func (h *History) Each(ctx context.Context, k *Kind, filter Filter, cursor string, limit int, f func(Page) error) error {
	for left := limit; ; {
		want := h.pace.rows
		if limit > 0 {
			want = min(left, want)
		}
		page, err := h.Page(ctx, k, filter, cursor, want)
		if err != nil {
			return err
		}
		if err := f(page); err != nil {
			return err
		}
		left -= len(page.Rows)
		if cursor = page.Next; cursor == "" || limit > 0 && left == 0 {
			return nil
		}
	}
}

// A walk goes through the ids of a plan, step by step, from the newest to the oldest.
type walk struct {
	kind   *Kind
	conn   *sql.Conn
	filter Filter
	plan   plan
	pace   pace
	rest   span // what has not been visited yet
	size   int  // of the next step, in ids
}

// walk begins one.
func (h *History) walk(ctx context.Context, conn *sql.Conn, k *Kind, f Filter, cursor string) (*walk, error) {
	w := &walk{kind: k, conn: conn, filter: f, pace: h.pace, size: h.pace.first}
	if err := w.bound(ctx, cursor, h.running == nil); err != nil {
		return nil, err
	}
	return w, w.choose(ctx, k.plans(&f, h.running))
}

// bound sets the span of ids in which all must be that the filter asks for.
func (w *walk) bound(ctx context.Context, cursor string, mayBeOpen bool) error {
	w.rest = span{int64(0), int64(math.MaxInt64)}
	first, spare := w.idAt, slack
	if w.kind.textID {
		w.rest, spare = span{"", "g"}, time.Second // an id has nothing behind f
		first = func(_ context.Context, t time.Time) (any, error) { return idFloor(t.UnixMilli()), nil }
	}
	var err error
	if from := w.filter.From; !from.IsZero() {
		if w.rest.low, err = first(ctx, from.Add(-spare)); err != nil {
			return err
		}
	}
	if to := w.filter.To; !to.IsZero() {
		if w.rest.high, err = first(ctx, to.Add(spare)); err != nil {
			return err
		}
	}
	if w.kind == Exchanges && w.filter.Outcome == StillOpen && mayBeOpen {
		if err := w.boundByRun(ctx); err != nil {
			return err
		}
	}
	if cursor == "" {
		return nil
	}
	id, err := w.kind.parse(cursor)
	if err == nil && compareIDs(id, w.rest.high) < 0 {
		w.rest.high = id
	}
	return err
}

// boundByRun leaves out what earlier runs have left: of that nothing is open.
func (w *walk) boundByRun(ctx context.Context) error {
	var began int64
	err := w.conn.QueryRowContext(ctx, "SELECT started_at FROM run ORDER BY id DESC LIMIT 1").Scan(&began)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if id := idFloor(began - slack.Milliseconds()); compareIDs(id, w.rest.low) > 0 {
		w.rest.low = id
	}
	return err
}

// idAt returns the first id at or after that time, by halving: ids and times ascend together, more or less.
func (w *walk) idAt(ctx context.Context, t time.Time) (any, error) {
	first, err := w.conn.PrepareContext(ctx, fmt.Sprintf("SELECT id, %s FROM %s WHERE id >= ? ORDER BY id LIMIT 1", w.kind.time, w.kind.table))
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

// compareIDs compares two ids of a kind.
func compareIDs(a, b any) int {
	if a, ok := a.(string); ok {
		return cmp.Compare(a, b.(string))
	}
	return cmp.Compare(a.(int64), b.(int64))
}

// next returns the span of the next step, which has as many ids as size says or is the last.
func (w *walk) next(ctx context.Context) (s span, last bool, err error) {
	s = w.rest
	low, err := w.nth(ctx, &w.plan, w.size)
	if err != nil || low == nil {
		return s, true, err
	}
	s.low, w.rest.high = low, low
	return s, false, nil
}

// fill fills a page.
func (w *walk) fill(ctx context.Context, page *Page, limit int) error {
	w.size = max(w.size, limit+1) // one more than it takes, to see that there is more
	for began := time.Now(); ; {
		step := time.Now()
		s, last, err := w.next(ctx)
		if err != nil {
			return err
		}
		where, args := w.kind.where(&w.plan, &w.filter, s)
		query := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY id DESC LIMIT ?", w.kind.columns, w.kind.Name, where)
		if err := page.add(ctx, w.conn, query, append(args, limit+1-len(page.Rows))...); err != nil {
			return err
		}
		if n := len(page.Rows); n > limit {
			page.Rows = page.Rows[:limit]
			page.Next = fmt.Sprint(page.Value(limit-1, "id"))
			return nil
		} else if last {
			return nil
		} else if n == limit || time.Since(began) >= w.pace.page {
			page.Next = fmt.Sprint(s.low)
			return nil
		}
		w.grow(time.Since(step))
	}
}

// grow makes the next step larger if the last one was quick.
func (w *walk) grow(took time.Duration) {
	if took < w.pace.step/2 && w.size < w.pace.last {
		w.size *= 2
	}
}

func indexOf(columns []string, name string) int {
	i := slices.Index(columns, name)
	if i < 0 {
		panic("store: there is no column " + name)
	}
	return i
}
