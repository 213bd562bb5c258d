package store_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/store"
)

// readOnlyView mounts the directory of the log read-only in another place, and returns the path of the log
// there. The log itself remains writable.
func readOnlyView(t *testing.T, path string) string {
	t.Helper()
	view := t.TempDir()
	for _, args := range [][]string{{"--bind", filepath.Dir(path), view}, {"-o", "remount,ro,bind", view}} {
		if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
			t.Skipf("mounting a directory takes root: %s", out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", view).CombinedOutput(); err != nil {
			t.Errorf("umount: %s", out)
		}
	})
	return filepath.Join(view, filepath.Base(path))
}

// wantRead checks that all read-only operations work and find that many exchanges.
func wantRead(t *testing.T, path string, exchanges int64) {
	t.Helper()
	report, err := store.Check(t.Context(), path)
	if err != nil || len(report.Problems) > 0 || report.Exchanges != exchanges {
		t.Errorf("Check returned %+v, %v, want %d exchanges", report, err, exchanges)
	}
	report, err = store.Backup(t.Context(), path, tempPath(t))
	if err != nil || report.Exchanges != exchanges {
		t.Errorf("Backup returned %+v, %v, want %d exchanges", report, err, exchanges)
	}
	h, err := store.OpenHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var found int64
	err = h.Each(t.Context(), store.Exchanges, store.Filter{}, "", 0, func(p store.Page) error { found += int64(len(p.Rows)); return nil })
	if err != nil || found != exchanges {
		t.Errorf("the history has %d exchanges (%v), want %d", found, err, exchanges)
	}
}

// wantUnreadable checks that reading fails, with an error that contains all of words.
func wantUnreadable(t *testing.T, path string, words ...string) {
	t.Helper()
	_, err := store.Check(t.Context(), path)
	for _, word := range append(words, path) {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("Check returned %v, want %q in it", err, word)
		}
	}
}

func TestReadsWhereNothingCanBeWritten(t *testing.T) {
	path := closedLog(t)
	wantRead(t, readOnlyView(t, path), 300)
	if err := os.WriteFile(path+"-wal", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRead(t, readOnlyView(t, path), 300)
}

// A log after a crash is read with its WAL, or not at all.
func TestReadsCrashedWhereNothingCanBeWritten(t *testing.T) {
	killed := crashed(t, closedLog(t), 20)
	wantUnreadable(t, readOnlyView(t, killed), "the newest records are in its -wal", killed[strings.LastIndex(killed, "/"):]+"-shm", "read the copy")
	other := db(t, killed) // creates a wal-index
	if _, err := other.Exec("SELECT * FROM run"); err != nil {
		t.Fatal(err)
	}
	copied := crashCopy(t, killed)
	copyOver(t, killed+"-shm", copied+"-shm")
	other.Close()
	// The latest run has not ended, nor has the life of its channel.
	h, err := store.OpenHistory(readOnlyView(t, copied))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var found int
	err = h.Each(t.Context(), store.Exchanges, store.Filter{}, "", 0, func(p store.Page) error { found += len(p.Rows); return nil })
	if err != nil || found != 320 {
		t.Errorf("the history has %d exchanges, %v, want 320", found, err)
	}
}

// A reader that cannot write sees what a running server has acknowledged before each query, and not an old
// state.
func TestReadsBesideServerWhereNothingCanBeWritten(t *testing.T) {
	path := closedLog(t)
	view := readOnlyView(t, path)
	before, err := store.OpenHistory(view)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "HTTPIPE_TEST_CHILD="+path)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		child.Process.Kill()
		child.Wait()
	})
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	if lines.Text() != "ready" {
		t.Fatalf("the server printed %q", lines.Text())
	}
	if _, err := before.Row(t.Context(), store.Exchanges, newID()); err == nil || !strings.Contains(err.Error(), "a server has begun to write") {
		t.Errorf("a history opened before the server started returned %v", err)
	}
	h, err := store.OpenHistory(view)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for range 200 {
		lines.Scan()
		page, err := h.Row(t.Context(), store.Exchanges, lines.Text())
		if err != nil || len(page.Rows) != 1 {
			t.Fatalf("an acknowledged exchange is recorded as %v, %v", page.Rows, err)
		}
	}
	if _, err := store.Backup(t.Context(), view, tempPath(t)); err != nil {
		t.Error(err)
	}
}
