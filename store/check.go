package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"

	"httpipe/migrations"
)

// A Report describes an audit log, as found by Check or Backup.
type Report struct {
	Path  string
	Bytes int64 // size of the file without its WAL
	InUse bool  // a server has it open

	Schema    int   // version
	Runs      int64 // starts of the server
	Unclean   int64 // runs that did not shut down cleanly; without the current run
	Lost      int64 // rows that the runs that shut down cleanly could not record
	Exchanges int64
	Open      int64 // exchanges that the latest run has begun and not ended
	Requests  int64 // unmatched; a row may stand for many requests
	Channels  int64 // lives of channels

	Publications, Subscriptions int64
	OpenOnTopics                int64 // publications and subscriptions that the latest run has begun and not ended

	Merged bool // made by Merge; the sources' servers may go on

	Problems []string // one line each; empty if the log is sound
}

// maxProblems bounds the listed problems of each kind.
const maxProblems = 20

// Check examines the audit log at path: the integrity of the file, its schema, and whether everything that
// began has ended, apart from what a running server has open. It changes nothing. It takes seconds per
// gigabyte; meanwhile a server that writes to the log cannot empty its WAL.
//
// Check returns an error if the log cannot be examined: it does not exist, is not an audit log, or was made by
// a newer version.
func Check(ctx context.Context, path string) (Report, error) {
	r, err := openReader(path)
	if err != nil {
		return Report{}, err
	}
	defer r.close()
	report, err := r.examineAll(ctx)
	if changed := r.checkUnchanged(); changed != nil {
		err = changed
	}
	return report, err
}

// examineAll runs all checks. It stops after the first ones if the file is damaged.
func (r *reader) examineAll(ctx context.Context) (Report, error) {
	report, err := r.examine(ctx)
	if err != nil || len(report.Problems) > 0 {
		return report, err
	}
	if err := r.count(ctx, &report); err != nil {
		return report, err
	}
	return report, r.checkConsistency(ctx, &report)
}

// examine checks integrity and schema.
func (r *reader) examine(ctx context.Context) (Report, error) {
	report := Report{Path: r.path, Bytes: r.info.Size(), InUse: r.inUse, Merged: r.merged}
	if err := r.queryRow(ctx, "PRAGMA user_version", &report.Schema); err != nil {
		return report, err
	}
	damage, err := queryStrings(ctx, r.conn, fmt.Sprintf("PRAGMA integrity_check(%d)", maxProblems))
	switch code := sqliteCode(err); {
	case code == sqlite3.ErrCorrupt, code == sqlite3.ErrNotADB:
		damage = append(damage, err.Error())
	case err != nil:
		return report, r.explain("cannot be read", err)
	}
	if !slices.Equal(damage, []string{"ok"}) {
		for _, text := range damage {
			report.Problems = append(report.Problems, "integrity: "+joinLines(text))
		}
		return report, nil // further checks make no sense on a damaged file
	}
	if report.Problems, err = compareSchema(ctx, r.conn, report.Schema); err != nil {
		return report, r.explain("cannot be read", err)
	}
	return report, nil
}

// A reference is an empty log in memory.
type reference struct {
	*sql.DB
	conn *sql.Conn // the only connection
}

