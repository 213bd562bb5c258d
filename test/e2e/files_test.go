package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"httpipe/process"
	"httpipe/test/kit"
)

// TestOutOfDescriptors checks a process with few descriptors, of which waiting consumers and idle connections hold all.
// Producers still get in, one after the other, and free all consumers.
func TestOutOfDescriptors(t *testing.T) {
	const files, idle = 128, 120
	p := startLimited(t, files)
	most, err := process.WaitingLimitOf(0, files)
	if err != nil {
		t.Fatal(err)
	}
	var consumers []<-chan string
	for range most {
		consumers = append(consumers, kit.Curl(p.URL+"/channels/v1/work"))
	}
	p.WaitFor(t, "v1/work", "0", fmt.Sprint(most))
	var silent []net.Conn // kept reachable, and so open
	for range idle {
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(p.URL, "http://"), time.Second)
		if err != nil {
			break // the queue of connections that the server has not accepted is full, too
		}
		silent = append(silent, c)
	}
	for i := range most {
		if got := <-kit.Curl("--max-time", "20", "-d", fmt.Sprint("job ", i, ";"), p.URL+"/channels/v1/work"); got != "" {
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

// startLimited starts a server that may open so many files.
func startLimited(t *testing.T, files int) *kit.Server {
	t.Helper()
	kit.NeedTool(t, "prlimit")
	// The header timeout must not free idle connections here.
	return kit.StartBy(t, t.TempDir(), []string{"prlimit", fmt.Sprintf("--nofile=%d:%d", files, files)}, "--header-timeout", "1h")
}

// TestFilesSuffice checks that a server with few descriptors serves as many waiters as --max-waiting says, and the producers
// that free them; and that a server with too few descriptors for --max-waiting refuses to start.
func TestFilesSuffice(t *testing.T) {
	const files = 200
	limited := func(n int) []string { return []string{"prlimit", fmt.Sprintf("--nofile=%d:%d", n, n)} }
	most := 0
	for n := 1; ; n++ {
		if _, err := process.WaitingLimitOf(n, files); err != nil {
			break
		}
		most = n
	}
	p := kit.StartBy(t, t.TempDir(), limited(files), "--max-waiting", fmt.Sprint(most))
	for n := range most {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /channels/v1/%d HTTP/1.1\r\nHost: relay\r\n\r\n", n)
		if n == 0 {
			go answerOf(conn)
		}
	}
	p.WaitFor(t, fmt.Sprintf("v1/%d", most-1), "0", "1")
	if got := <-kit.Curl("-w", "%{http_code}", p.URL+"/channels/v1/late"); got != "503" {
		t.Errorf("one more consumer got %q, want an empty 503", got)
	}
	if resp, err := http.Get(p.URL + "/healthz"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("health: %v %v", resp, err)
	}
	if got := <-kit.Curl("-d", "hello", "-w", "%{http_code}", p.URL+"/channels/v1/0"); got != "200" {
		t.Errorf("a producer that frees a waiter got %q", got)
	}

	path := kit.Binary(t)
	code, output := kit.Execute(t, t.TempDir(), append(limited(files), path, "--port", "0", "--max-waiting", fmt.Sprint(most+1))...)
	want := fmt.Sprintf("httpipe: --max-waiting %d needs ", most+1)
	if code != 1 || !strings.HasPrefix(output, want) || !strings.Contains(output, "this process may open 200; lower it, or raise the limit (ulimit -n)\n") {
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
