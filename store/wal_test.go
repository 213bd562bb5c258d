package store_test

import (
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// wantWrongWAL checks that servers and readers refuse the log at path because of its WAL, and leave the WAL
// unchanged.
func wantWrongWAL(t *testing.T, path string, words ...string) {
	t.Helper()
	wal := sum(t, path+"-wal")
	wantRefused(t, path, append(words, "-wal", "nothing was changed", "move ")...)
	if sum(t, path+"-wal") != wal {
		t.Error("the WAL was changed")
	}
}

// crashed returns a log and its WAL as after a crash, from a run with that many exchanges.
func crashed(t *testing.T, path string, exchanges int, before ...func(fixture)) string {
	t.Helper()
	f := start(t, path, store.Config{}, store.Limits{})
	f.ChannelOpened(store.Life{ID: 1, Namespace: "v1", Channel: "work", At: noon})
	for range exchanges {
		_, commit := f.exchange("delivered")
		wait(t, commit)
	}
	for _, do := range before {
		do(f)
	}
	copied := crashCopy(t, path)
	mustClose(t, f)
	return copied
}

// A backup is restored, but the WAL of the killed run is left in place.
func TestRefusesBackupBesideWAL(t *testing.T) {
	backup := tempPath(t)
	path := closedLog(t)
	if _, err := store.Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	killed := crashed(t, path, 20)
	copyOver(t, backup, killed)
	wantWrongWAL(t, killed, "the file is a backup")
	for what, read := range map[string]func() error{
		"Check":       func() error { _, err := store.Check(t.Context(), killed); return err },
		"Backup":      func() error { _, err := store.Backup(t.Context(), killed, tempPath(t)); return err },
		"OpenHistory": func() error { _, err := store.OpenHistory(killed); return err },
	} {
		if err := read(); err == nil || !strings.Contains(err.Error(), "the file is a backup") {
			t.Errorf("%s returned %v, want an error", what, err)
		}
	}
}

// A copy from after an earlier run is restored.
func TestRefusesEarlierCopyBesideWAL(t *testing.T) {
	path := closedLog(t)
	earlier := tempPath(t)
	copyOver(t, path, earlier)
	killed := crashed(t, path, 20)
	copyOver(t, earlier, killed)
	wantWrongWAL(t, killed, "rows of a run that the file does not know")
}

// The same if all lives of that run are recorded with their exchanges.
func TestRefusesEarlierCopyBesideWALOfWholeLives(t *testing.T) {
	path := closedLog(t)
	earlier := tempPath(t)
	copyOver(t, path, earlier)
	f := start(t, path, store.Config{}, store.Limits{})
	wait(t, f.life(1, time.Now(), nil))
	killed := crashCopy(t, path)
	mustClose(t, f)
	copyOver(t, earlier, killed)
	wantWrongWAL(t, killed, "rows of a run that the file does not know")
}

// The same after the WAL has begun anew: pages are missing, so the mixture is corrupt.
func TestRefusesMixture(t *testing.T) {
	path := closedLog(t)
	earlier := tempPath(t)
	copyOver(t, path, earlier)
	killed := crashed(t, path, 400, func(f fixture) {
		execute(t, f.path, "PRAGMA wal_checkpoint(TRUNCATE)")
		for range 100 {
			_, commit := f.exchange("delivered")
			wait(t, commit)
		}
	})
	copyOver(t, earlier, killed)
	wantWrongWAL(t, killed, "with its -wal it is corrupt")
}

// A truncated log does not count as new. SQLite would delete its WAL.
func TestRefusesEmptyBesideWAL(t *testing.T) {
	killed := crashed(t, closedLog(t), 5)
	truncate(t, killed, 0)
	wantWrongWAL(t, killed, "another program has truncated it")
	if _, err := store.Check(t.Context(), killed); err == nil || !strings.Contains(err.Error(), "another program has truncated it") {
		t.Errorf("Check returned %v, want that it was truncated", err)
	}
}

// The state after a crash is accepted, even if a reader prevented the first checkpoint of the run.
func TestAcceptsOwnWAL(t *testing.T) {
	t.Parallel()
	path := closedLog(t)
	wantOne(t, restarted(t, crashed(t, path, 20)), "320", "SELECT count(*) FROM exchanges WHERE outcome = 'delivered'")
	other := db(t, path)
	if _, err := other.Exec("BEGIN; SELECT * FROM run"); err != nil {
		t.Fatal(err)
	}
	killed := crashed(t, path, 20, func(fixture) { other.Exec("ROLLBACK") })
	wantOne(t, restarted(t, killed), "340", "SELECT count(*) FROM exchanges WHERE outcome = 'delivered'")
}

func restarted(t *testing.T, path string) string {
	t.Helper()
	mustClose(t, start(t, path, store.Config{}, store.Limits{}))
	return path
}
