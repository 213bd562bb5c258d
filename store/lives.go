package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A life of a channel has a row in the table life, or is recorded with its only exchange (migrations/0008_shorter_rows.sql).
// No index finds the latter by the id of the life, so a page of Channels is merged from two scans, which both go back in time:
// one over the ids of lives, the other over those of exchanges.

// livesInExchange is the half of Channels that is recorded with exchanges. Callers ask for Channels only.
var livesInExchange = &Kind{
	Name:    "channels",
	Filters: []string{"namespace", "channel"},
	view:    "lives_in_exchange",
	key:     "exchange",
	table:   "main.exchange",
	columns: "namespace, channel, opened_at, closed_at, reason, exchanges, bytes, id, node, exchange",
	textID:  true,
	time:    "opened_at",
}

// parseLivesCursor returns the ids in a cursor of Channels, below which the two scans continue. Its form is LIFE.EXCHANGE.
// EXCHANGE may be a prefix of an id, or "g", which sorts after all ids.
func parseLivesCursor(cursor string) (life int64, exchange string, err error) {
	number, exchange, found := strings.Cut(cursor, ".")
	life, err = strconv.ParseInt(number, 10, 64)
	if err != nil || life < 0 || !found || exchange != "" && exchange != "g" && !idPrefixPattern.MatchString(exchange) {
		return 0, "", fmt.Errorf("%q is not a cursor of %s", cursor, Channels.Name)
	}
	return life, exchange, nil
}

// A half is one of the two scans for a page, and what it has found.
type half struct {
	kind  *Kind
	start any // the scan finds ids below this one

	page    Page
	used    int    // how many of its rows have been merged
	end     string // the id at which the scan has ended
	more    bool   // there may be rows below end
	reached int64  // with more: the time at end, in Unix milliseconds
}

// scan looks for up to limit rows, but not below low.
func (p *half) scan(ctx context.Context, h *History, conn *sql.Conn, f Filter, low any, limit int) error {
	sc, err := h.newScan(ctx, conn, p.kind, f, "")
	if err != nil {
		return err
	}
	sc.pace.page /= 2 // the two scans share the time of a page
	sc.remaining.high = lower(sc.remaining.high, p.start)
	if compareIDs(sc.remaining.low, low) < 0 {
		sc.remaining.low = low
	}
	sc.remaining.low = lower(sc.remaining.low, p.start) // never go up again, even if the clock was set back
	p.end = fmt.Sprint(sc.remaining.low)
	if err := sc.fill(ctx, &p.page, limit); err != nil || p.page.Next == "" {
		return err
	}
	p.more, p.end = true, p.page.Next
	return p.setReached(ctx, conn)
}

func lower(a, b any) any {
	if compareIDs(a, b) < 0 {
		return a
	}
	return b
}

// setReached sets reached from the id at which the scan has ended.
func (p *half) setReached(ctx context.Context, conn *sql.Conn) error {
	if p.kind != Channels {
		p.reached = idTime(p.end)
		return nil
	}
	err := conn.QueryRowContext(ctx, "SELECT opened_at FROM main.life WHERE id >= ? ORDER BY id LIMIT 1", p.end).Scan(&p.reached)
	if errors.Is(err, sql.ErrNoRows) { // it has just been removed
		return nil
	}
	return err
}

// next returns where the next page continues.
func (p *half) next() string {
	switch p.used {
	case len(p.page.Rows):
		return p.end
	case 0:
		return fmt.Sprint(p.start)
	}
	return fmt.Sprint(p.page.Value(p.used-1, p.kind.keyColumn()))
}

// isExhausted reports whether all rows that were found have been merged.
func (p *half) isExhausted() bool { return p.used == len(p.page.Rows) }

// precedes reports whether the next row of p is newer than all rows of q that have not been merged.
func (p *half) precedes(q *half) bool {
	switch {
	case p.isExhausted():
		return false
	case q.isExhausted():
		return !q.more || p.page.Value(p.used, "opened_at").(string) >= timestamp(time.UnixMilli(q.reached))
	}
	return p.page.Value(p.used, "id").(int64) > q.page.Value(q.used, "id").(int64)
}

// pageOfLives is Page for Channels.
func (h *History) pageOfLives(ctx context.Context, conn *sql.Conn, f Filter, cursor string, limit int) (page Page, err error) {
	life, exchange := int64(math.MaxInt64), "g"
	if cursor != "" {
		if life, exchange, err = parseLivesCursor(cursor); err != nil {
			return page, err
		}
	}
	f = Filter{Namespace: f.Namespace, Channel: f.Channel, From: f.From, To: f.To}
	a, b := half{kind: Channels, start: life}, half{kind: livesInExchange, start: exchange}
	if err := a.scan(ctx, h, conn, f, int64(0), limit); err != nil {
		return page, err
	}
	low := "" // the next page gets what is older than the rows of a
	if a.more {
		low = idFloor(a.reached - idSlack.Milliseconds())
	}
	if err := b.scan(ctx, h, conn, f, low, limit); err != nil {
		return page, err
	}
	page.Columns = a.page.Columns
	id := indexOf(page.Columns, "id")
	for len(page.Rows) < limit {
		p := &a
		if !a.precedes(&b) {
			p = &b
			if !b.precedes(&a) {
				break
			}
		}
		page.Rows = append(page.Rows, p.page.Rows[p.used][:len(page.Columns)])
		p.used++
	}
	// The exchanges are in the order of their matches, which is not always that in which their channels opened.
	slices.SortFunc(page.Rows, func(a, b []any) int { return compareIDs(b[id], a[id]) })
	if a.more || b.more || !a.isExhausted() || !b.isExhausted() {
		page.Next = a.next() + "." + b.next()
	}
	return page, nil
}
