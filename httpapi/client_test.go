package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"httpipe/reply"
)

// A client is one end of a connection, down to the bytes.
type client struct {
	*net.TCPConn
	t      *testing.T
	in     *bufio.Reader
	method string // of the last request
}

// dial connects a client. It stays connected until it or the test ends: a connection that nothing refers
// to is closed by the garbage collector, which looks like a client that left.
func (r *testServer) dial() *client {
	r.t.Helper()
	c := r.connect()
	r.t.Cleanup(func() { c.Close() })
	return c
}

// connect is dial for a client that closes by itself.
func (r *testServer) connect() *client {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	c := &client{TCPConn: conn.(*net.TCPConn), t: r.t, in: bufio.NewReader(conn)}
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// say writes s as it is.
func (c *client) say(s string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c.TCPConn, s); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// request writes a request's head.
func (c *client) request(method, path string, headers ...string) *client {
	c.t.Helper()
	c.method = method
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: relay"}, headers...)
	return c.say(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

func length(n int) string { return fmt.Sprintf("Content-Length: %d", n) }

const chunked = "Transfer-Encoding: chunked"

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// post sends a request to produce body, whole.
func (c *client) post(path, body string, headers ...string) *client {
	c.t.Helper()
	return c.request("POST", path, append(headers, length(len(body)))...).upload(body)
}

// upload writes a body as fast as the relay takes it, meanwhile: an answer may come before it is through.
func (c *client) upload(body string) *client {
	c.t.Helper()
	if len(body) < 4<<10 {
		return c.say(body)
	}
	go io.WriteString(c.TCPConn, body)
	return c
}

// get sends a request to consume.
func (c *client) get(path string, headers ...string) *client {
	c.t.Helper()
	return c.request("GET", path, headers...)
}

// hangUp sends a FIN after all that was written, as does the kernel of a process that was killed.
func (c *client) hangUp() { c.Close() }

// reset drops the connection.
func (c *client) reset() {
	c.SetLinger(0)
	c.Close()
}

// head reads a response's head, interim ones not counted. Its body is for reading.
func (c *client) head() *http.Response {
	c.t.Helper()
	for {
		response, err := http.ReadResponse(c.in, &http.Request{Method: c.method})
		if err != nil {
			c.t.Fatal("no response: ", err)
		}
		if response.StatusCode != http.StatusContinue {
			return response
		}
	}
}

// An answer is a response that has been read.
type answer struct {
	*http.Response
	t    *testing.T
	body string
	err  error // why the body is not whole
}

// answer reads a response.
func (c *client) answer() *answer {
	c.t.Helper()
	response := c.head()
	body, err := io.ReadAll(response.Body)
	return &answer{Response: response, t: c.t, body: string(body), err: err}
}

// is asserts the status, and that the response is whole and not to be stored.
func (a *answer) is(status int) *answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Errorf("the answer is %d %q, want %d", a.StatusCode, a.body, status)
	}
	if a.err != nil {
		a.t.Error("the answer is not whole: ", a.err)
	}
	if !strings.Contains(a.Header.Get("Cache-Control"), "no-store") {
		a.t.Errorf("the answer's Cache-Control is %q", a.Header.Get("Cache-Control"))
	}
	return a
}

// failed asserts an error's status and code, and that its text, if there is any, is one line.
func (a *answer) failed(status int, code string) *answer {
	a.t.Helper()
	a.is(status)
	if got := a.Header.Get(reply.HeaderError); got != code {
		a.t.Errorf("the error is %q (%q), want %q", got, a.body, code)
	}
	if a.body != "" && a.body[0] != '{' && (!strings.HasPrefix(a.body, code+": ") || strings.Index(a.body, "\n") != len(a.body)-1) {
		a.t.Errorf("the error's text is %q", a.body)
	}
	return a
}

// got asserts that the answer is a message.
func (a *answer) got(message string) *answer {
	a.t.Helper()
	a.is(http.StatusOK)
	if a.body != message {
		a.t.Errorf("the message is %.50q (%d bytes), want %.50q (%d bytes)", a.body, len(a.body), message, len(message))
	}
	return a
}

// truncated asserts that the answer's beginning came, and shows that it is not whole.
func (a *answer) truncated() {
	a.t.Helper()
	if a.StatusCode != http.StatusOK {
		a.t.Errorf("the answer is %d, want 200", a.StatusCode)
	}
	if a.err == nil {
		a.t.Errorf("%.50q (%d bytes) looks whole", a.body, len(a.body))
	}
}

// silence asserts that the connection ends without a single byte of an answer.
func (c *client) silence() {
	c.t.Helper()
	b, err := io.ReadAll(c.in)
	if len(b) > 0 {
		c.t.Errorf("the answer is %q, want none", b)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Error("the connection stays open")
	}
}

// reads asserts that exactly these bytes of a body come next.
func reads(t *testing.T, body io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(body, b); string(b) != want {
		t.Fatalf("read %q (%v), want %q", b[:n], err, want)
	}
}

// fill writes zeros, up to n bytes, until the connection takes no more, and returns how many it took.
func (c *client) fill(n int) int {
	c.t.Helper()
	b := make([]byte, n)
	c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	defer c.SetWriteDeadline(time.Now().Add(patience))
	written, err := c.Write(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal(err)
	}
	return written
}
