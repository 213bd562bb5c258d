package httpapi

import (
	"bufio"
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	s, err := New(Config{Guard: access.NewOpen(auditKey), ReadAhead: 1 << 10, MaxBody: 1 << 16, MaxHeader: 32 << 10, HeaderTimeout: time.Second, RequestTimeout: 1,
		ClientIPHeader: "X-Real-IP", CORSOrigins: []string{"*"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
		if err != nil {
			return // net/http's own answer
		}
		r.RemoteAddr = "192.0.2.1:1234"
		w := httptest.NewRecorder()
		serveOrAbort(t, s, w, r)
		code, text := w.Header().Get(reply.HeaderError), w.Body.String()
		switch {
		case w.Code < 400 && code != "":
			t.Errorf("%d with the error %q", w.Code, code)
		case w.Code >= 400 && code == "" && r.Method != http.MethodOptions: // a preflight's is gorilla's
			t.Errorf("%d without a code", w.Code)
		case w.Code >= 500:
			t.Errorf("%d %s for a client's mistake", w.Code, code)
		case code != "" && text != "" && text[0] != '{' && strings.Count(text, "\n") != 1:
			t.Errorf("the text is %q, want one line", text)
		}
		if state := s.broker.State(); len(state) > 0 {
			t.Errorf("channels stay: %v", state)
		}
	})
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
