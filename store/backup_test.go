package store_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"httpipe/migrations"
	"httpipe/store"
)

// backup makes a copy of the log and returns its path.
func backup(t *testing.T, path string) string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "copy.db")
	report, err := store.Backup(t.Context(), path, target)
	if err != nil {
		t.Fatal(err)
	}
	if report.Path != target || len(report.Problems) > 0 {
		t.Errorf("report %+v", report)
	}
	wantAlone(t, target)
	return target
}

// wantAlone checks that the directory of the file contains nothing else.
func wantAlone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("the directory of %s contains %v, %v", path, entries, err)
	}
}

// TestBackupOfStoppedLog checks that the copy is complete and that the log is not changed.
func TestBackupOfStoppedLog(t *testing.T) {
	path := full(t)
	before := sum(t, path)
	copied := backup(t, path)
	if sum(t, path) != before {
		t.Error("the log was changed")
	}
	wantAlone(t, path)
	if got, want := dump(t, copied), dump(t, path); got != want {
		t.Errorf("the copy contains\n%s\nwant\n%s", got, want)
	}
	info, err := os.Stat(copied)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the copy's mode is %v, %v", info.Mode(), err)
	}
	wantOne(t, copied, "delete", "PRAGMA journal_mode") // so that readers need no side files
	again := backup(t, copied)
	if got, want := dump(t, again), dump(t, path); got != want {
		t.Errorf("a copy of the copy contains\n%s\nwant\n%s", got, want)
	}
}

// TestBackupAfterCrash checks that the copy contains the rows that only the WAL has, and that the WAL is left
// alone.
func TestBackupAfterCrash(t *testing.T) {
	f := open(t)
	for range 50 {
		_, commit := f.exchange("delivered")
		wait(t, commit)
	}
	crashed := crashCopy(t, f.path)
	file, wal := sum(t, crashed), sum(t, crashed+"-wal")
	copied := backup(t, crashed)
	if sum(t, crashed) != file || sum(t, crashed+"-wal") != wal {
		t.Error("the log was changed")
	}
	wantOne(t, copied, "50", "SELECT count(*) FROM exchanges WHERE outcome = 'delivered'")
}

