package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"httpipe/migrations"
	"httpipe/store"
)

// wantProblems checks the log and wants one problem for each of words and an unchanged log.
func wantProblems(t *testing.T, path string, words ...string) store.Report {
	t.Helper()
	before := sum(t, path)
	report, err := store.Check(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if sum(t, path) != before {
		t.Error("the log was changed")
	}
	ok := len(report.Problems) == len(words)
	for i, problem := range report.Problems {
		ok = ok && strings.Contains(problem, words[i]) && !strings.Contains(problem, "\n")
	}
	if !ok {
		t.Errorf("the problems are\n%q, want\n%q", report.Problems, words)
	}
	return report
}

func TestCheckSound(t *testing.T) {
	f := open(t)
	f.ChannelOpened(store.Life{ID: 1, Namespace: "v1", Channel: "work", At: time.Now()})
	for range 3 {
		f.exchange("delivered")
	}
	f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "work", Role: "consumer", Outcome: "left", Arrived: noon, Ended: noon})
	wait(t, f.ExchangeMatched(match(newID())))
	got := wantProblems(t, f.path)
	want := store.Report{Path: f.path, Bytes: got.Bytes, InUse: true, Schema: len(migrations.Steps()), Runs: 1, Exchanges: 4, Open: 1, Requests: 1, Channels: 1}
	if got.Bytes == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("in use: %+v\nwant %+v", got, want)
	}

	got = wantProblems(t, crashCopy(t, f.path), "1 exchanges have no end, and no server has the log open")
	want.Path, want.Bytes, want.InUse, want.Unclean, want.Problems = got.Path, got.Bytes, false, 1, got.Problems
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("after a crash: %+v\nwant %+v", got, want)
	}

	mustClose(t, f)
	wantProblems(t, f.path) // Close has recorded the end of what was open
	wantAlone(t, f.path)
}

// TestCheckOlderVersions checks logs that have not been migrated yet.
func TestCheckOlderVersions(t *testing.T) {
	for version := 1; version <= len(migrations.Steps()); version++ {
		path := emptyLog(t, version)
		if version < len(migrations.Steps()) { // the views that it has were defined by views.sql of that version
			execute(t, path, "DROP VIEW runs; CREATE VIEW runs AS SELECT 'as it was' AS id; CREATE VIEW calls AS SELECT 1 AS id")
		}
		if report := wantProblems(t, path); report.Schema != version {
			t.Errorf("the schema is %d, want %d", report.Schema, version)
		}
	}
}

// A log of version 4 may have been created before views.sql existed, by the four steps alone. Its views must be
// the same.
func TestCheckLogMadeWithoutViewsFile(t *testing.T) {
	path := emptyLog(t, 0)
	for _, name := range []string{"0001_audit.sql", "0002_request_ids.sql", "0003_subjects.sql", "0004_indexes.sql"} {
		step, err := os.ReadFile(filepath.Join("..", "migrations", name))
		if err != nil {
			t.Fatal(err)
		}
		execute(t, path, string(step))
	}
	execute(t, path, "PRAGMA user_version=4")
	wantProblems(t, path)
}

func TestCheckFindsDamage(t *testing.T) {
	path := closedLog(t)
	damage(t, path)
	wantProblems(t, path, "integrity: ")
}

func TestCheckFindsChangedSchema(t *testing.T) {
	path := closedLog(t)
	execute(t, path,
		"DROP TRIGGER exchange_update",
		"DROP TRIGGER run_delete",
		"CREATE TRIGGER run_delete BEFORE DELETE ON run BEGIN SELECT 1; END",
		"DROP VIEW runs",
		"CREATE VIEW runs AS SELECT * FROM run",
		"CREATE INDEX theirs ON exchange (channel)",
		"ANALYZE", // SQLite's own tables are ignored
	)
	wantProblems(t, path,
		"schema: trigger exchange_update is missing",
		"schema: trigger run_delete differs from httpipe's",
		"schema: view runs differs from httpipe's",
		"schema: index theirs is not httpipe's")
}

