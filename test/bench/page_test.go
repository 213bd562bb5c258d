//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUpdatePage(t *testing.T) {
	const (
		begin = "<!-- begin: targets; scripts/bench --update writes this -->\n"
		other = "text\n<!-- begin: tables; scripts/bench --update writes this -->\nkept\n<!-- end -->\n"
	)
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("# Page\n"+begin+"old\n<!-- end -->\n"+other), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := updatePage(path, "targets", "\nnew\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := "# Page\n" + begin + "new\n<!-- end -->\n" + other; err != nil || string(got) != want {
		t.Errorf("the page is\n%s\nwant\n%s", got, want)
	}
	if err := updatePage(path, "figures", "new"); err == nil {
		t.Error("a region that the page does not have was updated")
	}
}

// TestPerformancePage checks that --update finds its regions.
func TestPerformancePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("../..", performancePage))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, page, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{"targets", "tables"} {
		if err := updatePage(path, region, "new"); err != nil {
			t.Error(err)
		}
	}
}
