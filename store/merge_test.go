package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// nodeLog returns a closed log of a node with rows in all tables, as file NAME.db of a new directory.
func nodeLog(t *testing.T, node, file string, at ...time.Time) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	runNode(t, path, node, at...)
	return path
}

// runNode is one run of a node, which records something of each kind at each of the times.
func runNode(t *testing.T, path, node string, at ...time.Time) {
	t.Helper()
	f := start(t, path, store.Config{Node: node}, store.Limits{})
	for i, at := range at {
		life := int64(i + 1)
		f.ChannelOpened(store.Life{ID: life, Namespace: "v1", Channel: node + "work", At: at})
		for n := range 9 {
			m := match(idAt(at))
			m.Life, m.At, m.Channel = life, at, node+"work"
			f.ExchangeMatched(m)
			if n%3 == 0 {
				f.Sync() // so that the end is a separate row
			}
			f.ExchangeEnded(end(m.ID, []string{"delivered", "stalled"}[n%2]))
		}
		call := f.call(t, at)
		f.CallEnded(store.CallEnd{ID: call, At: at.Add(time.Second), Outcome: "unanswered"})
		onTopic(f, at, func() { f.Sync() })
		f.ChannelClosed(store.LifeEnd{ID: life, At: at.Add(time.Minute), Reason: "idle", Exchanges: 9, Bytes: 378})
		f.life(int64(1000+i), at.Add(time.Duration(1+len(node))*time.Millisecond), func(l *store.Life, m *store.Match, _ *store.ExchangeEnd, _ *store.LifeEnd) {
			l.Channel, m.Channel = node+"work", node+"work"
		})
		f.RequestUnmatched(store.Request{Namespace: "v1", Channel: node + "work", Role: "consumer", Outcome: "left", Arrived: at, Ended: at})
	}
	mustClose(t, f)
}

// merge merges logs into a new file, each NAME=FILE or FILE.
func merge(t *testing.T, target string, logs ...string) (store.Merged, error) {
	t.Helper()
	var sources []store.Source
	for _, log := range logs {
		node, path, found := strings.Cut(log, "=")
		if !found {
			node, path = "", log
		}
		sources = append(sources, store.Source{Path: path, Node: node})
	}
	before := make(map[string]string)
	for _, s := range sources {
		before[s.Path] = sum(t, s.Path)
	}
	merged, err := store.Merge(t.Context(), target, sources)
	for _, s := range sources {
		if sum(t, s.Path) != before[s.Path] {
			t.Errorf("%s was changed", s.Path)
		}
	}
	if parts, _ := filepath.Glob(filepath.Join(filepath.Dir(target), "*.part*")); len(parts) > 0 {
		t.Errorf("left behind: %q", parts)
	}
	return merged, err
}

func mustMerge(t *testing.T, target string, logs ...string) {
	t.Helper()
	if _, err := merge(t, target, logs...); err != nil {
		t.Fatal(err)
	}
}

// mergedViews are the views whose rows a merged log has for each node, by the columns in which they may differ.
var mergedViews = map[string][]string{
	"exchanges": {"life"}, "exchanges_by_channel": {"life"}, "calls": nil, "requests": {"id"}, "channels": {"id"}, "runs": {"id"},
	"publications": nil, "subscriptions": nil,
}

