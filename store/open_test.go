package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"httpipe/migrations"
	"httpipe/store"
)

// wantRefused opens the log at path. It checks that this fails with an error of one line that names the file
// and contains all of words, and that the file is not changed.
func wantRefused(t *testing.T, path string, words ...string) {
	t.Helper()
	before := sum(t, path)
	log, err := store.OpenWith(store.Config{Path: path, Logger: slog.New(slog.DiscardHandler)}, store.Limits{})
	if err == nil {
		log.Close()
		t.Fatalf("%s was opened", path)
	}
	for _, word := range append(words, path) {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q, want %q in it", err, word)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
	if sum(t, path) != before {
		t.Error("the file was changed")
	}
}

func sum(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d bytes %x", len(content), sha256.Sum256(content))
}

// closedLog returns the path of a log with a few hundred exchanges on a few dozen pages.
func closedLog(t *testing.T) string {
	t.Helper()
	f := open(t)
	for range 300 {
		f.exchange("delivered")
	}
	mustClose(t, f)
	return f.path
}

func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	other := db(t, path)
	defer other.Close()
	for _, statement := range statements {
		if _, err := other.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func TestRefusesForeignDatabase(t *testing.T) {
	path := tempPath(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	execute(t, path, "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1); PRAGMA user_version=1")
	wantRefused(t, path, "not an httpipe audit log", "choose another path")
	execute(t, path, "PRAGMA application_id=7")
	wantRefused(t, path, "not an httpipe audit log", "0x7")

	// Opening and closing this file would checkpoint the WAL into it.
	execute(t, path, "PRAGMA journal_mode=WAL")
	other := db(t, path)
	if _, err := other.Exec("INSERT INTO theirs VALUES (2)"); err != nil {
		t.Fatal(err)
	}
	crashed := crashCopy(t, path)
	other.Close()
	wantRefused(t, crashed, "not an httpipe audit log", "0x7")
}

func TestRefusesOtherFiles(t *testing.T) {
	for name, content := range map[string]string{
		"text":     "hello\n",
		"long":     strings.Repeat("hello\n", 1000),
		"headless": "SQLite format 3\x00",
	} {
		path := tempPath(t)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { wantRefused(t, path, "not an httpipe audit log") })
	}
}

func TestRefusesNewer(t *testing.T) {
	path := closedLog(t)
	execute(t, path, "PRAGMA user_version=99")
	wantRefused(t, path, "made by a newer httpipe", fmt.Sprintf("schema 99, this version knows %d)", len(migrations.Steps())))
}

// crashCopy returns a copy of a log and its WAL, as after a crash.
func crashCopy(t *testing.T, path string) string {
	t.Helper()
	crashed := tempPath(t)
	for _, suffix := range []string{"", "-wal"} {
		// Use another process, because closing a descriptor of the file in this process would drop SQLite's locks.
		if out, err := exec.Command("cp", path+suffix, crashed+suffix).CombinedOutput(); err != nil {
			t.Fatalf("cp: %s", out)
		}
	}
	return crashed
}

// After a crash, the newer version may be in the WAL only.
func TestRefusesNewerInTheWAL(t *testing.T) {
	path := closedLog(t)
	other := db(t, path)
	if _, err := other.Exec("PRAGMA user_version=99"); err != nil {
		t.Fatal(err)
	}
	crashed := crashCopy(t, path)
	other.Close()
	wal := sum(t, crashed+"-wal")
	wantRefused(t, crashed, "made by a newer httpipe", "schema 99")
	if sum(t, crashed+"-wal") != wal {
		t.Error("the WAL was changed")
	}
}

func TestRefusesCorrupt(t *testing.T) {
	path := closedLog(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for at := len(content) / 2 / page * page; at < len(content)-page; at += page {
		copy(content[at:], strings.Repeat("\xa5", 1000))
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, path, "corrupt", "restore a backup")
}

// damage changes one byte in the header of a page, which no query would notice.
func damage(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page, leaf, fragments = 4096, 0x0a, 7
	at := len(content) / page * page
	for content[at-page] != leaf {
		at -= page
	}
	content[at-page+fragments] ^= 5
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRefusesSlightDamage(t *testing.T) {
	path := closedLog(t)
	damage(t, path)
	wantRefused(t, path, "corrupt", "restore a backup")
}

func TestRefusesTruncated(t *testing.T) {
	path := closedLog(t)
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, path, "corrupt", "restore a backup")
}

func TestRefusesBadPaths(t *testing.T) {
	dir := t.TempDir()
	wantRefused(t, dir, "is a directory")
	wantRefused(t, filepath.Join(dir, "no", "audit.db"), "directory "+filepath.Join(dir, "no")+" does not exist")
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, filepath.Join(file, "audit.db"), "not a directory")
}

// TestRefusesDirectoryNames: a path that names a directory creates no file of that name.
func TestRefusesDirectoryNames(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"new/", "new//", "new/.", "."} {
		wantRefused(t, path, "names a directory", "give the path of a file in it")
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) > 0 {
		t.Errorf("there is %v (%v), want nothing", entries, err)
	}
}

// TestRefusesDeleted: no new log begins beside the WAL of one that was deleted, also if that is empty.
func TestRefusesDeleted(t *testing.T) {
	for _, wal := range []string{"", "frames"} {
		path := tempPath(t)
		if err := os.WriteFile(path+"-wal", []byte(wal), 0o600); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, path, "the file is missing but has a -wal", "nothing was changed", "-wal and "+filepath.Base(path)+"-shm away to begin a new log")
		if _, err := os.Stat(path); err == nil {
			t.Error("the file was created")
		}
		os.Remove(path + "-wal")
		mustClose(t, start(t, path, store.Config{}, store.Limits{}))
	}
}

func TestRefusesWithoutPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root ignores permissions")
	}
	path := closedLog(t)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, path, fmt.Sprintf("may not read and write %s;", path))
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, path, "is not writable")
	os.Chmod(filepath.Dir(path), 0o700)
}

// Two servers with the same file would record each other's exchanges as interrupted.
func TestRefusesSecondServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with #, ?, % and %41.db")
	f := start(t, path, store.Config{}, store.Limits{})
	_, commit := f.exchange("delivered")
	wait(t, commit)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), "HTTPIPE_TEST_CHILD="+path)
	out, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(out), path+": another httpipe is using it; stop that process, or choose another file\n") {
		t.Errorf("a second server printed %q (%v), want that the file is in use", out, err)
	}
	wantOne(t, path, "1", "SELECT count(*) FROM runs")

	mustClose(t, f)
	f = start(t, path, store.Config{}, store.Limits{})
	wantOne(t, path, "2|1", "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM exchanges)")
	mustClose(t, f)
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), filepath.Base(path)) {
			t.Errorf("the log was created as %s", entry.Name())
		}
	}
}

func TestRelativeAndLinkedPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("real", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real/audit.db", "link.db"); err != nil {
		t.Fatal(err)
	}
	f := start(t, "link.db", store.Config{}, store.Limits{})
	t.Chdir(t.TempDir()) // the path was made absolute when the log was opened
	_, commit := f.exchange("delivered")
	wait(t, commit)
	mustClose(t, f)
	wantOne(t, filepath.Join(dir, "real", "audit.db"), "1", "SELECT count(*) FROM exchanges")
}

func TestNewFileIsPrivate(t *testing.T) {
	f := open(t)
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(f.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", f.path+suffix, info.Mode())
		}
	}
	wantOne(t, f.path, fmt.Sprintf("%d|%d|wal", store.ApplicationID, len(migrations.Steps())), "SELECT * FROM pragma_application_id, pragma_user_version, pragma_journal_mode")
}

// A crash leaves an exchange and a channel open. The next start records them as interrupted, and the start
// after that does nothing.
func TestRecovery(t *testing.T) {
	f := open(t)
	f.ChannelOpened(store.Life{ID: 1, Namespace: "v1", Channel: "work", At: time.Now()})
	f.ChannelOpened(store.Life{ID: 2, Namespace: "v1", Channel: "shut", At: time.Now()})
	f.ChannelClosed(store.LifeEnd{ID: 2, At: time.Now(), Reason: "idle", Exchanges: 3, Bytes: 4})
	done, commit := f.exchange("delivered")
	wait(t, commit)
	cut := newID()
	wait(t, f.ExchangeMatched(match(cut)))

	crashed := start(t, crashCopy(t, f.path), store.Config{}, store.Limits{})
	if !strings.Contains(crashed.logged.String(), "exchanges_interrupted=1 channels_interrupted=1") {
		t.Error("the unclean shutdown was not logged")
	}
	path := crashed.path
	wantOne(t, path, "1|0|NULL", "SELECT id, clean, stopped_at FROM runs WHERE id = 1")
	started := one(t, path, "SELECT started_at FROM runs WHERE id = 2")
	wantOne(t, path, cut+"|interrupted|NULL|NULL|"+started, "SELECT id, outcome, bytes, duration_ms, ended_at FROM exchanges WHERE outcome <> 'delivered'")
	wantOne(t, path, done+"|42", "SELECT id, bytes FROM exchanges WHERE outcome = 'delivered'")
	wantOne(t, path, "work|interrupted|2|42|"+started, "SELECT channel, reason, exchanges, bytes, closed_at FROM channels WHERE reason = 'interrupted'")
	wantOne(t, path, "shut|3|4", "SELECT channel, exchanges, bytes FROM channels WHERE reason = 'idle'")

	// Lives are numbered from 1 in each run.
	crashed.ChannelOpened(store.Life{ID: 1, Namespace: "v1", Channel: "work", At: time.Now()})
	_, commit = crashed.exchange("delivered")
	wait(t, commit)
	again := start(t, crashCopy(t, path), store.Config{}, store.Limits{})
	if !strings.Contains(again.logged.String(), "exchanges_interrupted=0 channels_interrupted=1") {
		t.Error("the log output does not mention the open channel of the second crash")
	}
	mustClose(t, crashed)
	mustClose(t, again)
}
