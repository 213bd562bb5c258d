package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// olderLog returns a log of that version with some rows of the tables that all versions have.
func olderLog(t *testing.T, version int) string {
	path := emptyLog(t, version)
	var all strings.Builder
	all.WriteString("INSERT INTO run (id, started_at, version) VALUES (1, 0, 'old'); INSERT INTO run_end VALUES (1, 5, 0);")
	for n := range 40 {
		at := noon.Add(time.Duration(n) * time.Minute).UnixMilli()
		outcome := []string{"'delivered', 7, " + fmt.Sprint(at), "'stalled', 7, " + fmt.Sprint(at), "NULL, NULL, NULL"}[n%3]
		id := idAt(time.UnixMilli(at))
		fmt.Fprintf(&all, `INSERT INTO exchange (id, life, namespace, channel, content_type, matched_at, producer_wait_ms, consumer_wait_ms,
			producer_addr, consumer_addr, producer_agent, consumer_agent, outcome, bytes, ended_at)
			VALUES ('%s', (1 << 32) + %d, 'v1', 'a%d', '', %d, 0, 0, '', '', '', '', %s);`, id, n, n%2, at, outcome)
		if n%3 == 2 {
			fmt.Fprintf(&all, "INSERT INTO exchange_end VALUES ('%s', 'consumer_left', 3, %d);", id, at+9)
		}
		fmt.Fprintf(&all, "INSERT INTO life VALUES ((1 << 32) + %d, 'v1', 'a%d', %d, %d, 'idle', 1, 7);", n, n%2, at, at+9)
		fmt.Fprintf(&all, `INSERT INTO request (id, namespace, channel, role, outcome, arrived_at, ended_at, addr, agent)
			VALUES ((1 << 32) + %d, 'v1', 'a%d', 'consumer', 'left', %d, %d, '', '');`, n, n%2, at, at)
	}
	execute(t, path, all.String())
	return path
}

// read returns all that a history answers about a log.
func read(t *testing.T, path string) string {
	t.Helper()
	h, err := store.OpenHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.Slow()
	var all strings.Builder
	for _, k := range store.Kinds {
		for _, f := range []store.Filter{{}, {Namespace: "v1"}, {Namespace: "v1", Channel: "a1"}, {Outcome: "stalled"}, {Outcome: store.StillOpen},
			{Outcome: "delivered"}, {Role: "consumer"}, {Namespace: "v1", Topic: "a1"}, {Shape: "channel"}, {From: noon.Add(10 * time.Minute), To: noon.Add(20 * time.Minute)}} {
			if f.Shape != "" && k != store.Requests {
				continue
			}
			err := h.Each(t.Context(), k, f, "", 0, func(p store.Page) error {
				for _, row := range p.Rows {
					fmt.Fprintln(&all, k.Name, f, p.Columns, row)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("%s %+v: %v", k.Name, f, err)
			}
		}
	}
	for _, f := range []store.Filter{{}, {Namespace: "v1", Channel: "a1"}} {
		f.To = noon.Add(time.Hour)
		summary, err := h.Summarize(context.Background(), f, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&all, summary.Total.Exchanges, summary.Total.Bytes, summary.Total.Outcomes)
	}
	page, err := h.ExchangesByPrefix(t.Context(), "019", 3)
	if err != nil || len(page.Rows) != 3 {
		t.Errorf("by prefix: %v, %v", page.Rows, err)
	}
	return all.String()
}

// TestHistoryOfOlderVersions checks that a log reads the same before and after a server has migrated it, and that reading
// does not change it.
func TestHistoryOfOlderVersions(t *testing.T) {
	t.Parallel()
	for version := 1; version < store.Version; version++ {
		path := olderLog(t, version)
		before := sum(t, path)
		old := read(t, path)
		if sum(t, path) != before {
			t.Errorf("version %d: the log was changed", version)
		}
		wantAlone(t, path)
		if version == 1 {
			readOnly := read(t, readOnlyView(t, path))
			if readOnly != old {
				t.Error("a log in a directory that is not writable reads otherwise")
			}
		}
		mustClose(t, start(t, path, store.Config{}, store.Limits{}))
		if migrated := read(t, path); old != migrated || !strings.Contains(old, "consumer_left") {
			t.Errorf("version %d reads\n%s\nafter the migration\n%s", version, old, migrated)
		}
	}
}
