package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"httpipe/access"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

// publicDir returns a directory of root's to which everybody can get, unlike t.TempDir.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "httpipe-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	return data
}

// publicBinary returns a copy of the binary, beside a public directory, that everybody can execute.
func publicBinary(t *testing.T, dir string) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	public := filepath.Join(filepath.Dir(dir), "httpipe")
	if out, err := exec.Command("cp", path, public).CombinedOutput(); err != nil {
		t.Fatalf("cp: %s", out)
	}
	return public
}

func TestWarnIfOpen(t *testing.T) {
	t.Parallel()
	guard, err := secretGuard(&config{authSecret: aSecret, anonymous: "produce:a/*"})
	if err != nil {
		t.Fatal(err)
	}
	for addr, open := range map[string]bool{"127.0.0.1": false, "127.0.0.2": false, "::1": false, "::": true, "0.0.0.0": true, "192.0.2.1": true} {
		for guard, want := range map[*access.Guard]bool{access.Open("key"): open, guard: false} {
			var log strings.Builder
			warnIfOpen(slog.New(slog.NewTextHandler(&log, nil)), guard, &net.TCPAddr{IP: net.ParseIP(addr), Port: 80})
			if warned := strings.Count(log.String(), "level=WARN") == 1 && strings.Count(log.String(), "\n") == 1; warned != want {
				t.Errorf("on %s, open %v: logged %q", addr, guard.Open(), log.String())
			}
		}
	}
}

// TestUnwritableDirectory: what is wrong, and how to mend it, in one line.
func TestUnwritableDirectory(t *testing.T) {
	needRoot(t)
	dir := publicDir(t)
	public := publicBinary(t, dir)
	try := func(want string) {
		t.Helper()
		code, output := execute(t, dir, "setpriv", "--reuid=65532", "--regid=65533", "--clear-groups", public, "--port", "0", "--host", "127.0.0.1")
		if want = "httpipe: audit log " + dir + "/httpipe.db: " + want; code != 1 || !strings.HasPrefix(output, want) || strings.Count(output, "\n") != 1 {
			t.Errorf("exit %d, %s\nwant %s", code, output, want)
		}
	}
	try("user 65532 may not read and write " + dir + "; change its owner or mode")
	if err := os.WriteFile(filepath.Join(dir, "httpipe.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	try("user 65532 may not read and write " + dir + "/httpipe.db; change its owner or mode")
	if err := os.Chown(filepath.Join(dir, "httpipe.db"), 65532, 65533); err != nil {
		t.Fatal(err)
	}
	try("SQLite must be able to make files beside it, and " + dir + " is not writable")
}

// TestFilesSuffice: a server that may have few files serves as many waiters as it says, and still those who
// would free them; one that may have fewer than it needs says so at once.
func TestFilesSuffice(t *testing.T) {
	const files = 200
	limited := func(n int) []string { return []string{"prlimit", fmt.Sprintf("--nofile=%d:%d", n, n)} }
	most := 0
	for n := 1; ; n++ {
		if _, err := waitingLimitOf(n, files); err != nil {
			break
		}
		most = n
	}
	p := startBy(t, t.TempDir(), limited(files), "--max-waiting", fmt.Sprint(most))
	for n := range most {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /channels/v1/%d HTTP/1.1\r\nHost: relay\r\n\r\n", n)
		if n == 0 {
			go answerOf(conn)
		}
	}
	p.waitFor(t, fmt.Sprintf("v1/%d", most-1), "0", "1")
	if got := <-curl("-w", "%{http_code}", p.url+"/channels/v1/late"); got != "503" {
		t.Errorf("one more consumer got %q, want an empty 503", got)
	}
	if resp, err := http.Get(p.url + "/healthz"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("health: %v %v", resp, err)
	}
	if got := <-curl("-d", "hello", "-w", "%{http_code}", p.url+"/channels/v1/0"); got != "200" {
		t.Errorf("a producer who frees a waiter got %q", got)
	}

	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	code, output := execute(t, t.TempDir(), append(limited(files), path, "--port", "0", "--max-waiting", fmt.Sprint(most+1))...)
	want := fmt.Sprintf("httpipe: --max-waiting %d needs ", most+1)
	if code != 1 || !strings.HasPrefix(output, want) || !strings.Contains(output, "this process may have 200; lower it, or raise the limit (ulimit -n)\n") {
		t.Errorf("exit %d, %s", code, output)
	}
}

// answerOf reads the response to a request.
func answerOf(conn net.Conn) {
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
		io.Copy(io.Discard, resp.Body)
	}
}
