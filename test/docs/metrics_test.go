package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestReadmeMetrics compares the README's table with a scrape.
func TestReadmeMetrics(t *testing.T) {
	text := kit.Scrape(t, kit.Start(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0"))
	var want strings.Builder
	want.WriteString("| metric | type | labels | |\n| --- | --- | --- | --- |\n")
	family := regexp.MustCompile(`(?m)^# HELP (httpipe_\S+) (.*)\n# TYPE \S+ (\S+)\n\S+?(?:\{(.*)\})? `)
	for _, m := range family.FindAllStringSubmatch(text, -1) {
		labels := "–"
		if names := labelNames(m[4]); len(names) > 0 {
			labels = "`" + strings.Join(names, "`, `") + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", m[1], m[3], labels, m[2])
	}
	if !strings.Contains(readme(t), want.String()) {
		t.Errorf("the README's table of metrics should be:\n%s", want.String())
	}
}

// labelNames returns those of a sample, but for a histogram's own.
func labelNames(labels string) (names []string) {
	for _, m := range regexp.MustCompile(`(\w+)="[^"]*"`).FindAllStringSubmatch(labels, -1) {
		if m[1] != "le" {
			names = append(names, m[1])
		}
	}
	return slices.Compact(names)
}
