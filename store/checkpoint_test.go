package store_test

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"httpipe/store"
)

// deliver records exchanges, each in a commit of its own.
func (f fixture) deliver(t *testing.T, exchanges int) {
	t.Helper()
	for range exchanges {
		_, commit := f.exchange("delivered")
		wait(t, commit)
	}
}

// growWAL lets the WAL become as large as size, by a query that stays open until the reader is closed.
func (f fixture) growWAL(t *testing.T, size int64) (reader *sql.DB) {
	t.Helper()
	reader = db(t, f.path)
	if _, err := reader.Exec("BEGIN; SELECT * FROM run"); err != nil {
		t.Fatal(err)
	}
	for fileSize(f.path+"-wal") < size {
		f.deliver(t, 200)
	}
	return reader
}

// The WAL is written again from its beginning when it has become large, and keeps its size until the log is idle.
func TestWALKeepsItsSize(t *testing.T) {
	const reset = 1 << 20
	f := start(t, tempPath(t), store.Config{}, store.Limits{WALCheck: 128 << 10, WALReset: reset})
	shrunk, largest, last := 0, int64(0), int64(0)
	// Each takes some 30 KB, so there are many rounds. While the checkpointer keeps up, SQLite starts the WAL over before it is that
	// large; on a busy machine it may do so a thousand times.
	for n := 0; n < 1000 || largest < reset && n < 5000; n++ {
		f.deliver(t, 1)
		size := fileSize(f.path + "-wal")
		if size < last {
			shrunk++
		}
		last, largest = size, max(largest, size)
	}
	if largest < reset || largest > 4*reset {
		t.Errorf("the WAL grew to %d bytes, want at least %d and not much more", largest, reset)
	}
	if shrunk > 3 { // it may, if the checkpointer came late
		t.Errorf("the WAL shrank %d times under load", shrunk)
	}
	eventually(t, "the WAL of the idle log is truncated", func() bool { return fileSize(f.path+"-wal") == 0 })
	f.deliver(t, 1)
}

// A long query keeps the WAL from being emptied, and has no other effect.
func TestWALIsBounded(t *testing.T) {
	const reset = 256 << 10
	f := start(t, tempPath(t), store.Config{}, store.Limits{WALCheck: 64 << 10, WALReset: reset})
	size := func() int64 { return fileSize(f.path + "-wal") }
	reader := f.growWAL(t, 2*reset)
	eventually(t, "the warning is logged", func() bool {
		f.deliver(t, 1)
		return strings.Contains(f.logged.String(), "in a long transaction")
	})
	reader.Close()
	eventually(t, "the WAL shrinks", func() bool {
		f.deliver(t, 10)
		return size() <= 2*reset
	})
	mustClose(t, f)
	if _, err := os.Stat(f.path + "-wal"); err == nil && size() > 0 {
		t.Errorf("the WAL has %d bytes after Close", size())
	}
}

// After a reader has made the WAL large, it is cut off in steps: to truncate all of it at once would stop the commits
// for as long as that takes.
func TestWALShrinksInSteps(t *testing.T) {
	const reset = 256 << 10
	f := start(t, tempPath(t), store.Config{}, store.Limits{WALCheck: 64 << 10, WALReset: reset})
	size := func() int64 { return fileSize(f.path + "-wal") }
	reader := f.growWAL(t, 4*reset)
	reader.Close()
	steps, last := 0, size()
	eventually(t, "the WAL shrinks", func() bool {
		f.deliver(t, 10)
		now := size()
		if now < last && now > 0 { // 0: this test has paused, and the log was idle
			steps++
			if last-now > reset/2 {
				t.Errorf("the WAL shrank from %d to %d bytes at once, want at most by %d", last, now, reset/2)
			}
		}
		last = now
		return steps == 4 || now <= 2*reset
	})
}

// startedOver returns a log with a few commits at the beginning of its WAL, and old frames behind them.
func startedOver(t *testing.T, limits store.Limits) fixture {
	t.Helper()
	f := start(t, tempPath(t), store.Config{}, limits)
	f.deliver(t, 50)
	execute(t, f.path, "PRAGMA wal_checkpoint(RESTART)")
	size := fileSize(f.path + "-wal")
	f.deliver(t, 5)
	if now := fileSize(f.path + "-wal"); now != size {
		t.Fatalf("the WAL had %d bytes and now has %d, want no change", size, now)
	}
	return f
}

// Another program truncates the WAL just before COMMIT writes to it, which leaves a hole and a WAL that is larger
// than what is in use.
func TestTruncatedWALDuringCommit(t *testing.T) {
	for _, left := range []int64{0, 3000, 4 * 4120} {
		t.Run(fmt.Sprint(left), func(t *testing.T) {
			var path string
			hook, armed := once(func() { os.Truncate(path+"-wal", left) })
			f := startedOver(t, store.Limits{Committing: hook})
			path = f.path
			armed.Store(true)
			_, commit := f.exchange("delivered")
			wantFailed(t, commit)
			if err := f.Err(); err == nil || !strings.Contains(err.Error(), "-wal was truncated by another program") {
				t.Errorf("Err is %v, want that the WAL was truncated", err)
			}
		})
	}
}

// Old frames behind those in use may go.
func TestTruncatedBehindTheWAL(t *testing.T) {
	f := startedOver(t, store.Limits{})
	var busy, frames, copied int64
	if err := db(t, f.path).QueryRow("PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &frames, &copied); err != nil {
		t.Fatal(err)
	}
	truncate(t, f.path+"-wal", 32+frames*4120)
	f.deliver(t, 5)
	mustClose(t, f)
	wantOne(t, f.path, "60", "SELECT count(*) FROM exchanges WHERE outcome = 'delivered'")
	wantOne(t, f.path, "ok", "PRAGMA integrity_check")
}

// A checkpoint has copied a part of the WAL, and has not synced it. The next one fails to sync, which may lose
// what the first has copied. So the whole WAL is copied again.
func TestFailedCheckpoint(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{WALCheck: 1 << 30, WALReset: 256 << 10})
	f.deliver(t, 20)
	execute(t, f.path, "PRAGMA wal_checkpoint(PASSIVE)")
	f.deliver(t, 10) // the WAL has been started over
	before := fileSize(f.path)
	f.deliver(t, 200)
	reader := db(t, f.path)
	if _, err := reader.Exec("BEGIN; SELECT * FROM run"); err != nil {
		t.Fatal(err)
	}
	f.deliver(t, 5) // more than the writer copies itself
	execute(t, f.path, "PRAGMA wal_checkpoint(PASSIVE)")
	reader.Close()
	pages := (fileSize(f.path) - before) / 4096
	if pages < 2 {
		t.Fatalf("the checkpoint has made the file grow by %d pages, want several", pages)
	}
	if out, err := exec.Command("dd", "if=/dev/zero", "of="+f.path, "conv=notrunc", "bs=4096",
		fmt.Sprintf("seek=%d", before/4096), fmt.Sprintf("count=%d", pages)).CombinedOutput(); err != nil {
		t.Fatalf("dd: %s", out)
	}
	f.FailCheckpoint()
	f.waitUntilFailing(t)
	f.waitUntilWritable(t)
	f.deliver(t, 1)
	mustClose(t, f)
	wantOne(t, f.path, "ok", "PRAGMA integrity_check")
	wantOne(t, f.path, "236", "SELECT count(*) FROM exchanges WHERE outcome = 'delivered'")
}
