package kit

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// WriteFile writes a file that only its owner can read, and returns its path.
func WriteFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Deployed returns the content of a file in deploy/ with the given replacements (old, new, old, new, …). The file must have
// each of the old texts.
func Deployed(t *testing.T, name string, replacements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(string(text), replacements[i]) {
			t.Fatalf("deploy/%s has no %q to replace", name, replacements[i])
		}
	}
	return strings.NewReplacer(replacements...).Replace(string(text))
}

// Blocks returns the fenced blocks of a Markdown file in the given language, of which it must have one.
func Blocks(t *testing.T, path, language string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		t.Fatalf("%s has no %s block", path, language)
	}
	return found
}

// Smoke runs scripts/smoke, which must succeed.
func Smoke(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("scripts/smoke", args...).CombinedOutput(); err != nil {
		t.Errorf("scripts/smoke %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Zeros is an endless body of zero bytes.
type Zeros struct{}

func (Zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
