package store_test

import (
	"os"
	"os/exec"
	"testing"

	"httpipe/store"
)

// The power fails during the first commit ever, and of the pages that were to be in the file the first is missing. The
// journal, which was on disk before any of them, says that there were none.
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
	// So small a cache makes SQLite write pages before the commit, and the journal before them.
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
