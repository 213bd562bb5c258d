// Package rawhttp is what the tests of packages relay and httpapi share: a client that writes requests and reads
// responses byte by byte, so that a test can send half a request or see how a connection ends, and a log handler that
// keeps the outcomes.
package rawhttp

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"httpipe/reply"
)

const (
	// Patience is how long a test waits for something that must happen. What must happen within a certain time is
	// measured.
	Patience = 30 * time.Second

	// Noise is how much longer something may take on a busy machine.
	Noise = 3 * time.Second
	// AtOnce is how soon a client that hangs up is noticed where the kernel reports it.
	AtOnce = 300 * time.Millisecond

	// Chunked is the header of a chunked body.
	Chunked = "Transfer-Encoding: chunked"
)

// A Client is one end of a connection. A method that cannot do its work fails the test. The methods of TCPConn that close the
// connection do so without TLS's close_notify, like the kernel of a client that crashes.
type Client struct {
	*net.TCPConn
	conn   net.Conn      // for data: TCPConn, or a tls.Conn
	In     *bufio.Reader // what the server has sent
	Method string        // of the request that the next response answers
	t      *testing.T
}

// Dial connects a client that stays connected until the end of the test. Without the reference that this holds, the
// garbage collector would close the connection, which looks like a client that hangs up.
func Dial(t *testing.T, addr string) *Client {
	t.Helper()
	c := Connect(t, addr)
	t.Cleanup(func() { c.Close() })
	return c
}

// Connect is Dial for a client that the test closes.
func Connect(t *testing.T, addr string) *Client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{TCPConn: conn.(*net.TCPConn), conn: conn, t: t}
	c.SetDeadline(time.Now().Add(Patience))
	if *OverTLS {
		secure := tls.Client(conn, ClientTLS())
		if err := secure.Handshake(); err != nil {
			t.Fatal(err)
		}
		c.conn = secure
	}
	c.In = bufio.NewReader(c.conn)
	return c
}

// Read implements io.Reader.
func (c *Client) Read(p []byte) (int, error) { return c.conn.Read(p) }

// Write implements io.Writer.
func (c *Client) Write(p []byte) (int, error) { return c.conn.Write(p) }

// ReadFrom implements io.ReaderFrom, in place of TCPConn's.
func (c *Client) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c.conn}, r)
}

// WriteTo implements io.WriterTo, in place of TCPConn's.
func (c *Client) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c.conn})
}

