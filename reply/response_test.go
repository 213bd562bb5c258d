package reply

import (
	"net/http/httptest"
	"testing"
)

// An error is one line of text, a problem in JSON, or only a head. Without a length, net/http must not add one.
func TestErrorResponse(t *testing.T) {
	e := &Error{Status: 503, Code: "refused", Text: "full", RetryAfter: 5}
	quiet := *e
	quiet.NoBody = true
	for _, test := range []struct {
		error           *Error
		json            bool
		body, kind, len string
	}{
		{e, false, "refused: full\n", "text/plain; charset=utf-8", "14"},
		{e, true, `{"title":"Service Unavailable","status":503,"detail":"full","code":"refused"}` + "\n", "application/problem+json", "78"},
		{&quiet, false, "", "", "0"},
		{&quiet, true, `{"title":"Service Unavailable","status":503,"detail":"full","code":"refused"}` + "\n", "application/problem+json", "78"},
	} {
		w := httptest.NewRecorder()
		test.error.Response(test.json).Write(w)
		h := w.Header()
		if w.Code != 503 || w.Body.String() != test.body || h.Get("Content-Type") != test.kind || h.Get("Content-Length") != test.len ||
			h.Get(HeaderError) != "refused" || h.Get("Retry-After") != "5" {
			t.Errorf("%+v, JSON %v: %d %v %q", test.error, test.json, w.Code, h, w.Body)
		}
	}
	w := httptest.NewRecorder()
	r := e.Response(false)
	r.NoLength = true
	if r.Write(w); w.Header().Get("Content-Length") != "" || !w.Flushed {
		t.Errorf("without a length: %v, flushed %v", w.Header(), w.Flushed)
	}
}

func TestNegotiate(t *testing.T) {
	for _, test := range []struct {
		accept, want string
	}{
		{"", "a/a"},
		{"*/*", "a/a"},
		{"b/b;q=0, text/html, c/c;q=0.1, b/b", "c/c"},
		{"B/B; charset=x", "b/b"},
	} {
		if got := Negotiate(test.accept, "a/a", "a/a", "b/b", "c/c"); got != test.want {
			t.Errorf("%q: %s, want %s", test.accept, got, test.want)
		}
	}
}
