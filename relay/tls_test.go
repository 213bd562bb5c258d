package relay

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
	"httpipe/test/rawhttp"
)

// All tests of this package run over TLS too, with -tls. These are about TLS alone.

func needTLS(t *testing.T) {
	t.Helper()
	if !*rawhttp.OverTLS {
		t.Skip("this test is about TLS; -tls runs it")
	}
}

// TestTLSBrokenOff: the end of a TLS stream says whether it is whole, also to an HTTP/1.0 client.
func TestTLSBrokenOff(t *testing.T) {
	needTLS(t)
	for _, version := range []string{"1.0", "1.1", "1.2"} { // net/http reads the last
		for _, framing := range []string{length(10), chunked} {
			if version == "1.0" && framing == chunked {
				continue // a reset, see TestProducerLeavesHalfwayHTTP10
			}
			r := start(t)
			p := r.dial().Request("POST", here, framing)
			if framing == chunked {
				p.Say(chunk("hello"))
			} else {
				p.Say("hello")
			}
			c := r.dialRecorded()
			io.WriteString(c, "GET "+here+" HTTP/"+version+"\r\nHost: relay\r\n\r\n")
			for !strings.Contains(c.text, "hello") {
				c.readSome()
			}
			p.HangUp()
			if c.readAll(); c.closeNotify() {
				t.Errorf("HTTP/%s, %s: after %q there is a close_notify", version, framing, c.text)
			}
			r.Ended(pipe.ProducerLeft)
		}
	}
}

func TestTLSWhole(t *testing.T) {
	needTLS(t)
	for _, get := range []string{"GET " + here + " HTTP/1.0\r\n\r\n", "GET " + here + " HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n"} {
		r := start(t)
		p := r.dial().Request("POST", here, chunked).Say(chunk("hello") + chunk("") + "\r\n")
		c := r.dialRecorded()
		io.WriteString(c, get)
		if c.readAll(); !c.closeNotify() || !strings.Contains(c.text, "hello") {
			t.Errorf("%.20q: after %q there is no close_notify", get, c.text)
		}
		p.Answer().Is(200)
	}
}

// TestTLSAbortOnOthers: what net/http serves and a handler breaks off has no close_notify either.
func TestTLSAbortOnOthers(t *testing.T) {
	needTLS(t)
	for _, abort := range []bool{false, true} {
		r := start(t)
		r.http.Handler = BreakOff(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "a part")
			http.NewResponseController(w).Flush()
			if abort {
				Abort()
			}
		}))
		c := r.dialRecorded()
		io.WriteString(c, "GET /elsewhere HTTP/1.0\r\n\r\n")
		if c.readAll(); c.closeNotify() == abort || !strings.HasSuffix(c.text, "a part") {
			t.Errorf("broken off is %t: after %q, close_notify is %t", abort, c.text, c.closeNotify())
		}
	}
}

// A recorded connection keeps what the server has sent: TLS records, and the text in them.
type recorded struct {
	*tls.Conn
	t       *testing.T
	records *bytes.Buffer
	text    string
}

// A teeConn is a connection that is read through tee.
type teeConn struct {
	net.Conn
	tee io.Reader
}

func (c teeConn) Read(p []byte) (int, error) { return c.tee.Read(p) }

// dialRecorded connects with TLS 1.2, in which records say whether they are an alert.
func (s *testServer) dialRecorded() *recorded {
	s.t.Helper()
	c := &recorded{t: s.t, records: new(bytes.Buffer)}
	conn := s.connect()
	c.Conn = tls.Client(teeConn{conn, io.TeeReader(conn, c.records)}, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	return c
}

func (c *recorded) readSome() (err error) {
	b := make([]byte, 4<<10)
	n, err := c.Read(b)
	c.text += string(b[:n])
	return err
}

func (c *recorded) readAll() {
	c.t.Helper()
	var err error
	for err == nil {
		err = c.readSome()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Error("the connection stays open")
	}
}

// closeNotify reports whether the last record is an alert.
func (c *recorded) closeNotify() bool {
	const alert = 21
	last := byte(0)
	for b := c.records.Bytes(); len(b) >= 5; {
		last = b[0]
		b = b[min(len(b), 5+int(binary.BigEndian.Uint16(b[3:]))):]
	}
	return last == alert
}

// TestTLSHandshakeTakesTooLong: a client that connects and says nothing, or half of a handshake, is cut off.
func TestTLSHandshakeTakesTooLong(t *testing.T) {
	needTLS(t)
	for _, beginning := range []string{"", "\x16\x03\x01\x02\x00half"} {
		r := start(t, func(c *settings) { c.HeaderTimeout = 200 * time.Millisecond })
		conn := r.connect()
		io.WriteString(conn, beginning)
		if rest, err := io.ReadAll(conn); len(rest) > 0 || errors.Is(err, net.ErrClosed) {
			t.Errorf("after %q: %q, %v", beginning, rest, err)
		}
	}
}

// TestTLSGetsPlainHTTP: a client that forgot the s of https is told so, also in the middle of its upload.
func TestTLSGetsPlainHTTP(t *testing.T) {
	needTLS(t)
	for _, request := range []string{"GET " + here + " HTTP/1.1\r\nHost: relay\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
		"DELETE " + here + " HTTP/1.1\r\nHost: relay\r\n\r\n", "POST " + here + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1e6)} {
		r := start(t)
		conn := r.connect()
		go io.WriteString(conn, request)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%.40q: %v", request, err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusForbidden || !strings.HasPrefix(string(text), "https_required: ") {
			t.Errorf("%.40q: %d %q, %v", request, response.StatusCode, text, err)
		}
		r.Vanished()
	}
}

// TestTLSWrongProtocol: a client with HTTP/2 only gets an alert, and one with neither TLS nor HTTP gets nothing.
func TestTLSWrongProtocol(t *testing.T) {
	needTLS(t)
	r := start(t)
	client := tls.Client(r.connect(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := client.Handshake(); err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("HTTP/2: %v", err)
	}
	conn := r.connect()
	io.WriteString(conn, "EHLO relay\r\n")
	if answer, _ := io.ReadAll(conn); strings.HasPrefix(string(answer), "HTTP") {
		t.Errorf("mail: %q", answer)
	}
}

// connect connects without TLS.
func (s *testServer) connect() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}
