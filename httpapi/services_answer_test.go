package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"httpipe/reply"
)

// What a worker may answer, and what the caller gets of it.

// TestAnswerHeaders: an answer may set headers about itself, and none that apply to the whole server.
func TestAnswerHeaders(t *testing.T) {
	r := start(t)
	c := r.dial().Get(service)
	_, replyTo := r.take()
	mayNot := []string{"Set-Cookie", "Set-Login", "Clear-Site-Data", "Service-Worker-Allowed", "Strict-Transport-Security", "Public-Key-Pins",
		"Expect-CT", "Accept-CH", "NEL", "Report-To", "Reporting-Endpoints", "Alt-Svc", "Access-Control-Allow-Origin", "Access-Control-X",
		"Content-Security-Policy", "X-Accel-Redirect", "X-Sendfile", "X-LiteSpeed-Location", "X-Reproxy-URL", "Fly-Replay", "Surrogate-Control",
		"Httpipe-Error", "Httpipe_Error", "Content_Length", "Httpipe-Exchange", "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Trailer", "TE", "Content-Length",
		"Cache-Control", "Expires", "Age", "Date", "X-Content-Type-Options"}
	headers := []string{"Httpipe-Status: 404", "httpipe-header-x-mine: 1", "HTTPIPE-HEADER-X-Mine: 2", "Httpipe-Header-Location: /elsewhere",
		"Httpipe-Header-ETag: x", "Httpipe-Header-WWW-Authenticate: Basic", "Httpipe-Header-: x", "X-Other: 1", "Set-Cookie: a=b",
		"Content-Disposition: inline", "Content-Encoding: br", "Content-Language: en"}
	for _, name := range mayNot {
		headers = append(headers, "Httpipe-Header-"+name+": bad")
	}
	r.dial().Post(replyTo, "gone", headers...).Answer().Is(200)
	a := c.Answer().Is(404)
	if a.Text != "gone" || a.Header.Get("Location") != "/elsewhere" || strings.Join(a.Header.Values("X-Mine"), "|") != "1|2" || a.Header.Get("Etag") != "x" ||
		a.Header.Get("Www-Authenticate") != "Basic" || a.Header.Get("X-Other") != "" || a.Header.Get("Content-Encoding") != "br" || a.Header.Get("Content-Disposition") != "inline" {
		t.Errorf("the caller gets %q and %v", a.Text, a.Header)
	}
	for name, values := range a.Header {
		for _, value := range values {
			if value == "bad" {
				t.Errorf("the caller gets %s of the worker", name)
			}
		}
	}
	if a.Header.Get("Httpipe-Error") != "" || !strings.HasPrefix(a.Header.Get("Content-Security-Policy"), "sandbox") || a.Header.Get("Set-Cookie") != "" {
		t.Errorf("the caller gets %v", a.Header)
	}
}

// TestForms: a form is a request as it is, and of a form with an answer the caller gets the first part, as on channels.
func TestForms(t *testing.T) {
	r := start(t)
	const form = "--x\r\nContent-Type: image/png\r\n\r\npng\r\n--x--\r\n"
	c := r.dial().Post(service, form, "Content-Type: multipart/form-data; boundary=x")
	request, replyTo := r.take()
	if request.Text != form || request.Header.Get("Content-Type") != "multipart/form-data; boundary=x" {
		t.Errorf("the worker gets %q and %v", request.Text, request.Header)
	}
	r.dial().Post(replyTo, form, "Content-Type: multipart/form-data; boundary=x", "Httpipe-Status: 203").Answer().Is(200)
	if a := c.Answer().Is(203); a.Text != "png" || a.Header.Get("Content-Type") != "image/png" {
		t.Errorf("the caller gets %q and %v", a.Text, a.Header)
	}
}

