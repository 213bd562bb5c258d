package store_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"httpipe/store"
)

// copyOver writes the content of one file into another, in place. It uses another process, because closing a
// descriptor of the log in this process would drop SQLite's locks.
func copyOver(t *testing.T, from, to string) {
	t.Helper()
	copying := exec.Command("cp", from, to)
	if strings.HasSuffix(to, "-shm") { // cp would truncate it first; SQLite maps it, and an access beyond its end is a SIGBUS
		copying = exec.Command("dd", "if="+from, "of="+to, "bs=1048576", "conv=notrunc")
	}
	if out, err := copying.CombinedOutput(); err != nil {
		t.Fatalf("%s: %s", copying, out)
	}
}

// manyRuns returns the path of a closed log with several runs.
func manyRuns(t *testing.T) string {
	t.Helper()
	path := tempPath(t)
	for range 5 {
		f := start(t, path, store.Config{}, store.Limits{})
		_, commit := f.exchange("delivered")
		wait(t, commit)
		mustClose(t, f)
	}
	return path
}

// Another program changes the content of the log while the server runs. From then on no exchange is
// acknowledged and nothing is written to the file.
func TestChangedUnderTheServer(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, path, backup, earlier string)
		says   string
	}{
		"Emptied":     {func(t *testing.T, path, _, _ string) { truncate(t, path, 0) }, "truncated or overwritten by another program"},
		"Halved":      {func(t *testing.T, path, _, _ string) { truncate(t, path, 10*4096) }, "truncated or overwritten by another program"},
		"Backup":      {func(t *testing.T, path, backup, _ string) { copyOver(t, backup, path) }, "truncated or overwritten by another program"},
		"EarlierCopy": {func(t *testing.T, path, _, earlier string) { copyOver(t, earlier, path) }, "truncated or overwritten by another program"},
		"BackupOfThisRun": {func(t *testing.T, path, _, _ string) {
			backup := tempPath(t)
			if out, err := exec.Command("sh", "-c", `cp "$0" "$1" && printf '\1\1' | dd of="$1" bs=1 seek=18 conv=notrunc`, path, backup).CombinedOutput(); err != nil {
				t.Fatalf("cp: %s", out) // not Backup, which would drop SQLite's locks
			}
			copyOver(t, backup, path)
		}, "truncated or overwritten by another program"},
		"AnotherLog":  {func(t *testing.T, path, _, _ string) { copyOver(t, manyRuns(t), path) }, "truncated or overwritten by another program"},
		"AnotherFile": {func(t *testing.T, path, _, _ string) { copyOver(t, os.Args[0], path) }, "truncated or overwritten by another program"},
		"WALEmptied":  {func(t *testing.T, path, _, _ string) { truncate(t, path+"-wal", 0) }, "-wal was truncated by another program"},
		"WALHalved":   {func(t *testing.T, path, _, _ string) { truncate(t, path+"-wal", 3000) }, "-wal was truncated by another program"},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempPath(t)
			f := start(t, path, store.Config{}, store.Limits{})
			mustClose(t, f)
			earlier := tempPath(t)
			copyOver(t, path, earlier)
			backup := tempPath(t)
			if _, err := store.Backup(t.Context(), path, backup); err != nil {
				t.Fatal(err)
			}
			f = start(t, path, store.Config{}, store.Limits{})
			id, commit := f.exchange("delivered")
			wait(t, commit)
			if _, err := f.History().Row(t.Context(), store.Exchanges, id); err != nil { // leaves a connection open
				t.Fatal(err)
			}
			test.change(t, path, backup, earlier)
			file, wal := sum(t, path), ""
			for range 3 {
				_, commit = f.exchange("delivered")
				wantFailed(t, commit)
			}
			if err := f.Err(); err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "restore a backup") || !strings.Contains(err.Error(), path) {
				t.Errorf("Err is %v, want %q and a remedy", err, test.says)
			}
			if _, err := f.History().Row(t.Context(), store.Exchanges, id); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the history returned %v, want %q", err, test.says)
			}
			wal = sum(t, path+"-wal")
			if err := f.Close(); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Close returned %v, want %q", err, test.says)
			}
			if sum(t, path) != file || sum(t, path+"-wal") != wal {
				t.Error("the file or its WAL was written to afterwards")
			}
		})
	}
}

