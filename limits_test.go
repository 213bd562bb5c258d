package main

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestOutOfDescriptors: with a process that may have few files, all that can wait do, and idle connections
// hold the rest. A producer who would free a waiter still gets in, again and again, until nobody waits.
func TestOutOfDescriptors(t *testing.T) {
	const files, idle = 128, 120
	p := startLimited(t, files)
	most, err := waitingLimitOf(0, files)
	if err != nil {
		t.Fatal(err)
	}
	var consumers []<-chan string
	for range most {
		consumers = append(consumers, curl(p.url+"/channels/v1/work"))
	}
	p.waitFor(t, "v1/work", "0", fmt.Sprint(most))
	var silent []net.Conn // kept reachable, and so open
	for range idle {
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(p.url, "http://"), time.Second)
		if err != nil {
			break // the queue of connections that the server has not accepted is full, too
		}
		silent = append(silent, c)
	}
	for i := range most {
		if got := <-curl("--max-time", "20", "-d", fmt.Sprint("job ", i, ";"), p.url+"/channels/v1/work"); got != "" {
			t.Fatalf("producer %d was told %q", i, got)
		}
	}
	for i, c := range consumers {
		if got := <-c; !strings.HasPrefix(got, "job ") {
			t.Errorf("consumer %d got %q", i, got)
		}
	}
	for _, c := range silent {
		c.Close()
	}
}

// startLimited is start for a process that may have so many files.
func startLimited(t *testing.T, files int) *process {
	t.Helper()
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("no prlimit command to limit the files with")
	}
	// No header time-out is to help the server here.
	return startBy(t, t.TempDir(), []string{"prlimit", fmt.Sprintf("--nofile=%d:%d", files, files)}, "--header-timeout", "1h")
}

// TestTooFewDescriptors: a limit that cannot work is refused, with what would do.
func TestTooFewDescriptors(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("no prlimit command to limit the files with")
	}
	cmd := exec.Command("prlimit", "--nofile=256:256", path, "--port", "0", "--max-waiting", "500")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--max-waiting 500 needs 620 open files, and this process may have 256") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestHeaderLimits: a head that is too large, or does not come, is refused.
func TestHeaderLimits(t *testing.T) {
	p := start(t, t.TempDir(), "--max-header", "4KiB", "--header-timeout", "200ms")
	if got := <-curl("-o", "/dev/null", "-w", "%{http_code}", "-H", "X-Long: "+strings.Repeat("x", 20<<10), p.url+"/state"); got != "431" {
		t.Errorf("a head of 20 KB got %q, want 431", got)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /state HTTP/1.1\r\nHost:")
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("half a head: read %d, %v, want the connection closed", n, err)
	}
	resp, err := http.Get(p.url + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: %v, %v", resp, err)
	}
	resp.Body.Close()
}
