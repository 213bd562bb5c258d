package docs

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"httpipe/test/kit"
)

var update = flag.Bool("update", false, "write the tables of options and metrics to docs/")

// checkTable compares a table with that between the marks of a page. With -update it writes the table there.
func checkTable(t *testing.T, page, table string) {
	t.Helper()
	text := read(t, page)
	marks := regexp.MustCompile(`(?s)<!-- begin: [^\n]* -->\n(.*)<!-- end -->`).FindStringSubmatchIndex(text)
	if marks == nil {
		t.Fatalf("%s has no marks around a table", page)
	}
	if text[marks[2]:marks[3]] == table {
		return
	}
	if !*update {
		t.Errorf("the table in %s should be (-update writes it):\n%s", page, table)
		return
	}
	if err := os.WriteFile(page, []byte(text[:marks[2]]+table+text[marks[3]:]), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestOptionsTable compares docs/options.md with what httpipe -h prints.
func TestOptionsTable(t *testing.T) {
	code, help := kit.Run(t, t.TempDir(), "-h")
	if code != 0 {
		t.Fatal(help)
	}
	var (
		group  = regexp.MustCompile(`^(\S.*):$`)
		option = regexp.MustCompile(`^  (?:(-\w), |    )(--[a-z-]+)(?: [A-Z]+)? {2,}(\S.*)$`)
		source = regexp.MustCompile(`^ +default (\S+); (.*)$`)
	)
	var table strings.Builder
	var heading, name, meaning string
	found := 0
	for line := range strings.Lines(help) {
		line = strings.TrimSuffix(line, "\n")
		if m := group.FindStringSubmatch(line); m != nil {
			heading = m[1]
		} else if m := option.FindStringSubmatch(line); m != nil {
			if heading != "" {
				fmt.Fprintf(&table, "\n### %s\n\n| option | default | variables | |\n| --- | --- | --- | --- |\n", heading)
			}
			heading, name, meaning = "", "`"+m[2]+"`", m[3]
			if m[1] != "" {
				name = "`" + m[1] + "`, " + name
			}
		} else if m := source.FindStringSubmatch(line); m != nil && name != "" {
			def := "none"
			if m[1] != "none" {
				def = "`" + m[1] + "`"
			}
			fmt.Fprintf(&table, "| %s | %s | `%s` | %s |\n", name, def, strings.ReplaceAll(m[2], ", ", "`, `"), meaning)
			found++
		}
	}
	if found != strings.Count(help, "; HTTPIPE_") || found < 20 {
		t.Fatalf("httpipe -h lists %d options, as far as this test understands it:\n%s", found, help)
	}
	checkTable(t, "docs/options.md", table.String()+"\n")
}

// TestCommandsTable: the table in docs/options.md has every command that httpipe -h and the help of its groups list.
func TestCommandsTable(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "docs/options.md"), "## Commands")
	listed := regexp.MustCompile(`(?m)^  httpipe (?:\[serve\]|((?:audit |nodes )?[a-z]+)) .*$`)
	found := 0
	for _, group := range []string{"", "audit", "nodes"} {
		_, help := kit.Run(t, t.TempDir(), append(strings.Fields(group), "-h")...)
		for _, m := range listed.FindAllStringSubmatch(help, -1) {
			command := strings.TrimPrefix(m[1], group+" ")
			if command == "audit" || command == "nodes" { // the groups
				continue
			}
			found++
			if !regexp.MustCompile("`(httpipe )?(" + group + " )?" + command + "\\b").MatchString(table) {
				t.Errorf("docs/options.md has no httpipe %s %s", group, command)
			}
		}
	}
	if found < 20 {
		t.Errorf("found only %d commands", found)
	}
}

// TestMetricsTable compares docs/metrics.md with a scrape.
func TestMetricsTable(t *testing.T) {
	text := kit.Scrape(t, kit.Start(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0"))
	var table strings.Builder
	table.WriteString("| metric | type | labels | |\n| --- | --- | --- | --- |\n")
	family := regexp.MustCompile(`(?m)^# HELP (httpipe_\S+) (.*)\n# TYPE \S+ (\S+)\n\S+?(?:\{(.*)\})? `)
	for _, m := range family.FindAllStringSubmatch(text, -1) {
		labels := "–"
		if names := labelNames(m[4]); len(names) > 0 {
			labels = "`" + strings.Join(names, "`, `") + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", m[1], m[3], labels, m[2])
	}
	checkTable(t, "docs/metrics.md", table.String())
}

// labelNames returns the names of a sample's labels, except for the one that histograms have by themselves.
func labelNames(labels string) (names []string) {
	for _, m := range regexp.MustCompile(`(\w+)="[^"]*"`).FindAllStringSubmatch(labels, -1) {
		if m[1] != "le" {
			names = append(names, m[1])
		}
	}
	return slices.Compact(names)
}
