//go:build linux

package main

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"httpipe/store"
)

// TestMakeLog checks that the server accepts the log, and that its content is as intended.
func TestMakeLog(t *testing.T) {
	const exchanges = 20_000
	made, fresh := filepath.Join(t.TempDir(), "made.db"), filepath.Join(t.TempDir(), "fresh.db")
	if err := makeLog(made, exchanges); err != nil {
		t.Fatal(err)
	}
	if err := makeLog(made, exchanges); err == nil {
		t.Error("a log was made where there is one already")
	}
	for _, path := range []string{made, fresh} {
		log, err := store.Open(store.Config{Path: path, Version: "v1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db := readLog(t, made)
	for _, test := range []struct {
		what, query string
		low, high   int
	}{
		{"exchanges", "SELECT count(*) FROM exchanges", exchanges, exchanges},
		{"without an ending", "SELECT count(*) FROM exchanges WHERE outcome = 'open'", 0, 0},
		{"delivered", "SELECT count(*) FROM exchanges WHERE outcome = 'delivered'", 19_200, 19_600},
		{"other outcomes", "SELECT count(DISTINCT outcome) FROM exchanges", 10, 10},
		{"endings in a row of their own", "SELECT count(*) FROM exchange_end", 350, 550},
		{"channels used once", "SELECT count(*) FROM (SELECT 1 FROM exchange GROUP BY namespace, channel HAVING count(*) = 1)", 1_800, 2_200},
		{"channels", "SELECT count(DISTINCT channel) FROM exchange WHERE namespace <> 'replies'", 150, 200},
		{"ids that do not ascend", "SELECT count(*) FROM (SELECT matched_at - lag(matched_at) OVER (ORDER BY id) AS step FROM exchange) WHERE step < 0", 0, 0},
		{"days", "SELECT count(DISTINCT date(matched_at)) FROM exchanges", 60, 61},
		{"requests", "SELECT count(*) FROM requests", exchanges * 9 / 100, exchanges * 11 / 100},
		{"exchanges that cannot be found by their channel", "SELECT count(*) FROM exchange WHERE id > (SELECT max(last) FROM block)", 1, 5000},
		{"channels that are still open", "SELECT count(*) FROM channels WHERE reason IS NULL", 0, 0},
		{"lives that are wrong", `SELECT count(*) FROM channels c JOIN
			(SELECT life, count(*) AS exchanges, total(bytes) AS bytes FROM exchanges GROUP BY life) x ON x.life = c.id
			WHERE x.exchanges <> c.exchanges OR x.bytes <> c.bytes`, 0, 0},
		{"lives without a row", "SELECT count(*) FROM channels WHERE id NOT IN (SELECT id FROM life)", 1_800, 2_200},
		{"lives that nothing happened in", "SELECT count(*) FROM life WHERE id NOT IN (SELECT life FROM exchange)", 0, 0},
		{"runs that crashed", "SELECT count(*) FROM runs WHERE clean = 0", 0, 0},
	} {
		var got int
		if err := db.QueryRow(test.query).Scan(&got); err != nil || got < test.low || got > test.high {
			t.Errorf("%s: %d, %v, want %d to %d", test.what, got, err, test.low, test.high)
		}
	}
	if got, want := schema(t, db), schema(t, readLog(t, fresh)); !slices.Equal(got, want) {
		t.Errorf("the schema is\n%q\nwant\n%q", got, want)
	}
	log, err := store.OpenHistory(made)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if found, _, err := last(log, namespaces[0], busyChannel(0)); found != 100 || err != nil {
		t.Errorf("%d of the last exchanges of the busiest channel, %v", found, err)
	}
	if found, _, err := last(log, namespaces[0], "nobody"); found != 0 || err != nil {
		t.Errorf("%d of the last exchanges of no channel, %v", found, err)
	}
}

func readLog(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// schema returns all statements that the schema is made of, sorted.
func schema(t *testing.T, db *sql.DB) (statements []string) {
	t.Helper()
	rows, err := db.Query("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY sql")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		statements = append(statements, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return statements
}