// TestAnswerRefused: an answer that is not valid is refused, and the call still waits.
func TestAnswerRefused(t *testing.T) {
	r := start(t)
	c := r.dial().Get(service)
	_, replyTo := r.take()
	many := []string{}
	for i := range 65 {
		many = append(many, fmt.Sprintf("Httpipe-Header-X-%d: x", i))
	}
	for _, headers := range [][]string{
		{"Httpipe-Status: 101"}, {"Httpipe-Status: 199"}, {"Httpipe-Status: 600"}, {"Httpipe-Status: ok"}, {"Httpipe-Status:"}, {"Httpipe-Status: 200", "Httpipe-Status: 200"}, many,
	} {
		a := r.dial().Post(replyTo, "x", headers...).Answer().Failed(400, "bad_request")
		if !strings.Contains(a.Text, "still waits") {
			t.Errorf("%q: the worker is told %q", headers, a.Text)
		}
	}
	r.dial().Post(replyTo, "x", "Httpipe-Header-X: "+strings.Repeat("x", 40<<10)).Answer().Failed(431, "bad_request")
	r.dial().Post("/work/n/s/"+strings.Repeat("0", 32), "x").Answer().Failed(404, "not_found")
	r.dial().Post(strings.Replace(replyTo, "/n/s/", "/n/other/", 1), "x").Answer().Failed(404, "not_found")
	r.dial().Get(replyTo).Answer().Failed(405, "method")
	c.Unanswered()
	r.dial().Request("PUT", replyTo, length(5)).Say("right").Answer().Is(200)
	c.Answer().Got("right")
	r.dial().Post(replyTo, "again").Answer().Failed(404, "not_found")
}

// TestAnswerWithoutBody: an answer to HEAD and one with 204, 205 or 304 have no body, whatever the worker sends.
func TestAnswerWithoutBody(t *testing.T) {
	r := startAudited(t)
	for _, test := range []struct{ method, status, body, length string }{
		{"HEAD", "200", "", ""}, {"HEAD", "200", "body", "4"}, {"GET", "204", "", ""}, {"GET", "204", "body", ""}, {"GET", "304", "", ""}, {"GET", "304", "body", "4"}, {"GET", "200", "", "0"},
		{"GET", "205", "", "0"}, {"GET", "205", "body", "0"}, {"HEAD", "205", "body", "0"},
		{"HEAD", "200", strings.Repeat("large ", 1<<18), fmt.Sprint(6 << 18)}, {"GET", "204", strings.Repeat("large ", 1<<18), ""},
	} {
		c := r.dial().Request(test.method, service)
		_, replyTo := r.take()
		w := r.dial().Post(replyTo, test.body, "Httpipe-Status: "+test.status).Answer().Is(200)
		a := c.Answer()
		if fmt.Sprint(a.StatusCode) != test.status || a.Text != "" || a.Header.Get("Content-Length") != test.length || a.Err != nil {
			t.Errorf("%v: the caller gets %d %q %v", test, a.StatusCode, a.Text, a.Header)
		}
		c.Request("GET", service)
		_, replyTo = r.take()
		r.dial().Post(replyTo, "next").Answer().Is(200)
		c.Answer().Got("next") // nothing of the body is in the way
		if got := r.rows(1, "SELECT bytes FROM exchanges WHERE id = '"+w.Header.Get(reply.HeaderExchange)+"'"); got[0] != "0" {
			t.Errorf("%v: %s bytes are on record", test, got)
		}
	}
}

// TestEarlyAnswer: an answer that comes before its request has been delivered waits.
func TestEarlyAnswer(t *testing.T) {
	r := start(t)
	c := r.dial().Request("POST", service, length(10)).Say("hello")
	worker := r.dial().Get(work)
	head := worker.Head()
	reads(t, head.Body, "hello")
	w := r.dial().Post(head.Header.Get(reply.HeaderReply), "answer")
	w.Unanswered()
	r.dial().Post(head.Header.Get(reply.HeaderReply), "second").Answer().Failed(404, "not_found")
	c.Unanswered()
	c.Say("hello")
	reads(t, head.Body, "hello")
	c.Answer().Got("answer")
	w.Answer().Is(200)
}