// wantNode checks that the merged log has the rows of a log, and no others, for that node.
func wantNode(t *testing.T, merged, node, path string) {
	t.Helper()
	for view, but := range mergedViews {
		columns := slices.DeleteFunc(query(t, path, "SELECT name FROM pragma_table_info(?)", view), func(name string) bool {
			return name == "node" || slices.Contains(but, name)
		})
		rows := "SELECT " + strings.Join(columns, ", ") + " FROM " + view
		want := query(t, path, rows+" ORDER BY "+strings.Join(columns, ", "))
		got := query(t, merged, rows+" WHERE node = ? ORDER BY "+strings.Join(columns, ", "), node)
		if len(want) == 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s of %s:\n%s\nwant\n%s", view, node, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// wantSound checks a merged log: its consistency, and that the ids of its rows are in the order of time.
func wantSound(t *testing.T, merged string) {
	t.Helper()
	wantProblems(t, merged)
	for _, disorder := range []string{
		"SELECT count(*) FROM channels a JOIN channels b ON a.id < b.id AND a.opened_at > b.opened_at",
		"SELECT count(*) FROM requests a JOIN requests b ON a.id < b.id AND a.ended_at > b.ended_at",
		"SELECT count(*) FROM runs a JOIN runs b ON a.id < b.id AND a.started_at > b.started_at",
		"SELECT count(*) FROM exchanges WHERE node IS NULL",
		"SELECT count(*) FROM exchanges e WHERE shape = 'channel' AND NOT EXISTS (SELECT 1 FROM channels c WHERE c.id = e.life AND c.node = e.node AND c.channel = e.channel)",
	} {
		wantOne(t, merged, "0", disorder)
	}
}

func TestMerge(t *testing.T) {
	day := func(n int) time.Time { return noon.Add(time.Duration(n) * 24 * time.Hour) }
	n1 := nodeLog(t, "n1", "a.db", day(0), day(2), day(4))
	runNode(t, n1, "n1", day(6))
	n2 := nodeLog(t, "n2", "b.db", day(1), day(3), day(5))
	unnamed := nodeLog(t, "", "third.db", day(0), day(7))
	target := filepath.Join(t.TempDir(), "all.db")
	mustMerge(t, target, n1, n2, unnamed)
	for node, path := range map[string]string{"n1": n1, "n2": n2, "third": unnamed} {
		wantNode(t, target, node, path)
	}
	for _, path := range []string{n1, n2, unnamed, target} {
		wantAlone(t, path)
	}
	wantSound(t, target)
	wantOne(t, target, "4|0", "SELECT count(*), sum(clean <> 1) FROM runs")
	if info, err := os.Stat(target); err != nil || info.Mode() != 0o600 {
		t.Errorf("the merged log: %v, %v", info.Mode(), err)
	}
	wantHistory(t, target, []store.Filter{{}, {Namespace: "v1"}, {From: day(3)}, {To: day(3)}, {From: day(1), To: day(6)}, {Channel: "n1work"}})
	if _, err := store.Open(store.Config{Path: target}); err == nil || !strings.Contains(err.Error(), "for reading only; --audit read-only shows it") {
		t.Errorf("a server opens a merged log: %v", err)
	}
	backup := filepath.Join(t.TempDir(), "copy.db")
	if report, err := store.Backup(t.Context(), target, backup); err != nil || report.Runs != 4 {
		t.Errorf("a backup: %+v, %v", report, err)
	}
	wantSound(t, backup)
}

// Merging again, with the same logs, newer copies and older copies, has each row once.
func TestMergeAgain(t *testing.T) {
	n1, n2 := nodeLog(t, "n1", "a.db", noon), nodeLog(t, "n2", "b.db", noon)
	old := filepath.Join(t.TempDir(), "old.db")
	if _, err := store.Backup(t.Context(), n1, old); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "all.db")
	mustMerge(t, target, n1, n2)
	first := dump(t, target)
	mustMerge(t, target, n1, n2)
	if again := dump(t, target); again != first {
		t.Errorf("merged again:\n%s\nbefore\n%s", again, first)
	}
	runNode(t, n1, "n1", noon.Add(time.Hour))
	if _, err := merge(t, target, slices.Repeat([]string{n1}, store.MaxSources+1)...); err == nil || !strings.Contains(err.Error(), "11 logs, but SQLite reads at most 10 at once") {
		t.Errorf("eleven logs: %v", err)
	}
	for _, logs := range [][]string{{n1, n2}, {old, n1, n2}, append(slices.Repeat([]string{old}, store.MaxSources-2), n2, n1)} {
		mustMerge(t, target, logs...)
		wantNode(t, target, "n1", n1)
		wantNode(t, target, "n2", n2)
		wantSound(t, target)
	}

	// What the server has removed since is in the backup.
	removing := start(t, n1, store.Config{Node: "n1", Retention: time.Hour}, store.Limits{PruneEvery: time.Millisecond})
	eventually(t, "the rows are removed", func() bool { return one(t, n1, "SELECT count(*) FROM exchanges") == "0" })
	mustClose(t, removing)
	mustMerge(t, target, n1, n2)
	wantOne(t, target, "0", "SELECT count(*) FROM exchanges WHERE node = 'n1'")
	mustMerge(t, target, old, n1, n2)
	wantOne(t, target, "11|3|1", "SELECT count(*), (SELECT count(*) FROM runs WHERE node = 'n1'), (SELECT count(*) > 0 FROM cutoffs) FROM exchanges WHERE node = 'n1'")
	wantSound(t, target)
}

// A log is merged while its server writes, and after a crash. What runs then is open, and not interrupted.
func TestMergeRunning(t *testing.T) {
	f := start(t, filepath.Join(t.TempDir(), "run.db"), store.Config{Node: "n1"}, store.Limits{})
	f.ChannelOpened(store.Life{ID: 1, Namespace: "v1", Channel: "work", At: time.Now()})
	id := newID()
	wait(t, f.ExchangeMatched(match(id)))
	_, commit := f.exchange("delivered")
	wait(t, commit)
	crashed := crashCopy(t, f.path)
	n2 := nodeLog(t, "n2", "b.db", noon)
	for _, path := range []string{f.path, crashed} {
		target := filepath.Join(t.TempDir(), "all.db")
		merged, err := merge(t, target, path, n2)
		if err != nil || merged.Open != 1 || merged.Unclean != 0 {
			t.Fatalf("%+v, %v", merged, err)
		}
		wantOne(t, target, "n1|open", "SELECT node, outcome FROM exchanges WHERE id = ?", id)
		wantOne(t, target, "2", "SELECT count(*) FROM exchanges WHERE node = 'n1'")
		wantOne(t, target, "NULL", "SELECT clean FROM runs WHERE node = 'n1'")
		wantSound(t, target)
		h, err := store.OpenHistory(target)
		if err != nil {
			t.Fatal(err)
		}
		page, err := h.Page(t.Context(), store.Exchanges, store.Filter{Outcome: store.StillOpen}, "", 10)
		if err != nil || len(page.Rows) != 1 || page.Value(0, "id") != id {
			t.Errorf("open: %v, %v", page.Rows, err)
		}
		mustMerge(t, target, path, n2)
		if _, err := h.Page(t.Context(), store.Exchanges, store.Filter{}, "", 1); err == nil || !strings.HasSuffix(err.Error(), "the file was replaced by another; start again to read the new one") {
			t.Errorf("after another merge: %v", err)
		}
		h.Close()
	}
	wait(t, f.ExchangeEnded(end(id, "delivered")))
	target := filepath.Join(t.TempDir(), "all.db")
	mustMerge(t, target, f.path, crashed)
	sources := []store.Source{{Path: f.path}, {Path: n2}}
	if _, err := store.MergeWith(t.Context(), target, sources, -1); err == nil || !strings.Contains(err.Error(), "has grown by 0 MB meanwhile; merge a backup of it") {
		t.Errorf("a server that writes much: %v", err)
	}
	wantOne(t, target, "delivered|1", "SELECT outcome, count(*) FROM exchanges WHERE id = ?", id)
}

// wantHistory checks that a History returns the rows that SQL finds, for each filter.
func wantHistory(t *testing.T, path string, filters []store.Filter) {
	t.Helper()
	h, err := store.OpenHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.Slow()
	for k, columns := range map[*store.Kind]string{store.Exchanges: "node, matched_at", store.Requests: "node, ended_at", store.Channels: "node, opened_at"} {
		for _, f := range filters {
			where := "WHERE true"
			if f.Channel != "" {
				where += " AND channel = '" + f.Channel + "'"
			}
			time := strings.Split(columns, ", ")[1]
			if !f.From.IsZero() {
				where += " AND " + time + " >= '" + f.From.Format("2006-01-02T15:04:05.000Z") + "'"
			}
			if !f.To.IsZero() {
				where += " AND " + time + " < '" + f.To.Format("2006-01-02T15:04:05.000Z") + "'"
			}
			want := query(t, path, "SELECT "+columns+" FROM "+k.Name+" "+where+" ORDER BY id DESC")
			var got []string
			err := h.Each(t.Context(), k, f, "", 0, func(p store.Page) error {
				for i := range p.Rows {
					got = append(got, fmt.Sprintf("%v|%v", p.Value(i, "node"), p.Value(i, time)))
				}
				return nil
			})
			if err != nil || len(want) == 0 || !slices.Equal(got, want) {
				t.Errorf("%s %+v: %v\n%q\nwant\n%q", k.Name, f, err, got, want)
			}
		}
	}
}

// separated returns two pairs of copies of one log that have continued separately: base and fork by another run, inside and
// changed within one run.
func separated(t *testing.T) (base, fork, inside, changed string) {
	t.Helper()
	base = nodeLog(t, "n1", "base.db", noon)
	fork, inside = filepath.Join(t.TempDir(), "fork.db"), filepath.Join(t.TempDir(), "inside.db")
	for _, path := range []string{fork, inside} {
		if _, err := store.Backup(t.Context(), base, path); err != nil {
			t.Fatal(err)
		}
	}
	runNode(t, base, "n1", noon.Add(time.Hour))
	runNode(t, fork, "n1", noon.Add(2*time.Hour))
	execute(t, inside, "INSERT INTO request VALUES ((1 << 32) + 99, 'v1', 'a', 'consumer', 'left', 1, 1, '', '', '', 1, '', '', 'channel')")
	changed = filepath.Join(t.TempDir(), "changed.db")
	if _, err := store.Backup(t.Context(), inside, changed); err != nil {
		t.Fatal(err)
	}
	execute(t, changed, "DROP TRIGGER request_update; UPDATE request SET outcome = 'stalled' WHERE id = (1 << 32) + 99")
	return base, fork, inside, changed
}

func TestMergeRefuses(t *testing.T) {
	n1, n2 := nodeLog(t, "n1", "a.db", noon), nodeLog(t, "n2", "b.db", noon)
	other := nodeLog(t, "n1", "httpipe.db", noon)

	base, fork, inside, changed := separated(t)
	missing := tempPath(t)
	merged, target := filepath.Join(t.TempDir(), "merged.db"), filepath.Join(t.TempDir(), "all.db")
	mustMerge(t, merged, n1, n2)
	for _, test := range []struct {
		target, want string
		logs         []string
	}{
		{target, "both are of a node n1, but they are different logs; give one of them another name: NAME=" + other, []string{n1, other}},
		{target, "both are of a node n1", []string{n1, "n1=" + n2}},
		{target, "cannot be of two nodes, x and y", []string{"x=" + n1, "y=" + n1}},
		{target, "are copies of one log that have continued separately (run 2 is not the same in both)", []string{base, fork}},
		{target, "are copies of one log that have continued separately (request 4294967395 is not the same in both)", []string{inside, changed}},
		{target, "made by an older httpipe (schema 6, this version knows", []string{n1, emptyLog(t, 6)}},
		{target, "is a merged log; merge the logs from which it was made", []string{n1, merged}},
		{target, "there is no such file", []string{n1, missing}},
		{n2, "already exists and is not a merged log", []string{n1}},
		{merged, "it has the log of node n2, which is not among the given logs", []string{n1}},
		{filepath.Join(tempPath(t), "all.db"), "cannot be created: there is no directory ", []string{n1}},
		{target, "audit log: the file name must not be empty", []string{n1, ""}},
	} {
		before := sum(t, test.target)
		_, err := merge(t, test.target, test.logs...)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v\nwant %s", test.logs, err, test.want)
		}
		if sum(t, test.target) != before {
			t.Errorf("after %v, the target was changed", err)
		}
		for _, log := range test.logs {
			if path := log[strings.Index(log, "=")+1:]; path != missing && path != "" {
				wantAlone(t, path)
			}
		}
	}
	if _, err := merge(t, "", n1); err == nil || err.Error() != "merge: the file name must not be empty" {
		t.Errorf("without a target: %v", err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Merge(stopped, target, []store.Source{{Path: n1}}); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context was cancelled: %v", err)
	}
	wantAlone(t, n1)
	if files, err := os.ReadDir(filepath.Dir(target)); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}

	// With names they can be merged.
	mustMerge(t, target, n1, "spare="+other, n2)
	wantNode(t, target, "spare", other)
}