// TestBackupWhileWriting checks that the copy shows the log at one moment after the call, however much is
// written meanwhile; that the server continues and starts its WAL over afterwards; and that a server can start on
// the copy.
func TestBackupWhileWriting(t *testing.T) {
	t.Parallel()
	const walReset = 512 << 10 // so that few steps of a quarter of it are left to cut off
	f := start(t, tempPath(t), store.Config{}, store.Limits{WALCheck: walReset / 8, WALReset: walReset})
	for range 500 {
		f.exchange("delivered")
	}
	open := newID()
	wait(t, f.ExchangeMatched(match(open)))
	target := filepath.Join(t.TempDir(), "copy.db")
	wal := func() int64 {
		info, err := os.Stat(f.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	steps, largest := 0, int64(0)
	report, err := store.BackupWith(t.Context(), f.path, target, math.MaxInt64, 0, func() {
		steps++
		largest = max(largest, wal())
		_, commit := f.exchange("consumer_left")
		wait(t, commit)
	})
	if err != nil {
		t.Fatal(err)
	}
	if steps < 20 {
		t.Errorf("the backup took %d steps", steps)
	}
	if report.Exchanges != 501 || report.Open != 1 || report.Runs != 1 || report.Schema != len(migrations.Steps()) {
		t.Errorf("report %+v", report)
	}
	wantOne(t, target, "500|1|0", "SELECT count(*) FILTER (WHERE outcome = 'delivered'), count(*) FILTER (WHERE outcome = 'open'), count(*) FILTER (WHERE outcome = 'consumer_left') FROM exchanges")
	wantOne(t, f.path, "501", "SELECT count(*) FROM exchanges WHERE outcome <> 'consumer_left'")
	if largest <= 2*walReset {
		t.Errorf("the WAL has grown to only %d bytes during the backup", largest)
	}
	eventually(t, "the WAL is started over, and cut to one and a half times the size at which that happens", func() bool {
		_, commit := f.exchange("delivered")
		wait(t, commit)
		return wal() <= walReset*3/2
	})

	restored := start(t, target, store.Config{}, store.Limits{})
	_, commit := restored.exchange("delivered")
	wait(t, commit)
	mustClose(t, restored)
	wantOne(t, target, "501|1|2", "SELECT count(*) FILTER (WHERE outcome = 'delivered'), count(*) FILTER (WHERE outcome = 'interrupted'), (SELECT count(*) FROM runs) FROM exchanges")
	if report, err := store.Check(t.Context(), target); err != nil || len(report.Problems) > 0 {
		t.Errorf("the log after a start on the copy: %+v, %v", report, err)
	}
}

// TestBackupGivesUp checks that a backup that fails midway leaves nothing behind.
func TestBackupGivesUp(t *testing.T) {
	f := open(t)
	for range 300 {
		f.exchange("delivered")
	}
	_, commit := f.exchange("delivered")
	wait(t, commit)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	more := func() {
		_, commit := f.exchange("delivered")
		wait(t, commit)
	}
	for _, test := range []struct {
		want             string
		walGrowth, spare int64
		between          func()
	}{
		{"MB of free space, but only ", math.MaxInt64, math.MaxInt64 / 2, func() { t.Error("copying began") }},
		{"the log grew by 0 MB during the copy", 10 << 10, 0, more},
		{"context canceled", math.MaxInt64, 0, cancel},
	} {
		dir := t.TempDir()
		_, err := store.BackupWith(ctx, f.path, filepath.Join(dir, "copy.db"), test.walGrowth, test.spare, test.between)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "copy.db") {
			t.Errorf("error %v, want %q", err, test.want)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s: the backup left %v, %v", test.want, entries, err)
		}
	}
}

// TestBackupOverwritesNothing checks files that exist before the backup and files that appear during it.
func TestBackupOverwritesNothing(t *testing.T) {
	path := closedLog(t)
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		target := filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(target+suffix, []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := store.Backup(t.Context(), path, target)
		if err == nil || !strings.Contains(err.Error(), target+suffix+" already exists") {
			t.Errorf("error %v", err)
		}
		wantAlone(t, target+suffix)
		if content, err := os.ReadFile(target + suffix); string(content) != "theirs" {
			t.Errorf("the existing file now contains %.20q, %v", content, err)
		}
	}
	target := filepath.Join(t.TempDir(), "copy.db")
	_, err := store.BackupWith(t.Context(), path, target, math.MaxInt64, 0, func() {
		if err := os.WriteFile(target, []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("error %v", err)
	}
	wantAlone(t, target)
	if content, err := os.ReadFile(target); string(content) != "theirs" {
		t.Errorf("the new file now contains %.20q, %v", content, err)
	}
	if _, err := store.Backup(t.Context(), path, path); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("backup onto the log itself: %v", err)
	}
}

// TestBackupFails checks logs that cannot be copied and targets that cannot be created.
func TestBackupFails(t *testing.T) {
	corrupt := closedLog(t)
	damage(t, corrupt)
	tampered := closedLog(t)
	execute(t, tampered, "DROP TRIGGER exchange_update")
	good := closedLog(t)
	for _, test := range []struct{ name, path, target, want string }{
		{"no log", tempPath(t), "copy.db", "there is no such file"},
		{"a damaged log", corrupt, "copy.db", "the copy is not sound, so the log is not either: integrity: "},
		{"a changed schema", tampered, "copy.db", "schema: trigger exchange_update is missing"},
		{"no directory", good, "no/copy.db", "cannot be created: there is no directory "},
	} {
		dir := t.TempDir()
		_, err := store.Backup(t.Context(), test.path, filepath.Join(dir, test.target))
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %s", test.name, err, test.want)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s: the backup left %v, %v", test.name, entries, err)
		}
	}
}

// TestBackupByRoot checks that a copy that root makes belongs to the owner of its directory.
func TestBackupByRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 65532, 65533); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, "copy.db")
	if _, err := store.Backup(t.Context(), full(t), target); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(target)
	if err != nil {
		t.Fatal(err)
	}
	if is := info.Sys().(*syscall.Stat_t); is.Uid != 65532 || is.Gid != 65533 || info.Mode() != 0o600 {
		t.Errorf("the copy belongs to %d:%d, with mode %v", is.Uid, is.Gid, info.Mode())
	}
}
