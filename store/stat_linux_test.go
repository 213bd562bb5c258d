package store_test

import (
	"os"
	"testing"
	"time"
)

// The checks of the files do not make each fsync write the inode of the WAL. If they asked for its times, the kernel would give it a
// new time of change at each commit, instead of once per tick of its clock.
func TestChecksLeaveTimesOfWAL(t *testing.T) {
	const tick = 4 * time.Millisecond // of a kernel with 250 Hz
	f := open(t)
	fast, unchanged := 0, 0
	for range 500 {
		began := time.Now()
		f.deliver(t, 1) // changes the time, since this test has asked for it
		between := time.Now()
		f.deliver(t, 1)
		if time.Since(began) > tick/2 {
			continue // a tick may have changed the time
		}
		info, err := os.Stat(f.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		if fast++; info.ModTime().Before(between) {
			unchanged++
		}
		if fast == 40 {
			break
		}
	}
	if fast < 40 {
		t.Skipf("only %d of 500 pairs of commits took less than %v", fast, tick/2)
	}
	if unchanged < fast/2 {
		t.Errorf("%d of %d commits changed the time of the WAL, want few", fast-unchanged, fast)
	}
}
