package store_test

import (
	"os"
	"testing"
	"time"

	"httpipe/store"
)

// fileSize returns the size of the file, or 0 if it does not exist.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func TestStatus(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Busy: time.Millisecond, Queued: 10, Backoff: time.Hour})
	_, commit := f.exchange("delivered")
	wait(t, commit)
	s := f.Status()
	if s.Err != nil || s.Waiting != 0 || s.Lost != 0 {
		t.Errorf("working log: %+v", s)
	}
	if s.File == 0 || s.File != fileSize(f.path) || s.WAL == 0 || s.WAL != fileSize(f.path+"-wal") {
		t.Errorf("%d and %d bytes, want %d and %d", s.File, s.WAL, fileSize(f.path), fileSize(f.path+"-wal"))
	}

	release := holdLock(t, f.path)
	for range 2 {
		_, commit = f.exchange("delivered")
		wantFailed(t, commit)
	}
	for range 4 {
		f.RequestUnmatched(store.Request{Namespace: "v1", Role: "producer", Outcome: "refused"})
	}
	s = f.Status()
	if s.Err == nil || s.Err != f.Err() || s.Waiting != 5 || s.Lost != 1 || s.Lost != f.Lost() {
		t.Errorf("failing log: %+v, want 5 rows waiting and 1 lost", s)
	}
	if err := os.Rename(f.path, f.path+".away"); err != nil {
		t.Fatal(err)
	}
	if s := f.Status(); s.File != 0 {
		t.Errorf("a missing file has %d bytes", s.File)
	}
	if err := os.Rename(f.path+".away", f.path); err != nil {
		t.Fatal(err)
	}
	release()
	mustClose(t, f)
	if s := f.Status(); s.Err == nil || s.Waiting != 0 || s.Lost != 1 {
		t.Errorf("closed log: %+v", s)
	}
}