// referenceSchema returns an empty log in memory, made by the migrations up to that version. The caller closes it.
func referenceSchema(ctx context.Context, version int) (_ *reference, err error) {
	r := new(reference)
	if r.DB, err = sql.Open("sqlite3", ":memory:"); err != nil {
		return nil, err
	}
	r.SetMaxOpenConns(1)
	r.conn, err = r.Conn(ctx)
	for _, step := range migrations.Steps()[:version] {
		if err == nil {
			if _, err = r.conn.ExecContext(ctx, step.SQL); err != nil {
				err = fmt.Errorf("migration %s: %w", step.Name, err)
			}
		}
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close releases the memory.
func (r *reference) Close() error {
	if r.conn != nil {
		r.conn.Close()
	}
	return r.DB.Close()
}

// compareSchema returns how the schema of a database differs from the one that the migrations up to that version create. Of an
// older version it does not compare the views: this program has the newest definition only, and reads through that (adapt).
func compareSchema(ctx context.Context, db *sql.Conn, version int) ([]string, error) {
	reference, err := referenceSchema(ctx, version)
	if err != nil {
		return nil, err
	}
	defer reference.Close()
	want, err := schema(ctx, reference.conn)
	if err != nil {
		return nil, err
	}
	got, err := schema(ctx, db)
	if err != nil {
		return nil, err
	}
	if version < len(migrations.Steps()) {
		isView := func(object, _ string) bool { return strings.HasPrefix(object, "view ") }
		maps.DeleteFunc(want, isView)
		maps.DeleteFunc(got, isView)
	}
	var problems []string
	for _, object := range slices.Sorted(maps.Keys(want)) {
		switch sql, ok := got[object]; {
		case !ok:
			problems = append(problems, "schema: "+object+" is missing")
		case sql != want[object]:
			problems = append(problems, "schema: "+object+" differs from httpipe's")
		}
	}
	for _, object := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[object]; !ok {
			problems = append(problems, "schema: "+object+" is not httpipe's")
		}
	}
	return problems, nil
}

// schema returns the definition of each object in a database, by type and name, without SQLite's own.
func schema(ctx context.Context, conn *sql.Conn) (map[string]string, error) {
	rows, err := conn.QueryContext(ctx, `SELECT type || ' ' || name, tbl_name || ': ' || sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	objects := make(map[string]string)
	for rows.Next() {
		var object, sql string
		if err := rows.Scan(&object, &sql); err != nil {
			return nil, err
		}
		objects[object] = sql
	}
	return objects, rows.Err()
}

// expand replaces two words in a query: CURRENT with a query for the ids of the runs in progress, which are the latest of
// a log unless they have an end; and RUN, behind the id of a life, with an operation that leaves the id of its run.
func (r *reader) expand(query string) string {
	latest, run := "SELECT max(id) FROM run", ">> 32"
	if r.merged {
		latest, run = newestRuns, fmt.Sprintf("& %d", 1<<mergedRunBits-1)
	}
	return strings.NewReplacer("RUN", run, "CURRENT", "SELECT id FROM run WHERE id IN ("+latest+") AND id NOT IN (SELECT id FROM run_end)").Replace(query)
}

// newestRuns is a query for the newest run of each log in a merged log, or the newest run of any other log.
const newestRuns = "SELECT max(r.id) FROM run r LEFT JOIN origin o ON o.run = r.id GROUP BY o.log"

// A consistencyRule is a query for inconsistent rows. It returns their number and an example. See expand.
type consistencyRule struct{ problem, find string }

var consistencyRules = []consistencyRule{
	{"exchanges have no end although their run is over", `
		SELECT count(*), min(e.id) FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id
		WHERE e.ended_at IS NULL AND x.id IS NULL AND e.life RUN NOT IN (CURRENT)`},
	{"exchanges have two ends", `
		SELECT count(*), min(e.id) FROM exchange_end x JOIN exchange e ON e.id = x.id WHERE e.ended_at IS NOT NULL`},
	{"ends of exchanges have no beginning", `
		SELECT count(*), min(x.id) FROM exchange_end x LEFT JOIN exchange e ON e.id = x.id WHERE e.id IS NULL`},
	{"lives of channels have no end although their run is over", `
		SELECT count(*), min(l.id) FROM life l LEFT JOIN life_end x ON x.id = l.id
		WHERE l.closed_at IS NULL AND x.id IS NULL AND l.id RUN NOT IN (CURRENT)`},
	{"lives of channels have two ends", `
		SELECT count(*), min(l.id) FROM life_end x JOIN life l ON l.id = x.id WHERE l.closed_at IS NOT NULL`},
	{"ends of lives of channels have no beginning", `
		SELECT count(*), min(x.id) FROM life_end x LEFT JOIN life l ON l.id = x.id WHERE l.id IS NULL`},
	{"ends of runs have no beginning", `
		SELECT count(*), min(x.id) FROM run_end x LEFT JOIN run r ON r.id = x.id WHERE r.id IS NULL`},
}

// callRules are consistencyRules for logs with calls.
var callRules = []consistencyRule{
	{"calls have no end although their run is over", `
		SELECT count(*), min(e.id) FROM exchange e LEFT JOIN call c ON c.id = e.id
		WHERE e.method IS NOT NULL AND c.id IS NULL AND e.life RUN NOT IN (CURRENT)`},
	{"ends of calls have no request", `
		SELECT count(*), min(c.id) FROM call c LEFT JOIN exchange e ON e.id = c.id AND e.method IS NOT NULL WHERE e.id IS NULL`},
}

// lifeRules are consistencyRules for logs with lives that are recorded with their exchange.
var lifeRules = []consistencyRule{
	{"exchanges record the life of their channel, which has a row", `
		SELECT count(*), min(e.id) FROM exchange e JOIN life l ON l.id = e.life WHERE e.opened_before_ms IS NOT NULL`},
	{"exchanges record the life of their channel, but have not ended with it", `
		SELECT count(*), min(e.id) FROM exchange e WHERE e.opened_before_ms IS NOT NULL AND e.ended_at IS NULL`},
}

// count fills in the counts of the report.
func (r *reader) count(ctx context.Context, report *Report) error {
	var going int64
	lives := "SELECT count(*) FROM life"
	if report.Schema >= livesSince {
		lives = "SELECT (SELECT count(*) FROM life) + (SELECT count(opened_before_ms) FROM exchange)"
	}
	for _, c := range []struct {
		query string
		dest  []any
	}{
		{"SELECT count(*), count(*) - count(x.id), coalesce(sum(x.lost), 0), (SELECT count(*) FROM (CURRENT)) FROM run r LEFT JOIN run_end x ON x.id = r.id",
			[]any{&report.Runs, &report.Unclean, &report.Lost, &going}},
		{"SELECT count(*), count(*) FILTER (WHERE e.ended_at IS NULL AND x.id IS NULL AND e.life RUN IN (CURRENT)) FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id",
			[]any{&report.Exchanges, &report.Open}},
		{"SELECT count(*) FROM request", []any{&report.Requests}},
		{lives, []any{&report.Channels}},
	} {
		if err := r.queryRow(ctx, r.expand(c.query), c.dest...); err != nil {
			return err
		}
	}
	if r.inUse || r.merged {
		report.Unclean -= going
	}
	return r.countTopics(ctx, report)
}

// checkConsistency adds the inconsistencies between rows to the report.
func (r *reader) checkConsistency(ctx context.Context, report *Report) error {
	rules := consistencyRules
	if report.Schema >= topicsSince {
		rules = slices.Concat(rules, topicRules)
	}
	if report.Schema >= callsSince {
		rules = slices.Concat(rules, callRules)
	}
	if report.Schema >= livesSince {
		rules = slices.Concat(rules, lifeRules)
	}
	for _, rule := range rules {
		var count int64
		var example sql.NullString
		if err := r.queryRow(ctx, r.expand(rule.find), &count, &example); err != nil {
			return err
		}
		if count > 0 {
			report.Problems = append(report.Problems, fmt.Sprintf("rows: %d %s, such as %s", count, rule.problem, example.String))
		}
	}
	if report.Schema >= blocksSince {
		if err := r.checkBlocks(ctx, report); err != nil {
			return err
		}
	}
	if r.merged {
		return nil
	}
	if report.Open > 0 && !r.inUse {
		report.Problems = append(report.Problems, fmt.Sprintf("rows: %d exchanges have no end, and no server has the log open: "+
			"it crashed, or this is a copy of its log; the next server that opens it records them as %s", report.Open, Interrupted))
	}
	if report.OpenOnTopics > 0 && !r.inUse {
		report.Problems = append(report.Problems, fmt.Sprintf("rows: %d publications and subscriptions have no end, and no server has the log open: "+
			"it crashed, or this is a copy of its log; the next server that opens it records them as %s", report.OpenOnTopics, Interrupted))
	}
	return nil
}

// blocksSince, callsSince and livesSince are the schema versions that introduced blocks, calls, and lives without a row of their
// own.
const (
	blocksSince = 4
	callsSince  = 6
	livesSince  = 8
)

// checkBlocks compares the number of exchanges that should be in the index by channel with the number that are.
func (r *reader) checkBlocks(ctx context.Context, report *Report) error {
	var exchanges, entries int64
	err := r.queryRow(ctx, `SELECT (SELECT count(*) FROM exchange WHERE id <= (SELECT max(last) FROM block)), (SELECT count(*) FROM block_entry)`, &exchanges, &entries)
	if err == nil && exchanges != entries {
		report.Problems = append(report.Problems, fmt.Sprintf("rows: %d exchanges are in blocks, but the blocks have %d entries", exchanges, entries))
	}
	return err
}

// queryRow scans the only row of a query.
func (r *reader) queryRow(ctx context.Context, query string, dest ...any) error {
	if err := r.conn.QueryRowContext(ctx, query).Scan(dest...); err != nil {
		return r.explain("cannot be read", err)
	}
	return nil
}

// queryStrings returns the rows of a query with one column. If an error occurs, it returns the rows before it
// too.
func queryStrings(ctx context.Context, conn *sql.Conn, query string) (all []string, err error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return all, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
