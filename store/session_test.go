package store_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// The file is renamed while the server runs, and later renamed back.
func TestRenamedAndPutBack(t *testing.T) {
	f := open(t)
	before, commit := f.exchange("delivered")
	wait(t, commit)
	if err := os.Rename(f.path, f.path+".away"); err != nil {
		t.Fatal(err)
	}
	id, commit := f.exchange("delivered")
	wantFailed(t, commit)
	if err := f.Err(); err == nil || !strings.Contains(err.Error(), "deleted or renamed") {
		t.Errorf("Err is %v, want that the file was deleted or renamed", err)
	}
	if _, err := os.Stat(f.path); err == nil {
		t.Error("the file was created again")
	}
	// Another file at the path is not used and not changed.
	if err := os.WriteFile(f.path, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other file is noticed", func() bool {
		return f.Err() != nil && strings.Contains(f.Err().Error(), "replaced")
	})
	if other, err := os.ReadFile(f.path); err != nil || string(other) != "other" {
		t.Errorf("the other file contains %q, %v", other, err)
	}
	if err := os.Rename(f.path+".away", f.path); err != nil {
		t.Fatal(err)
	}
	f.waitUntilWritable(t)
	wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", before)
	wantUnrecorded(t, f, id)
	_, commit = f.exchange("delivered")
	wait(t, commit)
}

// The file is renamed while rows are inserted, so they must be recorded again.
func TestRenamedBeforeCommit(t *testing.T) {
	path := tempPath(t)
	hook, armed := once(func() { os.Rename(path, path+".away") })
	f := start(t, path, store.Config{}, store.Limits{Inserted: hook})
	armed.Store(true)
	id := newID()
	wantFailed(t, f.ExchangeMatched(match(id)))
	f.ExchangeEnded(end(id, "delivered"))
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	f.waitUntilWritable(t)
	wantUnrecorded(t, f, id)
}

// The file is renamed just before COMMIT. The commit succeeds but must not be acknowledged. The rows are in the
// file and must not be inserted twice.
func TestRenamedDuringCommit(t *testing.T) {
	path := tempPath(t)
	hook, armed := once(func() { os.Rename(path, path+".away") })
	f := start(t, path, store.Config{}, store.Limits{Committing: hook})
	open := newID()
	f.ChannelOpened(store.Life{ID: 1, Namespace: "v1", Channel: "work", At: noon})
	wait(t, f.ExchangeMatched(match(open)))

	release := holdLock(t, path)
	armed.Store(true)
	id, commit := f.exchange("delivered")
	first := f.ExchangeEnded(end(open, "delivered"))
	begun := newID()
	f.ExchangeMatched(match(begun))
	f.ChannelClosed(store.LifeEnd{ID: 1, At: noon, Reason: "idle"})
	f.ChannelOpened(store.Life{ID: 2, Namespace: "v1", Channel: "late", At: noon})
	f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "work", Role: "consumer", Outcome: "left"})
	release()
	wantFailed(t, commit)
	wantFailed(t, first)
	// The beginnings of these are already in the file.
	f.ExchangeEnded(end(begun, "stalled"))
	f.ChannelClosed(store.LifeEnd{ID: 2, At: noon, Reason: "deleted"})
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	f.waitUntilWritable(t)
	wantOne(t, path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
	wantOne(t, path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", open)
	wantOne(t, path, "stalled", "SELECT outcome FROM exchanges WHERE id = ?", begun)
	wantOne(t, path, "idle,deleted|1", "SELECT (SELECT group_concat(reason) FROM channels), (SELECT count(*) FROM requests)")
	if f.Lost() != 0 {
		t.Errorf("Lost is %d, want 0", f.Lost())
	}
}

// After an outage nothing is appended to a WAL that may be incomplete on disk.
func TestOutageEmptiesWAL(t *testing.T) {
	f := open(t)
	other := db(t, f.path) // without this connection SQLite would begin a new WAL anyway
	if _, err := other.Exec("SELECT * FROM run"); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		_, commit := f.exchange("delivered")
		wait(t, commit)
	}
	if err := os.Rename(f.path, f.path+".away"); err != nil {
		t.Fatal(err)
	}
	f.waitUntilFailing(t)
	if err := os.Rename(f.path+".away", f.path); err != nil {
		t.Fatal(err)
	}
	f.waitUntilWritable(t)
	info, err := os.Stat(f.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 10<<10 {
		t.Errorf("the WAL has %d bytes after an outage, want no more than one page", info.Size())
	}
}

func TestDeletedIsNoticedWhenIdle(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Commit: 200 * time.Millisecond})
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	f.waitUntilFailing(t)
	for range 2 {
		_, commit := f.exchange("delivered")
		wantFailed(t, commit)
	}
	if err := f.Close(); err == nil || !strings.Contains(err.Error(), f.path) || !strings.Contains(err.Error(), "rows lost: 2") {
		t.Errorf("Close returned %v, want that 2 rows are lost", err)
	}
	if f.Lost() != 2 {
		t.Errorf("Lost is %d, want 2", f.Lost())
	}
	if _, err := os.Stat(f.path); err == nil {
		t.Error("the file was created again")
	}
}

