package httpapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"httpipe/access"
	"httpipe/reply"
)

// FuzzRequest: whatever a client sends, the answer is one of ours, an error explains itself in one line,
// and nothing stays behind.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET /channels/v1/a?wait=1s HTTP/1.1\r\nHost: x\r\nPrefer: wait=3, foo\r\n\r\n",
		"POST /channels/v1/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
		"PUT /channels/v1/a/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
		"POST /channels/v1/a HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=xyz\r\nContent-Length: 62\r\n\r\n--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--xyz--\r\n",
		"GET http://x/channels/namespaces?a=%zz;b HTTP/1.0\r\nAccept: application/json;q=0.1\r\n\r\n",
		"OPTIONS /state HTTP/1.1\r\nHost: x\r\nOrigin: https://a\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
		"DELETE /channels/%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD /healthz HTTP/1.1\r\nHost: x\r\nX-Real-IP: 1, ::1%eth0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	s := New(Config{Guard: access.NewOpen(auditKey), ReadAhead: 1 << 10, MaxBody: 1 << 16, MaxHeader: 32 << 10, HeaderTimeout: time.Second, RequestTimeout: 1,
		ClientIPHeader: "X-Real-IP", CORSOrigins: []string{"*"}, Logger: slog.New(slog.DiscardHandler)})
	ln := &pipeListener{conns: make(chan net.Conn)}
	go s.Serve(ln)
	f.Fuzz(func(t *testing.T, wire []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
		if err != nil {
			return
		}
		w, body := ln.roundTrip(t, wire, r.Method)
		if w == nil {
			return // the connection was closed: the body is malformed or incomplete
		}
		code := w.Header.Get(reply.HeaderError)
		switch {
		case w.StatusCode < 400 && code != "":
			t.Errorf("%d with the error %q", w.StatusCode, code)
		case w.StatusCode >= 400 && code == "" && r.Method != http.MethodOptions && w.StatusCode != http.StatusExpectationFailed && w.Header.Get("Cache-Control") != "":
			t.Errorf("%d without a code", w.StatusCode)
		case w.StatusCode >= 500 && code != "":
			t.Errorf("%d %s for a client's mistake", w.StatusCode, code)
		case code != "" && body != "" && body[0] != '{' && strings.Count(body, "\n") != 1:
			t.Errorf("the text is %q, want one line", body)
		}
		if state := s.broker.State(); len(state) > 0 {
			t.Errorf("channels stay: %v", state)
		}
	})
}

// A pipeListener is a net.Listener whose connections are pipes in memory.
type pipeListener struct{ conns chan net.Conn }

func (l *pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// roundTrip sends wire on a new connection, and returns the first final response, or nil if there is none.
func (l *pipeListener) roundTrip(t *testing.T, wire []byte, method string) (*http.Response, string) {
	client, server := net.Pipe()
	l.conns <- server
	defer client.Close()
	client.SetDeadline(time.Now().Add(patience))
	go client.Write(wire)
	in := bufio.NewReader(client)
	for {
		w, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("no answer")
			}
			return nil, ""
		}
		if w.StatusCode == http.StatusContinue {
			continue
		}
		body, err := io.ReadAll(w.Body)
		if err != nil {
			t.Error("the answer is not whole: ", err)
		}
		return w, string(body)
	}
}

// serveOrAbort serves r, and takes the one panic that means something.
func serveOrAbort(t *testing.T, h http.Handler, w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			t.Fatalf("panic: %v", p)
		}
	}()
	h.ServeHTTP(w, r)
}