// TestCheckFindsInconsistentRows checks rows that the triggers prevent, inserted without the triggers.
func TestCheckFindsInconsistentRows(t *testing.T) {
	const (
		exchange = "INSERT INTO exchange VALUES ('%', 1<<32|1, 'v1', 'a', '', 0, 0, 0, '', '', '', '', %, '', '', '', '', NULL, NULL, NULL)"
		life     = "INSERT INTO life VALUES (%, 'v1', 'a', 0, %)"
	)
	in := func(pattern string, values ...string) string {
		for _, value := range values {
			pattern = strings.Replace(pattern, "%", value, 1)
		}
		return pattern
	}
	for _, test := range []struct {
		statement string
		problem   string
	}{
		{in(exchange, "open", "NULL, NULL, NULL"), "1 exchanges have no end although their run is over, such as open"},
		{in(exchange, "twice", "'left', 1, 1") + "; INSERT INTO exchange_end VALUES ('twice', 'left', 1, 1)", "1 exchanges have two ends, such as twice"},
		{"INSERT INTO exchange_end VALUES ('none', 'left', 1, 1), ('other', 'left', 1, 1)", "2 ends of exchanges have no beginning, such as none"},
		{in(life, "1<<32|9", "NULL, NULL, NULL, NULL"), "1 lives of channels have no end although their run is over, such as 4294967305"},
		{in(life, "1<<32|9", "1, 'idle', 0, 0") + "; INSERT INTO life_end VALUES (1<<32|9, 1, 'idle', 0, 0)", "1 lives of channels have two ends, such as 4294967305"},
		{"INSERT INTO life_end VALUES (7, 1, 'idle', 0, 0)", "1 ends of lives of channels have no beginning, such as 7"},
		{strings.Replace(in(exchange, "alone", "'left', 1, 1"), "NULL)", "0)", 1) + ";" + in(life, "1<<32|1", "1, 'idle', 1, 1"),
			"1 exchanges record the life of their channel, which has a row, such as alone"},
		{strings.Replace(in(exchange, "alone", "NULL, NULL, NULL"), "NULL, NULL, NULL)", "NULL, NULL, 0)", 1) + "; INSERT INTO exchange_end VALUES ('alone', 'left', 1, 1)",
			"1 exchanges record the life of their channel, but have not ended with it, such as alone"},
		{"INSERT INTO run_end VALUES (7, 1, 0)", "1 ends of runs have no beginning, such as 7"},
		{strings.Replace(in(exchange, "call", "'delivered', 1, 1"), "NULL, NULL, NULL)", "'GET', NULL, NULL)", 1), "1 calls have no end although their run is over, such as call"},
		{"INSERT INTO call VALUES ('none', 'left', NULL, NULL, 1)", "1 ends of calls have no request, such as none"},
		{"INSERT INTO block_entry VALUES (1, 'v1', 'a', 'none')", "exchanges are in blocks, but the blocks have"},
	} {
		path := closedLog(t)
		triggers := query(t, path, "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '%\\_insert' ESCAPE '\\'")
		for _, name := range query(t, path, "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '%\\_insert' ESCAPE '\\'") {
			execute(t, path, "DROP TRIGGER "+name)
		}
		execute(t, path, test.statement)
		execute(t, path, triggers...)
		wantProblems(t, path, test.problem)
	}
}

func TestCheckFails(t *testing.T) {
	missing, empty, newer, foreign := tempPath(t), tempPath(t), closedLog(t), tempPath(t)
	execute(t, newer, "PRAGMA user_version=99")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(foreign, []byte(strings.Repeat("not SQLite ", 20)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		missing:     "there is no such file",
		empty:       "nothing is recorded yet",
		newer:       "made by a newer httpipe",
		foreign:     "not an httpipe audit log",
		t.TempDir(): "not a regular file",
	} {
		before := sum(t, path)
		_, err := store.Check(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %s and %s", err, path, want)
		}
		if sum(t, path) != before {
			t.Errorf("%s was changed", path)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Check(ctx, closedLog(t)); err == nil {
		t.Error("Check goes on after its context was cancelled")
	}
}
