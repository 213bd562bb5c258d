package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestClientCommands pairs each of httpipe's own commands with curl.
func TestClientCommands(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	dir := t.TempDir()
	t.Setenv("PATH", filepath.Dir(kit.Binary(t))+":"+os.Getenv("PATH"))
	for _, name := range []string{"report.pdf", "notes.txt", "log"} {
		kit.WriteFile(t, filepath.Join(dir, name), "hello")
	}
	kit.WriteFile(t, filepath.Join(dir, "handle"), "#!/bin/sh\ncat > handled; kill $PPID\n")
	if err := os.Chmod(filepath.Join(dir, "handle"), 0o700); err != nil {
		t.Fatal(err)
	}
	block := theBlock(t, "docs/clients.md", "sh", "httpipe send")
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(block, "localhost:3000", p.URL)), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d commands, want 5", len(lines))
	}
	url := regexp.MustCompile(`http://\S+`)
	for _, line := range lines {
		command := inDir(t, dir, "bash", "-c", strings.Replace(line, "tail -f", "cat", 1)) // which has an end
		out := make(chan string, 1)
		go func() {
			text, err := command.Output()
			out <- fmt.Sprint(string(text), err)
		}()
		other, want := []string{"-d", "hello", url.FindString(line)}, "<nil>"
		if strings.Contains(line, "send") {
			other = []string{url.FindString(line)}
		}
		for range max(1, strings.Count(line, "report.pdf")+strings.Count(line, "notes.txt")) {
			if got := <-kit.Patient(other...); strings.Contains(line, "send") != (got == "hello") {
				t.Errorf("%s\ncurl printed %q", line, got)
			}
		}
		if strings.Contains(line, "standard output") {
			want = "hello<nil>"
		}
		if got := <-out; got != want {
			t.Errorf("%s\nprinted %s, want %s", line, got, want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "handled")); string(got) != "hello" || err != nil {
		t.Errorf("the program got %q, %v", got, err)
	}
}
