package store_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// othersShare is how many questions the server's own history gets for each that the history of another process gets too. It has
// no common factor with the number of values of any filter, so that the other process gets each value.
const othersShare = 7

// histories returns the server's own history and that of another process.
func histories(t *testing.T, f fixture) map[string]*store.History {
	t.Helper()
	other, err := store.OpenHistory(f.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	return map[string]*store.History{"own": f.History(), "other": other}
}

// filters returns all combinations of filter values. One of the times lies between two rows.
func filters(k *store.Kind) (all []store.Filter) {
	or := func(column string, words ...string) []string {
		if !slices.Contains(k.Filters, column) {
			return []string{""}
		}
		return append(words, "")
	}
	times := [][2]time.Time{{}, {dawn.Add(30 * apart), {}}, {dawn.Add(30 * apart), dawn.Add(60*apart + time.Second)}}
	for _, namespace := range or("namespace", "v1", "nobody") {
		for _, channel := range or("channel", "a", "=c") {
			for _, outcome := range or("outcome", "delivered", "stalled", "open") {
				for _, role := range or("role", "producer") {
					for _, topic := range or("topic", "a", "=c") {
						for _, span := range times {
							all = append(all, store.Filter{Namespace: namespace, Channel: channel, Topic: topic, Outcome: outcome, Role: role, From: span[0], To: span[1]})
						}
					}
				}
			}
		}
	}
	return all
}

// naive returns by a plain query what Page should return.
func naive(t *testing.T, path string, k *store.Kind, f store.Filter) []string {
	t.Helper()
	when := map[*store.Kind]string{store.Exchanges: "matched_at", store.Requests: "ended_at", store.Channels: "opened_at",
		store.Publications: "published_at", store.Subscriptions: "subscribed_at", store.Calls: "taken_at"}[k]
	var where []string
	for column, value := range map[string]string{"namespace": f.Namespace, "channel": f.Channel, "outcome": f.Outcome, "role": f.Role, "topic": f.Topic, "shape": f.Shape} {
		if value != "" {
			where = append(where, fmt.Sprintf("%s = '%s'", column, value))
		}
	}
	if !f.From.IsZero() {
		where = append(where, fmt.Sprintf("%s >= '%s'", when, f.From.Format("2006-01-02T15:04:05.000Z")))
	}
	if !f.To.IsZero() {
		where = append(where, fmt.Sprintf("%s < '%s'", when, f.To.Format("2006-01-02T15:04:05.000Z")))
	}
	if where == nil {
		where = []string{"true"}
	}
	return query(t, path, fmt.Sprintf("SELECT id FROM %s WHERE %s ORDER BY id DESC", k.Name, strings.Join(where, " AND ")))
}

// ids returns the ids of the rows of a page.
func ids(p store.Page) (found []string) {
	for i := range p.Rows {
		found = append(found, fmt.Sprint(p.Value(i, "id")))
	}
	return found
}

// TestPages checks that every filter returns the same rows as a plain query, with any page size and with any
// number of steps. The history of another process runs the same code, so it gets only a part of the questions at
// each pace.
func TestPages(t *testing.T) {
	t.Parallel()
	f := open(t)
	record(t, f)
	type question struct {
		kind   *store.Kind
		filter store.Filter
		want   []string
	}
	var questions []question
	for _, k := range store.Kinds {
		for _, filter := range filters(k) {
			questions = append(questions, question{k, filter, naive(t, f.path, k, filter)})
		}
	}
	for name, h := range histories(t, f) {
		for _, pace := range []struct {
			name   string
			set    func()
			limits []int
		}{{"normal", func() {}, []int{7, 1000}}, {"slow", h.Slow, []int{5}}, {"steady", h.Steady, []int{5}}} {
			pace.set()
			for i, q := range questions {
				if name != "own" && i%othersShare != 0 {
					continue
				}
				for _, limit := range pace.limits {
					if got := collect(t, h, q.kind, q.filter, limit); !slices.Equal(got, q.want) {
						t.Fatalf("%s, %s pace, %s %+v, pages of %d:\n%d %q\nwant\n%d %q", name, pace.name, q.kind.Name, q.filter, limit, len(got), got, len(q.want), q.want)
					}
				}
			}
		}
	}
}

// collect follows the cursors and returns the ids of all pages.
func collect(t *testing.T, h *store.History, k *store.Kind, filter store.Filter, limit int) (all []string) {
	t.Helper()
	cursor := ""
	for {
		page, err := h.Page(t.Context(), k, filter, cursor, limit)
		if err != nil {
			t.Fatalf("%s %+v: %v", k.Name, filter, err)
		}
		if len(page.Rows) > limit {
			t.Fatalf("a page of %d has %d rows", limit, len(page.Rows))
		}
		all = append(all, ids(page)...)
		if page.Next == "" {
			return all
		}
		if page.Next == cursor {
			t.Fatalf("%s %+v: the cursor stays at %s", k.Name, filter, cursor)
		}
		if err := k.CheckCursor(page.Next); err != nil {
			t.Fatal(err)
		}
		cursor = page.Next
	}
}

// TestPageOfTheView checks that a page has the columns and values of the view, apart from the counts of open
// lives.
func TestPageOfTheView(t *testing.T) {
	f := open(t)
	record(t, f)
	for _, k := range store.Kinds {
		page, err := f.History().Page(t.Context(), k, store.Filter{}, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range page.Rows {
			var line []string
			for _, v := range row {
				if v == nil {
					v = "NULL"
				}
				line = append(line, fmt.Sprint(v))
			}
			got = append(got, strings.Join(line, "|"))
		}
		columns := strings.Join(page.Columns, ", ")
		if k == store.Channels {
			columns = "namespace, channel, opened_at, closed_at, reason, iif(reason IS NULL, NULL, exchanges), iif(reason IS NULL, NULL, bytes), id, node"
		}
		if want := query(t, f.path, "SELECT "+columns+" FROM "+k.Name+" ORDER BY id DESC"); !slices.Equal(got, want) {
			t.Errorf("%s:\n%q\nwant\n%q", k.Name, got, want)
		}
		if want := query(t, f.path, "SELECT name FROM pragma_table_info('"+k.Name+"')"); !slices.Equal(page.Columns, want) {
			t.Errorf("the columns of %s are %q, want %q", k.Name, page.Columns, want)
		}
	}
}

// TestHistoryOfOne checks one exchange in each of its states.
func TestHistoryOfOne(t *testing.T) {
	f := open(t)
	m := match(newID())
	wait(t, f.ExchangeMatched(m))
	look := func() string {
		t.Helper()
		page, err := f.History().Row(t.Context(), store.Exchanges, m.ID)
		if err != nil || len(page.Rows) != 1 {
			t.Fatalf("%v, %v", page, err)
		}
		return fmt.Sprint(page.Value(0, "outcome"), " ", page.Value(0, "bytes"), " ", page.Value(0, "ended_at"))
	}
	if got := look(); got != "open <nil> <nil>" {
		t.Errorf("running: %s", got)
	}
	f.ExchangeEnded(end(m.ID, "stalled"))
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := look(); got != "stalled 42 2026-02-03T12:00:00.373Z" {
		t.Errorf("ended: %s", got)
	}
	if page, err := f.History().Row(t.Context(), store.Exchanges, "nobody"); err != nil || len(page.Rows) != 0 {
		t.Errorf("unknown id: %v, %v", page, err)
	}
}

// TestHistoryHoldsNothing checks that the WAL can be emptied between pages, and that Close leaves no side
// files.
func TestHistoryHoldsNothing(t *testing.T) {
	f := open(t)
	record(t, f)
	h := f.History()
	h.Slow()
	pages := 0
	err := h.Each(t.Context(), store.Exchanges, store.Filter{}, "", 0, func(store.Page) error {
		pages++
		other := db(t, f.path)
		defer other.Close()
		var busy, frames, done int
		if err := other.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done); err != nil {
			return err
		}
		if busy != 0 {
			return fmt.Errorf("the WAL cannot be emptied between pages")
		}
		return nil
	})
	if err != nil || pages < 10 {
		t.Errorf("%d pages, %v", pages, err)
	}
	mustClose(t, f)
	if _, err := os.Stat(f.path + "-wal"); !os.IsNotExist(err) {
		t.Errorf("the WAL exists after Close: %v", err)
	}
	if _, err := h.Page(t.Context(), store.Exchanges, store.Filter{}, "", 1); err == nil || !strings.Contains(err.Error(), f.path) {
		t.Errorf("Page after Close: %v", err)
	}
}

// TestEach checks the limit for all pages together, and that an error of the callback ends Each.
func TestEach(t *testing.T) {
	f := open(t)
	record(t, f)
	rows := 0
	count := func(p store.Page) error { rows += len(p.Rows); return nil }
	f.History().Slow()
	if err := f.History().Each(t.Context(), store.Exchanges, store.Filter{}, "", 17, count); err != nil || rows != 17 {
		t.Errorf("%d rows, %v; want 17", rows, err)
	}
	if err := f.History().Each(t.Context(), store.Exchanges, store.Filter{}, "", 0, func(store.Page) error { return os.ErrClosed }); err != os.ErrClosed {
		t.Errorf("Each returned %v, want the error of the callback", err)
	}
}

// TestHistoryInAnOutage checks that the log can be read again after it was missing.
func TestHistoryInAnOutage(t *testing.T) {
	f := open(t)
	record(t, f)
	if err := os.Rename(f.path, f.path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.History().Page(t.Context(), store.Exchanges, store.Filter{}, "", 1); err == nil || !strings.Contains(err.Error(), "deleted or renamed") {
		t.Errorf("file missing: %v", err)
	}
	if err := os.Rename(f.path+".away", f.path); err != nil {
		t.Fatal(err)
	}
	if page, err := f.History().Page(t.Context(), store.Exchanges, store.Filter{}, "", 1); err != nil || len(page.Rows) != 1 {
		t.Errorf("file restored: %v, %v", page, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.History().Page(gone, store.Exchanges, store.Filter{}, "", 1); err != context.Canceled {
		t.Errorf("cancelled context: %v", err)
	}
}

// TestOpenHistoryFails checks files that this version cannot read.
func TestOpenHistoryFails(t *testing.T) {
	if _, err := store.OpenHistory(tempPath(t)); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing log: %v", err)
	}
}

// TestCheckCursor checks that invalid cursors are rejected.
func TestCheckCursor(t *testing.T) {
	for _, k := range store.Kinds {
		for _, cursor := range []string{"", "x'", "-5x", strings.Repeat("9", 37), " "} {
			if err := k.CheckCursor(cursor); err == nil {
				t.Errorf("%q is accepted as a cursor of %s", cursor, k.Name)
			}
		}
	}
	if store.KindOf("exchanges") != store.Exchanges || store.KindOf("exchange") != nil {
		t.Error("KindOf returned the wrong kind")
	}
}

// TestExchangesByPrefix checks the order and the limit, in both histories.
func TestExchangesByPrefix(t *testing.T) {
	f := open(t)
	record(t, f)
	for name, h := range histories(t, f) {
		all, err := h.ExchangesByPrefix(t.Context(), "0", 1000)
		if err != nil || len(all.Rows) != historyRows {
			t.Fatalf("%s: %d exchanges, %v", name, len(all.Rows), err)
		}
		ids := make([]string, historyRows)
		for i := range ids {
			ids[i] = all.Value(i, "id").(string)
		}
		if !slices.IsSortedFunc(ids, func(a, b string) int { return strings.Compare(b, a) }) {
			t.Errorf("%s: not newest first: %v", name, ids)
		}
		for _, id := range []string{ids[0], ids[40], ids[historyRows-1]} {
			for n := 1; n <= len(id); n++ {
				var want []string
				for _, other := range ids {
					if strings.HasPrefix(other, id[:n]) && len(want) < 3 {
						want = append(want, other)
					}
				}
				page, err := h.ExchangesByPrefix(t.Context(), id[:n], 3)
				var got []string
				for i := range page.Rows {
					got = append(got, page.Value(i, "id").(string))
				}
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%s, %s: %v, %v; want %v", name, id[:n], got, err, want)
				}
			}
		}
		for _, none := range []string{"", "%", "0_", "ffff", "g", ids[0] + "0"} {
			if page, err := h.ExchangesByPrefix(t.Context(), none, 3); err != nil || len(page.Rows) > 0 {
				t.Errorf("%s, %q: %v, %v", name, none, page.Rows, err)
			}
		}
	}
}
