package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

var tables = []string{"run", "run_end", "life", "life_end", "exchange", "exchange_end", "request", "cutoff",
	"publication", "publication_end", "subscription", "subscription_end"}

// dump returns the content of the log.
func dump(t testing.TB, path string) string {
	t.Helper()
	var all strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&all, "%s:\n%s\n", table, strings.Join(query(t, path, "SELECT * FROM "+table+" ORDER BY 1"), "\n"))
	}
	return all.String()
}

// full returns a closed log with rows in every table: beginnings with their ending in the same row, in a
// separate row, or missing, and a cutoff.
func full(t testing.TB) (path string) {
	t.Helper()
	f := start(t, tempPath(t), store.Config{}, store.Limits{})
	for i, at := range []time.Time{noon, time.Now()} {
		id := idAt(at)
		life := int64(2*i + 1)
		f.ChannelOpened(store.Life{ID: life, Namespace: "v1", Channel: "work", At: at})
		m := match(id)
		m.Life, m.At = life, at
		wait(t, f.ExchangeMatched(m))
		f.ChannelClosed(store.LifeEnd{ID: life, At: at, Reason: "idle"})
		wait(t, f.ExchangeEnded(store.ExchangeEnd{ID: id, At: at, Outcome: "delivered"}))
		onTopic(f, at, func() { f.Sync() })

		release := holdLock(t, f.path)
		m.ID = idAt(at)
		f.ExchangeMatched(m)
		f.ExchangeEnded(store.ExchangeEnd{ID: m.ID, At: at, Outcome: "delivered"})
		onTopic(f, at, nil)
		f.ChannelOpened(store.Life{ID: life + 1, Namespace: "v1", Channel: "work", At: at})
		f.ChannelClosed(store.LifeEnd{ID: life + 1, At: at, Reason: "idle"})
		release()
		f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "work", Role: "consumer", Outcome: "left", Arrived: at, Ended: at})
	}
	mustClose(t, f)
	other := db(t, f.path)
	for _, statement := range []string{
		fmt.Sprintf("INSERT INTO cutoff VALUES (%d, 0)", noon.Add(-time.Hour).UnixMilli()),
		"INSERT INTO run VALUES (9, 0, 'crashed', NULL)",
		"INSERT INTO life VALUES (5, 'v1', 'open', 0, NULL, NULL, NULL, NULL)",
		"INSERT INTO exchange VALUES ('00000000-open', 5, 'v1', 'open', '', 0, 0, 0, '', '', '', '', NULL, NULL, NULL, '', '', '', '', NULL, NULL, NULL)",
	} {
		if _, err := other.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	other.Close()
	return f.path
}

// attempts returns statements that would change or delete rows.
func attempts(t testing.TB, path string) []string {
	var all []string
	for _, table := range tables {
		columns := query(t, path, "SELECT name FROM pragma_table_info(?)", table)
		id := columns[0]
		all = append(all,
			fmt.Sprintf("UPDATE %s SET %s = %s", table, columns[1], columns[1]),
			fmt.Sprintf("UPDATE OR REPLACE %s SET %s = %s", table, id, id),
			fmt.Sprintf("UPDATE OR IGNORE %s SET %s = %s", table, columns[1], columns[1]),
			fmt.Sprintf("DELETE FROM %s", table),
			fmt.Sprintf("REPLACE INTO %s SELECT * FROM %s", table, table),
			fmt.Sprintf("INSERT OR REPLACE INTO %s SELECT * FROM %s", table, table),
			fmt.Sprintf("INSERT OR IGNORE INTO %s SELECT * FROM %s", table, table),
			fmt.Sprintf("INSERT INTO %s SELECT * FROM %s", table, table),
			fmt.Sprintf("INSERT INTO %s SELECT * FROM %s WHERE true ON CONFLICT DO NOTHING", table, table),
			fmt.Sprintf("INSERT INTO %s SELECT * FROM %s WHERE true ON CONFLICT (%s) DO UPDATE SET %s = excluded.%s", table, table, id, columns[1], columns[1]),
			fmt.Sprintf("PRAGMA recursive_triggers=1; INSERT OR REPLACE INTO %s SELECT * FROM %s", table, table),
		)
	}
	now := time.Now()
	return append(all,
		// Second endings, and endings without a beginning.
		"INSERT INTO exchange_end SELECT id, 'delivered', 1, 1 FROM exchange WHERE ended_at IS NOT NULL",
		"INSERT OR REPLACE INTO exchange_end SELECT id, 'delivered', 1, 1 FROM exchange_end",
		"INSERT INTO exchange_end VALUES ('nothing', 'delivered', 1, 1)",
		"INSERT INTO life_end SELECT id, 1, 'idle', 1, 1 FROM life WHERE closed_at IS NOT NULL",
		"INSERT INTO life_end VALUES (77, 1, 'idle', 1, 1)",
		"INSERT INTO run_end VALUES (77, 1, 0)",
		"INSERT INTO publication_end SELECT id, 'published', 1, 1 FROM publication WHERE ended_at IS NOT NULL",
		"INSERT INTO publication_end VALUES ('nothing', 'published', 1, 1)",
		"INSERT INTO subscription_end SELECT id, 'left', 1, 1, NULL, NULL, 1 FROM subscription WHERE ended_at IS NOT NULL",
		"INSERT INTO subscription_end VALUES ('nothing', 'left', 1, 1, NULL, NULL, 1)",
		"DELETE FROM publication_end WHERE ended_at < 1800000000000",
		"DELETE FROM subscription_end WHERE ended_at < 1800000000000",
		// The ending without the beginning; open rows; rows newer than the cutoff.
		"DELETE FROM exchange_end WHERE ended_at < 1800000000000",
		"DELETE FROM life_end WHERE closed_at < 1800000000000",
		"DELETE FROM exchange WHERE channel = 'open'",
		"DELETE FROM life WHERE channel = 'open'",
		// Cutoffs that are not newer than the last, or in the future.
		"INSERT INTO cutoff SELECT ended_before, 1 FROM cutoff",
		"INSERT INTO cutoff SELECT ended_before - 1, 1 FROM cutoff",
		"INSERT OR REPLACE INTO cutoff SELECT ended_before, 1 FROM cutoff",
		fmt.Sprintf("INSERT INTO cutoff VALUES (%d, 0)", now.Add(time.Hour).UnixMilli()),
		// Incomplete endings.
		"INSERT INTO exchange VALUES ('half', 5, '', '', '', 0, 0, 0, '', '', '', '', 'delivered', 1, NULL, '', '', '', '', NULL, NULL, NULL)",
		"INSERT INTO life VALUES (78, '', '', 0, 1, NULL, NULL, NULL)",
	)
}