// The WAL is deleted. No row is acknowledged until it is in the file.
func TestDeletedWAL(t *testing.T) {
	f := open(t)
	_, commit := f.exchange("delivered")
	wait(t, commit)
	if err := os.Remove(f.path + "-wal"); err != nil {
		t.Fatal(err)
	}
	_, commit = f.exchange("delivered")
	commit.Wait() // succeeds if the row is committed before the files are checked
	f.waitUntilWritable(t)
	eventually(t, "commits work again", func() bool { _, c := f.exchange("delivered"); return c.Wait() == nil })
	mustClose(t, f)
	wantOne(t, f.path, "ok", "PRAGMA integrity_check")
	wantOne(t, f.path, "0", "SELECT count(*) FROM exchanges WHERE outcome NOT IN ('delivered', 'unrecorded')")
}

// mount mounts a small file system for the test, or skips the test.
func mount(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("mounting a small file system takes root: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %s", out)
		}
	})
	return dir
}

func TestDiskFull(t *testing.T) {
	dir := mount(t, "4m")
	f := start(t, dir+"/audit.db", store.Config{}, store.Limits{})
	var delivered, failed, ballast []string
	for inARow := 0; inARow < 100; {
		id, commit := f.exchange("delivered")
		if commit.Wait() != nil {
			failed = append(failed, id)
			inARow++
			continue
		}
		delivered = append(delivered, id)
		// Emptying the WAL may have freed enough space to continue.
		if inARow > 0 || len(delivered) == 50 {
			inARow = 0
			ballast = append(ballast, fmt.Sprintf("%s/ballast%d", dir, len(ballast)))
			if err := fill(ballast[len(ballast)-1]); err == nil {
				t.Fatal("cannot fill the disk")
			}
		}
	}
	if err := f.Err(); err == nil || !strings.Contains(err.Error(), "disk is full; free some space") {
		t.Errorf("Err is %v, want that the disk is full", err)
	}
	for _, file := range ballast {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	f.waitUntilWritable(t)
	for _, id := range delivered {
		wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
	}
	for _, id := range failed {
		wantUnrecorded(t, f, id)
	}
	wantOne(t, f.path, fmt.Sprint(len(delivered)+len(failed)), "SELECT count(*) FROM exchanges")
	mustClose(t, f)
	wantOne(t, f.path, "ok", "PRAGMA integrity_check")
}

// fill writes to a file until the disk is full.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for range 1 << 20 {
		if _, err := file.Write(make([]byte, 4096)); err != nil {
			return err
		}
	}
	return nil
}

// An idle log counts as failing until a test commit has succeeded.
func TestProbe(t *testing.T) {
	f := open(t)
	release := holdLock(t, f.path)
	if err := os.Rename(f.path, f.path+".away"); err != nil {
		t.Fatal(err)
	}
	f.waitUntilFailing(t)
	if err := os.Rename(f.path+".away", f.path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lock is noticed", func() bool {
		return f.Err() == nil || strings.Contains(f.Err().Error(), "another process")
	})
	if f.Err() == nil {
		t.Error("Err is nil while another connection holds the lock")
	}
	release()
	f.waitUntilWritable(t)
	_, commit := f.exchange("delivered")
	wait(t, commit)
}

func TestReadOnly(t *testing.T) {
	dir := mount(t, "1m")
	f := start(t, dir+"/audit.db", store.Config{}, store.Limits{})
	mustClose(t, f)
	if out, err := exec.Command("mount", "-o", "remount,ro", dir).CombinedOutput(); err != nil {
		t.Fatalf("remount: %s", out)
	}
	_, err := store.Open(store.Config{Path: f.path})
	if err == nil || !strings.Contains(err.Error(), "read-only file system") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Open returned %v, want one line that says that it is read-only", err)
	}
}
