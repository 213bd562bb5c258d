package docs

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

// TestWorkerCommands calls the services whose workers the page shows.
func TestWorkerCommands(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	t.Setenv("PATH", filepath.Dir(kit.Binary(t))+":"+os.Getenv("PATH"))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	defer web.Close()
	block := theBlock(t, "docs/clients.md", "sh", "httpipe work")
	block = strings.NewReplacer("localhost:3000", p.URL, "http://localhost:8080", web.URL).Replace(block)
	workers := regexp.MustCompile(`(?m)^httpipe work (\S+).*$`).FindAllStringSubmatch(block, -1)
	if len(workers) != 2 {
		t.Fatalf("%d workers, want 2", len(workers))
	}
	for i, want := range []string{"HELLO", "hello"} {
		worker := inDir(t, t.TempDir(), "bash", "-c", "exec "+workers[i][0])
		if err := worker.Start(); err != nil {
			t.Fatal(err)
		}
		if got := <-kit.Patient("-d", "hello", workers[i][1]); got != want {
			t.Errorf("%s\nanswers %q, want %q", workers[i][0], got, want)
		}
		worker.Process.Kill()
		worker.Wait()
	}
}