// An earlier copy of the file is restored during the same run, with a size that matches its header.
func TestEarlierCopyOfTheRun(t *testing.T) {
	f := open(t)
	earlier := tempPath(t)
	copyOver(t, f.path, earlier)
	for range 300 {
		f.exchange("delivered")
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	execute(t, f.path, "PRAGMA wal_checkpoint(TRUNCATE)")
	_, commit := f.exchange("delivered")
	wait(t, commit)
	copyOver(t, earlier, f.path)
	_, commit = f.exchange("delivered")
	wantFailed(t, commit)
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// An earlier copy of the log is restored together with its side files, which agree with each other.
func TestEarlierCopyOfSideFiles(t *testing.T) {
	for _, files := range [][]string{
		{"", "-wal", "-shm"}, {"-shm", "-wal", ""}, {"", "-shm", "-wal"}, {"", "-wal"}, {"-wal", "-shm"}, {"-shm", "-wal"},
	} {
		t.Run(strings.Join(files, ","), func(t *testing.T) {
			f := open(t)
			f.deliver(t, 20)
			earlier := tempPath(t)
			for _, suffix := range files {
				copyOver(t, f.path+suffix, earlier+suffix)
			}
			f.deliver(t, 20)
			for _, suffix := range files {
				copyOver(t, earlier+suffix, f.path+suffix)
			}
			for range 3 {
				_, commit := f.exchange("delivered")
				wantFailed(t, commit)
			}
			if err := f.Err(); err == nil || !strings.Contains(err.Error(), "by another program") || !strings.Contains(err.Error(), "restore a backup") { // cp truncates, then writes
				t.Errorf("Err is %v, want that another program has truncated or overwritten the log, and a remedy", err)
			}
		})
	}
}

// The file is truncated while an idle server has it open.
func TestTruncatedIsNoticedWhenIdle(t *testing.T) {
	f := open(t)
	truncate(t, f.path, 0)
	f.waitUntilFailing(t)
}

// The file is truncated just before COMMIT. The commit succeeds but must not be acknowledged.
func TestTruncatedDuringCommit(t *testing.T) {
	path := tempPath(t)
	hook, armed := once(func() { os.Truncate(path, 0) })
	f := start(t, path, store.Config{}, store.Limits{Committing: hook})
	armed.Store(true)
	_, commit := f.exchange("delivered")
	wantFailed(t, commit)
	wantFailed(t, f.ExchangeMatched(match(newID())))
}

// The file is replaced by a symbolic link to it. SQLite would look for the WAL beside the file.
func TestReplacedByLink(t *testing.T) {
	f := open(t)
	if err := os.Rename(f.path, f.path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(f.path+".away", f.path); err != nil {
		t.Fatal(err)
	}
	_, commit := f.exchange("delivered")
	wantFailed(t, commit)
	if err := os.Rename(f.path+".away", f.path); err != nil {
		t.Fatal(err)
	}
	f.waitUntilWritable(t)
	_, commit = f.exchange("delivered")
	wait(t, commit)
}

// The side files are deleted, and the server continues with new ones. Acknowledged rows are in the file, even
// if other processes have the log open.
func TestDeletedSideFiles(t *testing.T) {
	for name, suffixes := range map[string][]string{"WAL": {"-wal"}, "SHM": {"-shm"}, "Both": {"-wal", "-shm"}} {
		for _, shared := range []bool{false, true} {
			t.Run(name+map[bool]string{true: "Shared"}[shared], func(t *testing.T) {
				f := open(t)
				id, commit := f.exchange("delivered")
				wait(t, commit)
				if _, err := f.History().Row(t.Context(), store.Exchanges, id); err != nil { // leaves a connection open
					t.Fatal(err)
				}
				if shared {
					keepOpen(t, f.path)
				}
				for _, suffix := range suffixes {
					if err := os.Remove(f.path + suffix); err != nil {
						t.Fatal(err)
					}
				}
				_, commit = f.exchange("delivered")
				wantFailed(t, commit)
				eventually(t, "commits work again", func() bool { _, c := f.exchange("delivered"); return c.Wait() == nil })
				page, err := f.History().Row(t.Context(), store.Exchanges, id)
				if err != nil || len(page.Rows) != 1 || page.Value(0, "outcome") != "delivered" {
					t.Errorf("the acknowledged exchange is recorded as %v, %v", page.Rows, err)
				}
				mustClose(t, f)
				wantOne(t, f.path, "ok", "PRAGMA integrity_check")
				wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
			})
		}
	}
}

// A side file is replaced by a copy of itself, which has the same size. The server continues with the copy, and the acknowledged
// rows are in the file.
func TestReplacedSideFiles(t *testing.T) {
	for _, suffix := range []string{"-wal", "-shm"} {
		t.Run(suffix, func(t *testing.T) {
			f := open(t)
			id, commit := f.exchange("delivered")
			wait(t, commit)
			copyOver(t, f.path+suffix, f.path+".copy")
			if err := os.Rename(f.path+".copy", f.path+suffix); err != nil {
				t.Fatal(err)
			}
			_, commit = f.exchange("delivered")
			wantFailed(t, commit)
			eventually(t, "commits work again", func() bool { _, c := f.exchange("delivered"); return c.Wait() == nil })
			mustClose(t, f)
			wantOne(t, f.path, "ok", "PRAGMA integrity_check")
			wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
		})
	}
}

// keepOpen has a sqlite3 shell open the log and wait.
func keepOpen(t *testing.T, path string) {
	t.Helper()
	shell := exec.Command("sqlite3", "-readonly", path)
	stdin, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Skipf("there is no sqlite3 shell on this machine: %v", err)
	}
	t.Cleanup(func() {
		stdin.Close()
		shell.Wait()
	})
	fmt.Fprintln(stdin, "SELECT count(*) FROM run;")
	if _, err := io.ReadAtLeast(stdout, make([]byte, 2), 2); err != nil {
		t.Fatal(err)
	}
}

// Another program may run a checkpoint or VACUUM.
func TestCheckpointByAnotherProgram(t *testing.T) {
	f := open(t)
	other := db(t, f.path)
	for _, statement := range []string{
		"PRAGMA wal_checkpoint(TRUNCATE)",
		"CREATE TABLE filler (a); INSERT INTO filler VALUES (zeroblob(1000000)); PRAGMA wal_checkpoint(TRUNCATE)",
		"DROP TABLE filler; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
		"PRAGMA wal_checkpoint(PASSIVE)",
	} {
		id, commit := f.exchange("delivered")
		wait(t, commit)
		if _, err := other.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		for range 2 {
			_, commit = f.exchange("delivered")
			wait(t, commit)
		}
		if f.Err() != nil {
			t.Errorf("after %s: %v", statement, f.Err())
		}
		wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
	}
}
