package docs

import (
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestShell checks the grammar of all shell blocks.
func TestShell(t *testing.T) {
	for _, page := range pages(t) {
		for _, block := range blocks(t, page, "sh") {
			if out, err := exec.Command("bash", "-n", "-c", block).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s\n%s", page, err, out, block)
			}
		}
	}
}

// TestLoops runs all consumer loops through waits that end without a message and through three messages.
func TestLoops(t *testing.T) {
	found := 0
	for _, page := range pages(t) {
		for _, block := range blocks(t, page, "sh") {
			if strings.Contains(block, "while true") && strings.Contains(block, "/channels/demo/jobs") {
				p := kit.Start(t, t.TempDir())
				feedLoop(t, p, strings.ReplaceAll(block, "localhost:3000", p.URL))
				found++
			}
		}
	}
	if found != 2 {
		t.Errorf("%d loops, want that of the README and that of docs/clients.md", found)
	}
}

// feedLoop runs a loop that receives jobs and prints them, and sends it three.
func feedLoop(t *testing.T, p *kit.Server, loop string) {
	t.Helper()
	bash := inDir(t, t.TempDir(), "bash", "-c", strings.ReplaceAll(loop, "wait=50s", "wait=100ms"))
	out, err := bash.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bash.Process.Kill(); bash.Wait() })
	p.WaitForRow(t, "select 1 from requests where outcome = 'timed_out' limit 1")
	for _, job := range []string{"one", "two", "three"} {
		if got := <-kit.Curl("--max-time", "10", "-d", job, p.URL+"/channels/demo/jobs"); got != "" {
			t.Fatalf("the producer got %q", got)
		}
		read := make([]byte, len(job))
		if _, err := io.ReadFull(out, read); err != nil || string(read) != job {
			t.Fatalf("the loop handled %q, %v; want %q", read, err, job)
		}
	}
}

// TestRetry runs the producer that retries, against a consumer whose first attempt fails.
func TestRetry(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	dir := t.TempDir()
	kit.WriteFile(t, filepath.Join(dir, "report.pdf"), "a report")
	command := strings.ReplaceAll(theBlock(t, "docs/clients.md", "sh", "--retry"), "localhost:3000", p.URL)
	producer := make(chan error, 1)
	go func() {
		producer <- inDir(t, dir, "bash", "-c", strings.ReplaceAll(command, "wait=50s", "wait=100ms")).Run()
	}()
	p.WaitForRow(t, "select 1 from requests where role = 'producer' and outcome = 'timed_out' limit 1")
	if got := <-kit.Curl(p.URL + "/channels/demo/reports"); got != "a report" {
		t.Errorf("the consumer got %q", got)
	}
	if err := <-producer; err != nil {
		t.Error(err)
	}
}

// TestCurlCommands pairs each curl command that sends with one that receives.
func TestCurlCommands(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	dir := t.TempDir()
	for _, name := range []string{"backup.tar", "photo.jpg", "log"} {
		kit.WriteFile(t, filepath.Join(dir, name), "hello")
	}
	block := strings.ReplaceAll(theBlock(t, "docs/clients.md", "sh", "photo.jpg"), "localhost:3000", p.URL)
	sends := regexp.MustCompile(`(?m)^.*# send.*$`).FindAllString(block, -1)
	receives := regexp.MustCompile(`(?m)^.*# receive.*$`).FindAllString(block, -1)
	if len(sends) != 4 || len(receives) != 3 {
		t.Fatalf("%d commands send and %d receive, want 4 and 3", len(sends), len(receives))
	}
	for i, send := range sends {
		send = strings.Replace(send, "tail -f", "cat", 1) // which has an end
		receive := receives[max(0, i-1)]
		if strings.Contains(send, "-F") { // the upload has the file's name
			receive = "cd $(mktemp -d -p .) && " + receives[2] + "\ncat photo.jpg"
		}
		producer := inDir(t, dir, "bash", "-c", send)
		if err := producer.Start(); err != nil {
			t.Fatal(err)
		}
		out, err := inDir(t, dir, "bash", "-c", receive).Output()
		if string(out) != "hello" && !strings.HasPrefix(receive, receives[2]) || err != nil {
			t.Errorf("%s\n%s\nprints %q, %v", send, receive, out, err)
		}
		if err := producer.Wait(); err != nil {
			t.Errorf("%s: %v", send, err)
		}
	}
}

// TestWorker runs the loop of a worker through rounds without a caller and through three calls.
func TestWorker(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	loop := strings.ReplaceAll(theBlock(t, "docs/services.md", "sh", "while true"), "localhost:3000", p.URL)
	bash := inDir(t, t.TempDir(), "bash", "-c", strings.ReplaceAll(loop, "wait=50s", "wait=100ms"))
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bash.Process.Kill(); bash.Wait() })
	p.WaitForRow(t, "select 1 from requests where outcome = 'timed_out' limit 1")
	for _, word := range []string{"one", "two", "three"} {
		if got := <-kit.Curl("--max-time", "10", "-d", word, p.URL+"/services/demo/upper"); got != strings.ToUpper(word) {
			t.Fatalf("the caller got %q", got)
		}
	}
	p.WaitForRow(t, "select 1 from calls where outcome = 'answered' and status = 200 group by service having count(*) = 3")
}
