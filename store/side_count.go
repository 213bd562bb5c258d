package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A sideCount counts rows of another kind beside the exchanges of a tally, newest first and a page at a time.
type sideCount struct {
	kind   *Kind
	counts string // SQL for two sums over rows that have the same outcome
	add    func(b *Bucket, outcome string, first, second int64)

	cursor string    // continue after this id
	since  time.Time // rows from then on are counted
}

// sideCounts returns what a tally counts beside exchanges.
func sideCounts(to time.Time) []*sideCount {
	return []*sideCount{
		{kind: Requests, counts: "sum(count), 0", since: to, add: func(b *Bucket, outcome string, n, _ int64) {
			if b.Unmatched == nil {
				b.Unmatched = make(map[string]int64)
			}
			b.Unmatched[outcome] += n
		}},
		{kind: Publications, counts: "count(*), coalesce(sum(delivered), 0)", since: to, add: func(b *Bucket, _ string, n, delivered int64) {
			b.Publications += n
			b.Deliveries += delivered
		}},
	}
}

// filter returns the filter of the exchanges in terms of the kind. Its outcome is one of exchanges, so it does not apply.
func (c *sideCount) filter(f Filter) Filter {
	return Filter{Namespace: f.Namespace, Channel: f.Channel, Topic: f.Channel, From: f.From, To: f.To}
}

// count continues where the last call stopped, until that time.
func (c *sideCount) count(ctx context.Context, h *History, conn *sql.Conn, t *tally, until time.Time) error {
	sc, err := h.newScan(ctx, conn, c.kind, c.filter(t.filter), c.cursor)
	if err != nil {
		return err
	}
	for {
		step := time.Now()
		s, last, err := sc.next(ctx)
		if err != nil {
			return err
		}
		if err := c.addSpan(ctx, sc, s, t); err != nil {
			return err
		}
		if last {
			c.since = t.filter.From
			return nil
		}
		c.cursor = fmt.Sprint(s.low)
		if !time.Now().Before(until) {
			return c.setSince(ctx, conn, t)
		}
		sc.grow(time.Since(step))
	}
}

// addSpan counts the rows in the span. It groups them by second or minute, of which each is in one bucket.
func (c *sideCount) addSpan(ctx context.Context, sc *scan, s span, t *tally) error {
	layout := "2006-01-02T15:04"
	if t.step < time.Minute {
		layout = "2006-01-02T15:04:05"
	}
	where, args := c.kind.where(&sc.plan, &sc.filter, s)
	rows, err := sc.conn.QueryContext(ctx, fmt.Sprintf("SELECT substr(%s, 1, %d), outcome, %s FROM %s WHERE %s GROUP BY 1, 2",
		c.kind.time, len(layout), c.counts, c.kind.Name, where), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text, outcome string
		var first, second int64
		if err := rows.Scan(&text, &outcome, &first, &second); err != nil {
			return err
		}
		at, err := time.Parse(layout, text)
		if err != nil {
			return err
		}
		c.add(t.bucket(at.Truncate(t.step)), outcome, first, second)
	}
	return rows.Err()
}

// setSince sets since from the time of the row at the cursor, with a second for rows that are not in the order of time.
func (c *sideCount) setSince(ctx context.Context, conn *sql.Conn, t *tally) error {
	var ms int64
	err := conn.QueryRowContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE id = ?", c.kind.time, c.kind.table), c.cursor).Scan(&ms)
	if errors.Is(err, sql.ErrNoRows) { // it was too old, and so are the rest
		c.since = t.filter.From
		return nil
	}
	if err != nil {
		return err
	}
	if at := time.UnixMilli(ms).UTC().Add(time.Second); at.Before(c.since) {
		c.since = at
	}
	if c.since.Before(t.filter.From) {
		c.since = t.filter.From
	}
	return nil
}
