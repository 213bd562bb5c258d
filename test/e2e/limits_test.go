package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"httpipe/test/kit"
)

// TestTooFewDescriptors checks that --max-waiting is refused if the process may open too few files, and what the error suggests.
func TestTooFewDescriptors(t *testing.T) {
	path := kit.Binary(t)
	kit.NeedTool(t, "prlimit")
	cmd := exec.Command("prlimit", "--nofile=256:256", path, "--port", "0", "--max-waiting", "500")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--max-waiting 500 needs 620 open files, and this process may open 256") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestHeaderLimits checks that a head that is too large or too late is refused.
func TestHeaderLimits(t *testing.T) {
	p := kit.Start(t, t.TempDir(), "--max-header", "4KiB", "--header-timeout", "200ms")
	if got := <-kit.Curl("-o", "/dev/null", "-w", "%{http_code}", "-H", "X-Long: "+strings.Repeat("x", 20<<10), p.URL+"/state"); got != "431" {
		t.Errorf("a head of 20 KB got %q, want 431", got)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /state HTTP/1.1\r\nHost:")
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("half a head: read %d, %v, want the connection closed", n, err)
	}
	resp, err := http.Get(p.URL + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: %v, %v", resp, err)
	}
	resp.Body.Close()
}
