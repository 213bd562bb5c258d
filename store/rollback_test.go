package store_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"httpipe/store"
)

// A server that is killed while it creates the file leaves a partial file and a rollback journal.
func TestCrashDuringCreation(t *testing.T) {
	path := tempPath(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := db(t, path)
	// With a small cache SQLite writes pages before the commit, which makes the journal valid.
	if _, err := other.Exec("PRAGMA cache_size=1; BEGIN; CREATE TABLE a (b); INSERT INTO a SELECT randomblob(4096) FROM pragma_function_list"); err != nil {
		t.Fatal(err)
	}
	crashed := tempPath(t)
	if out, err := exec.Command("cp", path+"-journal", crashed+"-journal").CombinedOutput(); err != nil {
		t.Fatalf("cp: %s", out)
	}
	other.Close()
	whole, err := os.ReadFile(closedLog(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(crashed, whole[:5*4096], 0o600); err != nil {
		t.Fatal(err)
	}
	f := start(t, crashed, store.Config{}, store.Limits{})
	wantOne(t, crashed, "0", "SELECT count(*) FROM exchange")
	_, commit := f.exchange("delivered")
	wait(t, commit)
	mustClose(t, f)
}

// firstJournal returns the path of the journal of an interrupted creation of a log.
func firstJournal(t *testing.T) string {
	t.Helper()
	path := tempPath(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return interrupt(t, path, "CREATE TABLE a (b); INSERT INTO a SELECT randomblob(4096) FROM pragma_function_list")
}

// interrupt begins a transaction in the file at path and returns a copy of its journal.
func interrupt(t *testing.T, path, statements string) string {
	t.Helper()
	other := db(t, path)
	defer other.Close()
	// With a small cache SQLite writes pages before the commit, which makes the journal valid.
	if _, err := other.Exec("PRAGMA cache_size=1; BEGIN; " + statements); err != nil {
		t.Fatal(err)
	}
	journal := tempPath(t) + "-journal"
	if out, err := exec.Command("cp", path+"-journal", journal).CombinedOutput(); err != nil {
		t.Fatalf("cp: %s", out)
	}
	return journal
}

// TestRefusesForeignJournal: a journal from before a restore would destroy what was restored.
func TestRefusesForeignJournal(t *testing.T) {
	backup := func(rows int) string {
		f := open(t)
		for range rows {
			_, commit := f.exchange("delivered")
			wait(t, commit)
		}
		copied := tempPath(t)
		if _, err := store.Backup(t.Context(), f.path, copied); err != nil {
			t.Fatal(err)
		}
		mustClose(t, f)
		return copied
	}
	const upgrade = "CREATE TABLE a (b); INSERT INTO a SELECT randomblob(4096) FROM pragma_function_list"
	other := backup(1)
	execute(t, other, "PRAGMA user_version=3", "PRAGMA user_version=4", "PRAGMA user_version=3", "PRAGMA user_version=4")
	migrated := interrupt(t, other, upgrade)
	empty := tempPath(t)
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, restored, journal string }{
		{"first start", backup(20), firstJournal(t)},
		{"first start, closed log", closedLog(t), firstJournal(t)},
		{"upgrade", backup(20), migrated},
		{"upgrade, empty", empty, migrated},
	} {
		t.Run(test.name, func(t *testing.T) {
			journal, err := os.ReadFile(test.journal)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(test.restored+"-journal", journal, 0o600); err != nil {
				t.Fatal(err)
			}
			const message = "its -journal belongs to another state of the log"
			if _, err := store.Check(t.Context(), test.restored); err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("check says %v", err)
			}
			wantRefused(t, test.restored, message, "nothing was changed", "-journal away")
			if sum(t, test.restored+"-journal") != sum(t, test.journal) {
				t.Error("the journal was changed")
			}
			os.Remove(test.restored + "-journal")
			mustClose(t, start(t, test.restored, store.Config{}, store.Limits{}))
		})
	}
}

// TestCrashDuringUpgrade: the journal of an interrupted start of a restored backup is rolled back.
func TestCrashDuringUpgrade(t *testing.T) {
	f := open(t)
	_, commit := f.exchange("delivered")
	wait(t, commit)
	path := tempPath(t)
	if _, err := store.Backup(t.Context(), f.path, path); err != nil {
		t.Fatal(err)
	}
	mustClose(t, f)
	journal := interrupt(t, path, "CREATE TABLE a (b); INSERT INTO a SELECT randomblob(4096) FROM pragma_function_list")
	if err := os.Rename(journal, path+"-journal"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Check(t.Context(), path); err == nil || !strings.Contains(err.Error(), "start the server") {
		t.Errorf("check says %v", err)
	}
	mustClose(t, start(t, path, store.Config{}, store.Limits{}))
	wantOne(t, path, "1", "SELECT count(*) FROM exchange")
}
