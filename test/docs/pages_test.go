package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// pages returns the paths of all pages of the documentation, README.md first.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("docs/*.md")
	if err != nil || len(found) == 0 {
		t.Fatalf("docs/ has the pages %q, %v", found, err)
	}
	return append([]string{"README.md"}, found...)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the fenced blocks of a page in a language; there need not be any.
func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	if !strings.Contains(read(t, page), "```"+language+"\n") {
		return nil
	}
	return kit.Blocks(t, page, language)
}

// theBlock returns the block of a page in a language that contains a text. There must be one, and only one.
func theBlock(t *testing.T, page, language, text string) string {
	t.Helper()
	var found []string
	for _, block := range blocks(t, page, language) {
		if strings.Contains(block, text) {
			found = append(found, block)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d %s blocks with %q, want 1", page, len(found), language, text)
	}
	return found[0]
}
