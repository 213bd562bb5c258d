package e2e

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"httpipe/test/kit"

	"golang.org/x/sys/unix"
)

// Malformed and malicious input from the public internet. After each the relay must still work.

// An attack is what a client sends, and the status code that it must get.
type attack struct {
	name, send, want string
}

const target = "/channels/v1/target"

func attacks() []attack {
	post := func(headers, body string) string {
		return "POST " + target + "?wait=0 HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body
	}
	return []attack{
		{"garbage", "\x00\x01\x02\x03 garbage\r\n\r\n", "400"},
		{"a scanner's CONNECT", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", "404"},
		{"HTTP/2 without being asked", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "404"},
		{"HTTP/0.9", "GET " + target + "\r\n\r\n", "400"},
		{"no Host", "GET /state HTTP/1.1\r\n\r\n", "400"},
		{"two Hosts", "GET /state HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
		{"a header with a blank in its name", "GET /state HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n", "400"},
		{"a folded header", "GET /state HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "400"},
		{"1 MB of headers", "GET /state HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Long: "+strings.Repeat("y", 1000)+"\r\n", 1000) + "\r\n", "431"},
		{"a line of 1 MB", "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", "431"},
		{"two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), "400"},
		{"a list of lengths", post("Content-Length: 5, 6\r\n", "hello!"), "400"},
		{"a negative length", post("Content-Length: -5\r\n", "hello"), "400"},
		{"a length with a sign", post("Content-Length: +5\r\n", "hello"), "400"},
		{"an unknown coding", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "400"},
		{"an obfuscated coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "400"},
		{"two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), "400"},
		{"an unknown expectation", post("Expect: the-moon\r\nContent-Length: 1\r\n", "x"), "417"},
		{"a method that nobody knows", "BREW " + target + " HTTP/1.1\r\nHost: x\r\n\r\n", "405"},
		{"a path outside", "GET /channels/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"an escaped path outside", "GET /channels/..%2f..%2fetc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"a name of 100 KB", "GET /channels/v1/" + strings.Repeat("a", 10<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
	}
}

func TestHostileRequests(t *testing.T) {
	p := kit.Start(t, t.TempDir(), "--header-timeout", "2s")
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			c := dial(t, p)
			go io.WriteString(c, a.send)
			line, _ := bufio.NewReader(c).ReadString('\n')
			if got, _, _ := strings.Cut(strings.TrimPrefix(line, "HTTP/1.1 "), " "); strings.TrimSpace(got) != a.want {
				t.Errorf("got %q, want %s", line, a.want)
			}
			works(t, p)
		})
	}
}

// TestSmuggling checks that a request hidden in the body of another is never executed.
func TestSmuggling(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	const hidden = "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, outer := range map[string]string{
		"chunked and a length": fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n%s", len(hidden)+5, hidden),
		"a length and chunked": fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", len(hidden)+5, hidden),
		"HTTP/1.0 and chunked": fmt.Sprintf("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n%s", hidden),
		"a bare line feed":     fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n0\n\n%s", hidden),
	} {
		t.Run(name, func(t *testing.T) {
			version := "1.1"
			if strings.HasPrefix(name, "HTTP/1.0") {
				version = "1.0"
			}
			c := dial(t, p)
			fmt.Fprintf(c, "POST /channels/v1/outer?wait=0 HTTP/%s\r\nHost: x\r\n%s", version, outer)
			answer, _ := io.ReadAll(c) // the server closes the connection after it
			if n := strings.Count(string(answer), "HTTP/1."); n > 1 {
				t.Errorf("%d answers:\n%s", n, answer)
			}
			if resp, err := http.Head(p.URL + target); err != nil || resp.StatusCode != http.StatusNotFound {
				t.Errorf("the hidden request was executed: %v %v", resp, err)
			}
		})
	}
}

// TestTLSOnThePlainPort checks that a TLS handshake is answered with an error and the connection is closed.
func TestTLSOnThePlainPort(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	c := tls.Client(dial(t, p), &tls.Config{ServerName: "x"})
	var record tls.RecordHeaderError
	if err := c.Handshake(); !errors.As(err, &record) {
		t.Errorf("the handshake: %v, want an answer that is no TLS", err)
	}
	works(t, p)
}

// TestManyConnections checks that the relay works beside 10,000 connections, of which some are silent, some slow, some wait,
// some pipeline requests and read no answer, and some send what is malformed.
func TestManyConnections(t *testing.T) {
	const many = 10_000
	const files = 13_400 // which the server wants for --max-waiting 12000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < files {
		t.Skipf("this process may open too few files (ulimit -n): %d, %v", limit.Cur, err)
	}
	p := kit.StartPlain(t, t.TempDir(), "--max-waiting", "12000", "--max-waiting-per-channel", "off")
	conns := make([]net.Conn, many)
	var wg sync.WaitGroup
	for part := range 20 {
		wg.Go(func() {
			for i := part; i < many; i += 20 {
				c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				conns[i] = c
				switch i % 8 {
				case 1:
					io.WriteString(c, "GET /sta")
				case 4:
					io.WriteString(c, strings.Repeat("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 100))
				case 5:
					fmt.Fprintf(c, "GET /channels/many/%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
					io.WriteString(c, strings.Repeat("GET /channels/many/behind HTTP/1.1\r\nHost: x\r\n\r\n", 200))
				case 6:
					fmt.Fprintf(c, "POST /channels/many/%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1", i)
				case 7:
					fmt.Fprintf(c, "POST /channels/many/%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz", i)
				case 2:
					fmt.Fprintf(c, "GET /channels/many/%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
				case 3:
					fmt.Fprintf(c, "POST /channels/many/%d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe", i)
				}
			}
		})
	}
	wg.Wait()
	works(t, p)
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
	if peak := peakMemory(t, p); peak > 500<<20 {
		t.Errorf("%d MB of memory at the peak", peak>>20)
	}
	for deadline := time.Now().Add(kit.Patience); <-kit.Curl(p.URL+"/state") != "{}\n"; {
		if time.Now().After(deadline) {
			t.Fatal("all clients have left, but their channels still exist")
		}
	}
}

// dial opens a connection that lasts for the test.
func dial(t *testing.T, p *kit.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(kit.Patience))
	t.Cleanup(func() { c.Close() })
	return c
}

// works checks that the relay delivers a message.
func works(t *testing.T, p *kit.Server) {
	t.Helper()
	consumer := kit.Curl(p.URL + "/channels/check/works")
	if got := <-kit.Curl("-d", "hello", p.URL+"/channels/check/works"); got != "" {
		t.Errorf("the producer was told %q", got)
	}
	if got := <-consumer; got != "hello" {
		t.Errorf("the consumer got %q", got)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", p.Process.Pid)); err != nil && os.IsNotExist(err) {
		t.Error("the server has exited")
	}
}