// Say writes s as it is.
func (c *Client) Say(s string) *Client {
	c.t.Helper()
	if s == "" {
		return c // over TLS, a write fails after one that timed out
	}
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// Request writes the head of a request.
func (c *Client) Request(method, path string, headers ...string) *Client {
	c.t.Helper()
	c.Method = method
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: relay"}, headers...)
	return c.Say(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// Length returns the header of a body of n bytes.
func Length(n int) string { return fmt.Sprintf("Content-Length: %d", n) }

// Chunk returns a chunk; that of "" is the last one, without the end of its trailer.
func Chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// Post sends a request to produce body, whole.
func (c *Client) Post(path, body string, headers ...string) *Client {
	c.t.Helper()
	return c.Request("POST", path, append(headers, Length(len(body)))...).Upload(body)
}

// Upload writes a body in the background, as fast as the relay reads it, since an answer may come before its end.
func (c *Client) Upload(body string) *Client {
	c.t.Helper()
	if len(body) < 4<<10 {
		return c.Say(body)
	}
	go io.WriteString(c.conn, body)
	return c
}

// Get sends a request to consume.
func (c *Client) Get(path string, headers ...string) *Client {
	c.t.Helper()
	return c.Request("GET", path, headers...)
}

// HangUp sends a FIN after all that was written, as does the kernel of a process that was killed.
func (c *Client) HangUp() { c.Close() }

// Reset drops the connection.
func (c *Client) Reset() {
	c.SetLinger(0)
	c.Close()
}

// Head reads the head of a response and skips interim ones. The caller reads the body.
func (c *Client) Head() *http.Response {
	c.t.Helper()
	for {
		response, err := http.ReadResponse(c.In, &http.Request{Method: c.Method})
		if err != nil {
			c.t.Fatal("no response: ", err)
		}
		if response.StatusCode != http.StatusContinue {
			return response
		}
	}
}

// An Answer is a response that has been read.
type Answer struct {
	*http.Response
	t    *testing.T
	Text string
	Err  error // why the body is not whole
}

// Answer reads a response.
func (c *Client) Answer() *Answer {
	c.t.Helper()
	response := c.Head()
	body, err := io.ReadAll(response.Body)
	return &Answer{Response: response, t: c.t, Text: string(body), Err: err}
}

// Is asserts the status, and that the response is whole and must not be stored.
func (a *Answer) Is(status int) *Answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Errorf("the answer is %d %q, want %d", a.StatusCode, a.Text, status)
	}
	if a.Err != nil {
		a.t.Error("the answer is not whole: ", a.Err)
	}
	if !strings.Contains(a.Header.Get("Cache-Control"), "no-store") {
		a.t.Errorf("the answer's Cache-Control is %q", a.Header.Get("Cache-Control"))
	}
	return a
}

// Failed asserts an error's status and code, and that its text, if there is any, is one line.
func (a *Answer) Failed(status int, code string) *Answer {
	a.t.Helper()
	a.Is(status)
	if got := a.Header.Get(reply.HeaderError); got != code {
		a.t.Errorf("the error is %q (%q), want %q", got, a.Text, code)
	}
	if a.Text != "" && a.Text[0] != '{' && (!strings.HasPrefix(a.Text, code+": ") || strings.Index(a.Text, "\n") != len(a.Text)-1) {
		a.t.Errorf("the error's text is %q", a.Text)
	}
	return a
}

// Got asserts that the answer is a message.
func (a *Answer) Got(message string) *Answer {
	a.t.Helper()
	a.Is(http.StatusOK)
	if a.Text != message {
		a.t.Errorf("the message is %.50q (%d bytes), want %.50q (%d bytes)", a.Text, len(a.Text), message, len(message))
	}
	return a
}

// Truncated asserts that the answer's beginning came, and shows that it is not whole.
func (a *Answer) Truncated() {
	a.t.Helper()
	if a.StatusCode != http.StatusOK {
		a.t.Errorf("the answer is %d, want 200", a.StatusCode)
	}
	if a.Err == nil {
		a.t.Errorf("%.50q (%d bytes) looks whole", a.Text, len(a.Text))
	}
}

// Silence asserts that the connection ends without a single byte of an answer.
func (c *Client) Silence() {
	c.t.Helper()
	b, err := io.ReadAll(c.In)
	if len(b) > 0 {
		c.t.Errorf("the answer is %q, want none", b)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Error("the connection stays open")
	}
}

// Reads asserts that exactly these bytes of a body come next.
func Reads(t *testing.T, body io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(body, b); string(b) != want {
		t.Fatalf("read %q (%v), want %q", b[:n], err, want)
	}
}

// Fill writes zeros, up to n bytes, until the connection takes no more, and returns how many it took.
func (c *Client) Fill(n int) int {
	c.t.Helper()
	b := make([]byte, n)
	c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	defer c.SetWriteDeadline(time.Now().Add(Patience))
	written, err := c.Write(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal(err)
	}
	return written
}

// Unanswered asserts that c has no answer yet.
func (c *Client) Unanswered() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if b, err := c.In.Peek(1); err == nil {
		c.t.Errorf("there is an answer already, which begins with %q", b)
	}
	c.SetReadDeadline(time.Now().Add(Patience))
}

// RetryAfter asserts the bounds of the header Retry-After, in seconds.
func (a *Answer) RetryAfter(least, most int) *Answer {
	a.t.Helper()
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < least || n > most {
		a.t.Errorf("Retry-After is %q, want %d to %d", a.Header.Get("Retry-After"), least, most)
	}
	return a
}

// Zeros is a Reader without an end.
type Zeros struct{}

// Read implements io.Reader.
func (Zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Halfway begins an exchange with a producer that announces its body by the header framing, and a consumer that sends
// get. Five bytes, hello, have arrived.
func Halfway(t *testing.T, addr, path, framing, get string) (producer *Client, body io.Reader) {
	t.Helper()
	hello := "hello"
	if framing == Chunked {
		hello = Chunk(hello)
	}
	producer = Dial(t, addr).Request("POST", path, framing).Say(hello)
	body = Dial(t, addr).Say(get).Head().Body
	Reads(t, body, "hello")
	return producer, body
}
