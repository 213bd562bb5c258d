//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// performancePage has regions that hold what this program printed. Each is between two comments of its own lines.
const performancePage = "docs/performance.md"

// updatePage replaces the region of that name in a page.
func updatePage(path, region, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin := fmt.Sprintf("<!-- begin: %s; scripts/bench --update writes this -->\n", region)
	before, after, found := strings.Cut(string(page), begin)
	_, after, ended := strings.Cut(after, "<!-- end -->\n")
	if !found || !ended {
		return fmt.Errorf("%s has no region %s", path, region)
	}
	return os.WriteFile(path, []byte(before+begin+strings.TrimLeft(text, "\n")+"<!-- end -->\n"+after), 0o644)
}

// update writes the results of a whole run to performancePage.
func (b *bench) update() error {
	var about, met, all strings.Builder
	err := b.describe(&about)
	b.tables.writeTargets(&met, b.binaries())
	for _, t := range b.tables {
		t.write(&all)
	}
	return errors.Join(err,
		updatePage(performancePage, "targets", about.String()+met.String()),
		updatePage(performancePage, "tables", all.String()))
}
