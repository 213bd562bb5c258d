package docs

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"httpipe/test/kit"
)

var (
	aFence   = regexp.MustCompile("(?ms)^```.*?^```$")
	aLink    = regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	aHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// anchors returns the anchors of a page's headings, as GitHub makes them.
func anchors(t *testing.T, path string) (found []string) {
	t.Helper()
	for _, m := range aHeading.FindAllStringSubmatch(aFence.ReplaceAllString(read(t, path), ""), -1) {
		words := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		found = append(found, strings.ReplaceAll(words, " ", "-"))
	}
	return found
}

// TestLinks follows all links of the documentation to files and headings, and checks that README.md links each page.
func TestLinks(t *testing.T) {
	linked := []string{"README.md"}
	for _, page := range append(pages(t), "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "test/README.md") {
		for _, link := range aLink.FindAllStringSubmatch(aFence.ReplaceAllString(read(t, page), ""), -1) {
			target := page
			if link[1] != "" {
				target = filepath.Join(filepath.Dir(page), link[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if page == "README.md" {
				linked = append(linked, target)
			}
			if link[2] != "" && !slices.Contains(anchors(t, target), link[2]) {
				t.Errorf("%s links to #%s, which %s does not have: %q", page, link[2], target, anchors(t, target))
			}
		}
	}
	for _, page := range pages(t) {
		if !slices.Contains(linked, page) {
			t.Errorf("README.md does not link to %s", page)
		}
	}
}

// TestPaths checks that the files that the documentation names are there.
func TestPaths(t *testing.T) {
	for _, page := range append(pages(t), "CONTRIBUTING.md", "test/README.md") {
		for _, path := range regexp.MustCompile(`\b(?:scripts|deploy)/[\w.]*\w`).FindAllString(read(t, page), -1) {
			if _, err := os.Stat(path); err != nil && path != "deploy/.env" { // which a command of the documentation makes
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// TestFrontPage keeps README.md short, and the examples free of what looks like a version.
func TestFrontPage(t *testing.T) {
	if lines := strings.Count(read(t, "README.md"), "\n"); lines > 180 {
		t.Errorf("README.md has %d lines: move something to docs/", lines)
	}
	for _, page := range pages(t) {
		if page != "docs/performance.md" && strings.Contains(read(t, page), "v1/") { // its measurements have such names
			t.Errorf("%s has an example in v1/, which looks like a version; take demo/", page)
		}
	}
}

// TestRequests compares the paths that docs/http.md lists with those of the OpenAPI document. README.md lists some of them.
func TestRequests(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	var document struct{ Paths map[string]any }
	if err := json.Unmarshal([]byte(<-kit.Curl(p.URL+"/openapi.json")), &document); err != nil {
		t.Fatal(err)
	}
	delete(document.Paths, "/assets/{file}") // which only the server's own pages request
	known := slices.Sorted(maps.Keys(document.Paths))
	listed := func(page string) []string {
		paths := map[string]bool{}
		for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \|`).FindAllStringSubmatch(read(t, page), -1) {
			for _, path := range regexp.MustCompile("`(?:[A-Z][A-Z`, or]* )?(/[^`?… ]*)").FindAllStringSubmatch(row[1], -1) {
				if path = path[1:]; !strings.HasPrefix(path[0], "/services/") { // whose requests are those of programs
					paths[path[0]] = true
				}
			}
		}
		return slices.Sorted(maps.Keys(paths))
	}
	if got := listed("docs/http.md"); !slices.Equal(got, known) {
		t.Errorf("docs/http.md lists\n%q, the OpenAPI document\n%q", got, known)
	}
	front := listed("README.md")
	if len(front) < 2 {
		t.Errorf("README.md lists %q", front)
	}
	for _, path := range front {
		if !slices.Contains(known, path) {
			t.Errorf("README.md lists %s, which the OpenAPI document does not have", path)
		}
	}
}
