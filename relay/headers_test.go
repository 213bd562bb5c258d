package relay

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"httpipe/reply"
)

// requestHead returns the headers of a response that carry the head of a request, as lines, without those of http.Header.
func requestHead(h http.Header) map[string]string {
	head := map[string]string{}
	for name, values := range h {
		switch {
		case strings.HasPrefix(name, reply.HeaderPrefix):
			head[strings.TrimPrefix(name, reply.HeaderPrefix)] = strings.Join(values, "|")
		case name == reply.HeaderMethod, name == reply.HeaderQuery, name == reply.HeaderOmitted:
			head[name] = strings.Join(values, "|")
		}
	}
	return head
}

// TestRequestHead: a consumer that asks gets the head of the producer's request, but for what is not the producer's to say or
// not the consumer's to see. The engine and net/http read the same.
func TestRequestHead(t *testing.T) {
	for _, test := range []struct {
		name, method, query string
		headers             []string
		want                map[string]string
	}{
		{"of the engine", "POST", "?b=%20&%77ait=9s&a=1;2", nil,
			map[string]string{"Httpipe-Method": "POST", "Httpipe-Query": "b=%20&a=1;2"}},
		{"of net/http", "PUT", "", []string{"Connection: keep-alive, X-Hop, x-other"}, map[string]string{"Httpipe-Method": "PUT"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, func(s *settings) { s.ClientIPHeader = "X-Their-IP" })
			query := strings.ReplaceAll(test.query, ";", "%3B")
			headers := append([]string{
				"X-Hub-Signature-256: sha256=0a1b", "x-twice: one", "X-Twice: two", "Content-Type: application/json; charset=utf-8", "Empty:",
				"User-Agent: hook/1", "X-GitHub-Event:  push \t", "X-Request-Id: 7",
				"Cookie: session=1", "Authorization: Bearer x", "Proxy-Authorization: Basic eDp5", "Keep-Alive: 5", "TE: trailers", "Expect: 100-continue",
				"X-Forwarded-For: 203.0.113.7", "x-forwarded-proto: https", "Forwarded: for=203.0.113.7", "Via: 1.1 x", "X-Real-IP: 203.0.113.7",
				"x-their-ip: 203.0.113.7", "Fly-Region: ams", "Httpipe-Token: x", "Httpipe-Header-X: x",
			}, test.headers...)
			if test.headers != nil {
				headers = append(headers, "X-Hop: 1", "X-Other: 2")
			}
			r.dial().Request(test.method, here+query, append(headers, "Content-Length: 2")...).Say("{}")
			a := r.dial().Get(here + "?x&headers").Answer().Got("{}")
			want := map[string]string{
				"Host": "relay", "X-Hub-Signature-256": "sha256=0a1b", "X-Twice": "one|two", "Content-Type": "application/json; charset=utf-8", "Empty": "",
				"User-Agent": "hook/1", "X-Github-Event": "push", "X-Request-Id": "7", "Content-Length": "2",
			}
			for name, value := range test.want {
				want[name] = strings.ReplaceAll(value, ";", "%3B")
			}
			if got := requestHead(a.Header); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("the consumer sees %q\nwant %q", got, want)
			}
			if a.Header.Get("Content-Type") != "application/json; charset=utf-8" {
				t.Errorf("the type is %q", a.Header.Get("Content-Type"))
			}
		})
	}
}

// TestNoRequestHead: a consumer that does not ask sees nothing of the request.
func TestNoRequestHead(t *testing.T) {
	r := start(t)
	r.dial().Post(here, "hello", "X-Secret: 1")
	a := r.dial().Get(here + "?header&xheaders=1").Answer().Got("hello")
	if got := requestHead(a.Header); len(got) > 0 {
		t.Errorf("the consumer sees %q", got)
	}
}

// TestRequestHeadOfForm: a multipart upload is relayed with the headers of its first part, and the request has its own.
func TestRequestHeadOfForm(t *testing.T) {
	r := start(t)
	r.dial().Post(here+"?id=7", "--x\r\nContent-Type: image/png\r\nX-Part: 1\r\n\r\npng\r\n--x--\r\n", "Content-Type: multipart/form-data; boundary=x")
	a := r.dial().Get(here + "?headers=1").Answer().Got("png")
	got := requestHead(a.Header)
	if got["Content-Type"] != "multipart/form-data; boundary=x" || got["Httpipe-Query"] != "id=7" || got["X-Part"] != "" {
		t.Errorf("the consumer sees %q", got)
	}
	if a.Header.Get("Content-Type") != "image/png" {
		t.Errorf("the type is %q", a.Header.Get("Content-Type"))
	}
}

// TestRequestHeadIsBounded: the response has no more headers, and is no larger, than proxies take; what is left out is counted.
func TestRequestHeadIsBounded(t *testing.T) {
	r := start(t)
	var many, large []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("X-%d: %d", i, i))
	}
	for i := range 8 {
		large = append(large, fmt.Sprintf("X-%d: %s", i, strings.Repeat("x", 4000)))
	}
	for _, test := range []struct {
		headers []string
		omitted string
	}{
		{many, "141"}, // of them, Content-Type, Host and Content-Length, without the 62 beside method and query
		{large, "1"},
	} {
		form := "--x\r\nContent-Type: text/" + strings.Repeat("y", 3000) + "\r\n\r\nhello\r\n--x--\r\n"
		r.dial().Post(here+"?q", form, append(test.headers, "Content-Type: multipart/form-data; boundary=x")...)
		a := r.dial().Get(here + "?headers").Answer().Got("hello")
		size, fields := 0, 0
		for name, values := range a.Header {
			for _, value := range values {
				size += len(name) + len(": \r\n") + len(value)
				fields++
			}
		}
		if got := a.Header.Get(reply.HeaderOmitted); got != test.omitted || size > 33<<10 || fields > 80 {
			t.Errorf("%d headers of %d bytes, and %q are left out, want %s", fields, size, got, test.omitted)
		}
	}
}
