package store_test

import (
	"os"
	"os/exec"
	"testing"

	"httpipe/store"
)

// The power fails during the very first commit, when the later pages are written and the first is not. The
// journal, which is on disk before any page, says that the file was empty.
func TestPowerFailsDuringCreation(t *testing.T) {
	whole, err := os.ReadFile(closedLog(t))
	if err != nil {
		t.Fatal(err)
	}
	cut := tempPath(t)
	if err := os.WriteFile(cut, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := db(t, cut)
	// With a small cache SQLite writes pages before the commit, and the journal before the pages.
	if _, err := other.Exec("PRAGMA cache_size=1; BEGIN; CREATE TABLE a (b); INSERT INTO a SELECT randomblob(4096) FROM pragma_function_list"); err != nil {
		t.Fatal(err)
	}
	crashed := tempPath(t)
	if out, err := exec.Command("cp", cut+"-journal", crashed+"-journal").CombinedOutput(); err != nil {
		t.Fatalf("cp: %s", out)
	}
	other.Close()
	clear(whole[:4096])
	if err := os.WriteFile(crashed, whole[:2*4096], 0o600); err != nil {
		t.Fatal(err)
	}
	f := start(t, crashed, store.Config{}, store.Limits{})
	_, commit := f.exchange("delivered")
	wait(t, commit)
	wantOne(t, crashed, "1", "SELECT count(*) FROM exchanges")
}