// rejected reports whether the schema's rules rejected a statement.
func rejected(err error) bool {
	if err == nil {
		return false
	}
	for _, words := range []string{"audit log is append-only", "a cutoff must be newer", "CHECK constraint failed"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

func TestAppendOnly(t *testing.T) {
	path := full(t)
	before := dump(t, path)
	for _, table := range tables {
		if one(t, path, "SELECT count(*) FROM "+table) == "0" {
			t.Fatalf("table %s is empty", table)
		}
	}
	for _, statement := range attempts(t, path) {
		other := db(t, path)
		if _, err := other.Exec(statement); !rejected(err) {
			t.Errorf("error %v, want a rejection by the schema: %s", err, statement)
		}
		other.Close()
	}
	if after := dump(t, path); after != before {
		t.Errorf("the log has changed:\n%s\nbefore:\n%s", after, before)
	}
}

func TestAppendOnlyInTheShell(t *testing.T) {
	path := full(t)
	before := dump(t, path)
	for _, statement := range attempts(t, path) {
		if out, err := cli(t, path, statement); err == nil {
			t.Errorf("accepted: %s\n%s", statement, out)
		}
	}
	out, _ := cli(t, path, "DELETE FROM exchange")
	if want := "audit log is append-only: only what ended before the newest cutoff may be deleted"; !strings.Contains(out, want) {
		t.Errorf("the shell printed %q, want %q", out, want)
	}
	if after := dump(t, path); after != before {
		t.Errorf("the log has changed:\n%s\nbefore:\n%s", after, before)
	}
}

// Rows that ended before a cutoff can be deleted, and their endings with them.
func TestDeleteBelowCutoff(t *testing.T) {
	path := full(t)
	other := db(t, path)
	cutoff := noon.Add(time.Hour).UnixMilli()
	for _, statement := range []string{
		fmt.Sprintf("INSERT INTO cutoff VALUES (%d, 0)", cutoff),
		fmt.Sprintf("DELETE FROM exchange WHERE matched_at < %d AND channel <> 'open'", cutoff),
		fmt.Sprintf("DELETE FROM life WHERE opened_at < %d AND channel <> 'open'", cutoff),
		fmt.Sprintf("DELETE FROM request WHERE ended_at < %d", cutoff),
		fmt.Sprintf("DELETE FROM publication WHERE published_at < %d", cutoff),
		fmt.Sprintf("DELETE FROM subscription WHERE subscribed_at < %d", cutoff),
	} {
		if _, err := other.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	wantOne(t, path, "3|1", "SELECT (SELECT count(*) FROM exchange), (SELECT count(*) FROM exchange_end)")
	wantOne(t, path, "3|1", "SELECT (SELECT count(*) FROM life), (SELECT count(*) FROM life_end)")
	wantOne(t, path, "1", "SELECT count(*) FROM request")
	for _, table := range []string{"exchange", "life", "request", "publication", "subscription"} {
		if _, err := other.Exec("DELETE FROM " + table); err == nil {
			t.Errorf("rows newer than the cutoff were deleted from %s", table)
		}
	}
}

// TestWarnsOfSchema: a start says which objects of the schema another program has dropped, changed or added, and goes on.
func TestWarnsOfSchema(t *testing.T) {
	const warning = "another program has changed the schema"
	for statement, problem := range map[string]string{
		"SELECT 1":                                          "",
		"DROP VIEW channels":                                "schema: view channels is missing",
		"DROP TRIGGER request_update":                       "schema: trigger request_update is missing",
		"CREATE INDEX mine ON run (started_at)":             "schema: index mine is not httpipe's",
		"DROP VIEW runs; CREATE VIEW runs AS SELECT 1 AS a": "schema: view runs differs from httpipe's",
	} {
		path := closedLog(t)
		execute(t, path, statement)
		f := start(t, path, store.Config{}, store.Limits{})
		_, commit := f.exchange("delivered")
		wait(t, commit)
		mustClose(t, f)
		logged := f.logged.String()
		if strings.Contains(logged, warning) != (problem != "") || !strings.Contains(logged, problem) {
			t.Errorf("after %q the start logs %q, want %q", statement, logged, problem)
		}
	}
}
