package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"httpipe/access"
	"httpipe/pipe"
	"httpipe/reply"
)

const (
	service = "/services/n/s"
	work    = "/work/n/s"
)

// take has a worker take a request, and returns its answer and where to send the answer to it.
func (r *testServer) take() (request *answer, replyTo string) {
	r.t.Helper()
	a := r.dial().Get(work).Answer().Is(200)
	return a, a.Header.Get(reply.HeaderReply)
}

// workers waits until that many callers and workers wait.
func (r *testServer) workers(callers, workers int) {
	r.t.Helper()
	eventually(r.t, patience, fmt.Sprintf("%d callers and %d workers wait", callers, workers), func() bool {
		c, w, _ := r.broker.LookService(pipe.Key{Namespace: "n", Channel: "s"})
		return c == callers && w == workers
	})
}

// gone waits until the service is gone.
func (r *testServer) gone() {
	r.t.Helper()
	eventually(r.t, patience, "the service is gone", func() bool {
		_, _, exists := r.broker.LookService(pipe.Key{Namespace: "n", Channel: "s"})
		return !exists
	})
}

// TestCall: a worker gets the request as it was sent, and the caller the answer, whoever comes first.
func TestCall(t *testing.T) {
	r := start(t)
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH", "HEAD"} {
		for _, body := range []string{"", "a request", strings.Repeat("large ", 1<<18)} {
			headers := []string{"X-Mine: 1", "Content-Type: application/json"}
			if body != "" {
				headers = append(headers, length(len(body)))
			}
			c := r.dial().Request(method, service+"/a/b?x=1", headers...).Upload(body)
			request, replyTo := r.take()
			h := request.Header
			if request.Text != body || h.Get("Httpipe-Method") != method || h.Get("Httpipe-Target") != "/a/b?x=1" ||
				h.Get("Httpipe-Header-X-Mine") != "1" || h.Get("Content-Type") != "application/json" {
				t.Errorf("%s of %d bytes: the worker gets %d bytes and %v", method, len(body), len(request.Text), h)
			}
			w := r.dial().Post(replyTo, "an answer", "Httpipe-Status: 201", "Content-Type: text/x", "Httpipe-Header-X-Theirs: 2")
			a := c.Answer().Is(201)
			want := "an answer"
			if method == "HEAD" {
				want = ""
			}
			if a.Text != want || a.Header.Get("X-Theirs") != "2" || a.Header.Get("Content-Type") != "text/x" || a.Header.Get(reply.HeaderExchange) == "" ||
				a.Header.Get("Content-Security-Policy") == "" || a.ContentLength != int64(len("an answer")) {
				t.Errorf("%s: the caller gets %q and %v", method, a.Text, a.Header)
			}
			w.Answer().Got("")
			for _, c := range []*client{c, w} { // both connections carry on
				c.Get(service)
				_, replyTo := r.take()
				r.dial().Post(replyTo, "next").Answer().Is(200)
				c.Answer().Got("next")
			}
			r.gone()
		}
	}
}

// TestCallTargets: what is behind the service's name is passed on as it was sent, and the names are checked.
func TestCallTargets(t *testing.T) {
	r := start(t)
	for sent, want := range map[string]string{
		service:                               "/",
		service + "/":                         "/",
		service + "?":                         "/?",
		service + "?a=b":                      "/?a=b",
		service + "//":                        "//",
		service + "/a/":                       "/a/",
		service + "/a//b/../c/./d/..":         "/a//b/../c/./d/..",
		service + "/%2e%2E/%2f?%2F":           "/%2e%2E/%2f?%2F",
		service + "/a%20b/%c3%A9;x=1?q=%zz&y": "/a%20b/%c3%A9;x=1?q=%zz&y",
		service + "/x?wait=5s&headers&method=post&body=x": "/x?wait=5s&headers&method=post&body=x",
		service + "/x?token=theirs&&":                     "/x?token=theirs&&",
		"http://relay" + service + "/a%2Fb?c":             "/a%2Fb?c",
	} {
		c := r.dial().Get(sent)
		request, replyTo := r.take()
		if got := request.Header.Get("Httpipe-Target"); got != want || request.Header.Get("Httpipe-Query") != "" {
			t.Errorf("%s: the target is %q, want %q", sent, got, want)
		}
		r.dial().Post(replyTo, "x").Answer().Is(200)
		c.Answer().Got("x")
	}
	for _, path := range []string{"/services/n/%73", "/services/n/", "/services/n//x", "/services/./s", "/services/n/../s", "/services//s", "/services/n/s%2F/x"} {
		r.dial().Get(path).Answer().Failed(400, "bad_name")
	}
	for _, path := range []string{"/services", "/services/n", "/work/n", "/work/n/s/x/y"} {
		r.dial().Get(path).Answer().Failed(404, "not_found")
	}
}

// TestCallHeaders: the worker sees the caller's headers, but for what is not the caller's to say or not the worker's to see.
func TestCallHeaders(t *testing.T) {
	r := start(t, func(c *Config) { c.ClientIPHeader = "X-Their-IP" })
	c := r.dial().Request("GET", service, "Range: bytes=5-", "If-None-Match: x", "Accept: text/html", "Cookie: a=b", "Authorization: Bearer theirs",
		"X-Forwarded-For: 192.0.2.1", "X-Their-IP: 192.0.2.1", "Connection: keep-alive, x-hop", "X-Hop: 1", "Upgrade: websocket", "Httpipe-Token: x",
		"Httpipe-Reply: /work/x", "Sec-Purpose: prefetch", "Httpipe-Header-X: 1")
	request, replyTo := r.take()
	got := map[string]string{}
	for name, values := range request.Header {
		if name, ok := strings.CutPrefix(name, reply.HeaderPrefix); ok {
			got[name] = strings.Join(values, "|")
		}
	}
	want := map[string]string{"Host": "relay", "Range": "bytes=5-", "If-None-Match": "x", "Accept": "text/html", "Authorization": "Bearer theirs", "Sec-Purpose": "prefetch"}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(request.Header.Values(reply.HeaderReply)) != 1 {
		t.Errorf("the worker sees %q, want %q", got, want)
	}
	r.dial().Post(replyTo, "").Answer().Is(200)
	c.Answer().Is(200)
}

// TestAnswerHeaders: an answer may set what is about it, and nothing that speaks for this server.
func TestAnswerHeaders(t *testing.T) {
	r := start(t)
	c := r.dial().Get(service)
	_, replyTo := r.take()
	mayNot := []string{"Set-Cookie", "Set-Login", "Clear-Site-Data", "Service-Worker-Allowed", "Strict-Transport-Security", "Public-Key-Pins",
		"Expect-CT", "Accept-CH", "NEL", "Report-To", "Reporting-Endpoints", "Alt-Svc", "Access-Control-Allow-Origin", "Access-Control-X",
		"Content-Security-Policy", "X-Accel-Redirect", "X-Sendfile", "X-LiteSpeed-Location", "X-Reproxy-URL", "Fly-Replay", "Surrogate-Control",
		"Httpipe-Error", "Httpipe-Exchange", "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Trailer", "TE", "Content-Length",
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

// TestCallLimits: a body over --max-body, and a caller that says nothing.
func TestCallLimits(t *testing.T) {
	r := start(t, maxBody(10), silentFor(200*time.Millisecond))
	r.dial().Post(service, "more than ten").Answer().Failed(413, "too_large")
	c := r.dial().Get(service)
	_, replyTo := r.take()
	r.dial().Post(replyTo, "more than ten").Answer().Failed(413, "too_large")
	w := r.dial().Request("POST", replyTo, length(5))
	w.Answer().Failed(408, "silent")
	r.dial().Post(replyTo, "right").Answer().Is(200) // the call still waits
	c.Answer().Got("right")
	worker := r.dial().Get(work)
	r.dial().Request("POST", service, length(5)).Answer().Failed(408, "silent")
	c = r.dial().Get(service)
	head := worker.Head()
	r.dial().Post(head.Header.Get(reply.HeaderReply), "right").Answer().Is(200)
	c.Answer().Got("right")
	r.gone()
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

// TestAnswerWithoutBody: an answer to HEAD, and 204 and 304, have no body, whatever the worker sends.
func TestAnswerWithoutBody(t *testing.T) {
	r := startAudited(t)
	for _, test := range []struct{ method, status, body, length string }{
		{"HEAD", "200", "", ""}, {"HEAD", "200", "body", "4"}, {"GET", "204", "", ""}, {"GET", "204", "body", ""}, {"GET", "304", "", ""}, {"GET", "304", "body", "4"}, {"GET", "200", "", "0"},
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

// TestCallEndings is what each side is told when the other leaves or takes too long.
func TestCallEndings(t *testing.T) {
	r := start(t, func(c *Config) { c.ReplyTimeout = 500 * time.Millisecond })
	r.dial().Get(service, "Prefer: wait=0").Answer().Failed(408, "timed_out")
	if a := r.dial().Get(work+"?wait=0").Answer().Failed(408, "timed_out"); a.Text != "" {
		t.Errorf("the worker is told %q", a.Text)
	}
	c := r.dial().Get(service)
	_, replyTo := r.take()
	c.Answer().Failed(504, "unanswered")
	r.dial().Post(replyTo, "late").Answer().Failed(404, "not_found")

	c = r.dial().Get(service)
	_, replyTo = r.take()
	c.HangUp()
	r.gone()
	r.dial().Post(replyTo, "late").Answer().Failed(502, "consumer_left")

	c = r.dial().Get(service) // hangs up during its answer
	_, replyTo = r.take()
	w := r.dial().Request("POST", replyTo, chunked).Say(chunk("one"))
	reads(t, c.Head().Body, "one")
	c.Reset()
	w.Answer().Failed(502, "consumer_left")

	c = r.dial().Request("POST", service, length(64<<20)) // the worker hangs up during the request
	go io.Copy(c, io.LimitReader(zeros{}, 64<<20))
	worker := r.dial().Get(work)
	replyTo = worker.Head().Header.Get(reply.HeaderReply)
	early := r.dial().Post(replyTo, "early")
	early.Unanswered()
	worker.Reset()
	c.Answer().Failed(502, "consumer_left")
	early.Answer().Failed(404, "not_found")

	c = r.dial().Get(service) // the worker hangs up during its answer
	_, replyTo = r.take()
	w = r.dial().Request("POST", replyTo, length(10)).Say("hello")
	head := c.Head()
	w.Reset()
	if b, err := io.ReadAll(head.Body); err == nil {
		t.Errorf("%q looks whole", b)
	}

	c = r.dial().Get(service) // an answer that has begun may take its time
	_, replyTo = r.take()
	w = r.dial().Request("POST", replyTo, length(10)).Say("hello")
	reads(t, c.Head().Body, "hello")
	time.Sleep(time.Second)
	w.Say("hello").Answer().Is(200)
	r.gone()
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

// TestServiceRoutes is what else can be asked of a service, and what cannot.
func TestServiceRoutes(t *testing.T) {
	r := start(t)
	r.dial().Request("HEAD", work).Answer().Failed(404, "not_found")
	r.dial().Request("DELETE", work).Answer().Failed(404, "not_found")
	c, other := r.dial().Get(service), r.dial().Get(service)
	r.workers(2, 0)
	a := r.dial().Request("HEAD", work).Answer().Is(200)
	if a.Header.Get(reply.HeaderProducers) != "2" || a.Header.Get(reply.HeaderConsumers) != "0" {
		t.Errorf("a look says %v", a.Header)
	}
	r.take()
	r.dial().Request("DELETE", work+"/").Answer().Is(204)
	c.Answer().Failed(410, "deleted")
	other.Answer().Failed(410, "deleted")
	worker := r.dial().Get(work)
	r.workers(0, 1)
	r.dial().Request("DELETE", work).Answer().Is(204)
	worker.Answer().Failed(410, "deleted")
	for _, method := range []string{"TRACE", "CONNECT"} {
		if a := r.dial().Request(method, service).Answer().Failed(405, "method"); !strings.Contains(a.Header.Get("Allow"), "PATCH") {
			t.Errorf("%s: Allow is %q", method, a.Header.Get("Allow"))
		}
	}
	r.dial().Get(service, "Service-Worker: script").Answer().Failed(400, "not_a_consumer")
	for _, headers := range []string{"Range: bytes=5-", "Sec-Purpose: prefetch", "Service-Worker: script"} {
		r.dial().Get(work, headers).Answer().Failed(400, "not_a_consumer")
	}
	r.dial().Say("POST "+service+" HTTP/1.0\r\nHost: relay\r\n\r\n").Answer().Failed(411, "bad_request")
	old := r.dial().Say("GET " + service + " HTTP/1.0\r\nHost: relay\r\n\r\n")
	_, replyTo := r.take()
	r.dial().Request("POST", replyTo, chunked).Say(chunk("old") + chunk("") + "").Answer().Is(200)
	old.Answer().Got("old")
	r.gone()
	if state := r.dial().Get("/state").Answer().Is(200); state.Text != "{}\n" {
		t.Errorf("the state is %s", state.Text)
	}
}

// TestCallFromPages: pages of other origins may call any service, by any method, and read the answer with its headers.
func TestCallFromPages(t *testing.T) {
	r := start(t)
	from := "Origin: https://app.example"
	a := r.dial().Request("OPTIONS", service+"/x", from, "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: x-mine").Answer().Is(204)
	if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Methods") != "PATCH" {
		t.Errorf("a preflight is answered %v", a.Header)
	}
	for _, headers := range [][]string{{from}, {"Access-Control-Request-Method: PATCH"}} { // no preflights
		c := r.dial().Request("OPTIONS", service, headers...)
		_, replyTo := r.take()
		r.dial().Post(replyTo, "x", "Httpipe-Header-X-Theirs: 1").Answer().Is(200)
		a := c.Answer().Got("x")
		if exposed := a.Header.Get("Access-Control-Expose-Headers"); headers[0] == from && !strings.Contains(exposed, "X-Theirs") {
			t.Errorf("a page may read %q", exposed)
		}
	}
	c := r.dial().Get(service, "X-Mine: 1")
	request := r.dial().Get(work, from).Answer().Is(200)
	if exposed := request.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, "Httpipe-Reply") || !strings.Contains(exposed, "Httpipe-Header-X-Mine") {
		t.Errorf("a page that works may read %q", exposed)
	}
	r.dial().Post(request.Header.Get(reply.HeaderReply), "x", from).Answer().Is(200)
	c.Answer().Got("x")
	closed := start(t, func(c *Config) { c.CORSOrigins = []string{"https://other.example"} })
	closed.dial().Request("OPTIONS", service, from, "Access-Control-Request-Method: PATCH").Answer().Is(204)
	closed.dial().Request("POST", service, from, length(0)).Answer().Failed(403, "forbidden")
}

// TestCallCredentials: what verifies as ours is used and removed, the rest is the worker's.
func TestCallCredentials(t *testing.T) {
	token := sign(t, secret, "produce:n/*")
	expired := sign(t, secret, "produce:n/*", func(t *access.Token) { t.Expires = time.Now().Add(-time.Minute) })
	for _, test := range []struct {
		name    string
		changes []func(*Config)
		query   string
		headers []string
		status  int
		auth    string // what the worker sees
		target  string
	}{
		{"open, theirs", nil, "?token=theirs&x", []string{bearer("theirs")}, 200, "Bearer theirs", "/?token=theirs&x"},
		{"open, the audit key", nil, "?token=" + auditKey + "&x", []string{withKey}, 200, "", "/?x"},
		{"open, ours in its own header", nil, "", []string{"Httpipe-Token: x", bearer("theirs")}, 200, "Bearer theirs", "/"},
		{"closed, none", []func(*Config){guarded(t)}, "", nil, 401, "", ""},
		{"closed, theirs", []func(*Config){guarded(t)}, "", []string{bearer("theirs")}, 401, "", ""},
		{"closed, theirs in the query", []func(*Config){guarded(t)}, "?token=theirs", nil, 401, "", ""},
		{"closed, a token", []func(*Config){guarded(t)}, "?x", []string{bearer(token)}, 200, "", "/?x"},
		{"closed, a token in the query", []func(*Config){guarded(t)}, "?token=" + token, []string{bearer("theirs")}, 200, "Bearer theirs", "/"},
		{"closed, a token in its own header", []func(*Config){guarded(t)}, "?token=theirs", []string{"Httpipe-Token: " + token, bearer("theirs")}, 200, "Bearer theirs", "/?token=theirs"},
		{"closed, a wrong token in its own header", []func(*Config){guarded(t)}, "", []string{"Httpipe-Token: theirs"}, 401, "", ""},
		{"closed, two tokens", []func(*Config){guarded(t)}, "?token=" + token, []string{bearer(token)}, 401, "", ""},
		{"closed, an expired token", []func(*Config){guarded(t, "produce:*/*")}, "", []string{bearer(expired)}, 401, "", ""},
		{"closed, another service's token", []func(*Config){guarded(t)}, "", []string{bearer(sign(t, secret, "produce:n/other"))}, 403, "", ""},
		{"anonymous, theirs", []func(*Config){guarded(t, "produce:*/*")}, "?token=theirs", []string{bearer("theirs")}, 200, "Bearer theirs", "/?token=theirs"},
		{"anonymous, a token", []func(*Config){guarded(t, "produce:*/*")}, "", []string{bearer(token)}, 200, "", "/"},
	} {
		r := start(t, test.changes...)
		c := r.dial().Get(service+test.query, test.headers...)
		if test.status != 200 {
			c.Answer().Is(test.status)
			continue
		}
		me := []string{}
		if test.changes != nil {
			me = []string{bearer(secret)}
		}
		request := r.dial().Get(work, me...).Answer().Is(200)
		h := request.Header
		if h.Get("Httpipe-Header-Authorization") != test.auth || h.Get("Httpipe-Target") != test.target || h.Get("Httpipe-Header-Httpipe-Token") != "" {
			t.Errorf("%s: the worker gets %v", test.name, h)
		}
		r.dial().Post(h.Get(reply.HeaderReply), "x", me...).Answer().Is(200)
		c.Answer().Got("x")
	}
}

// TestServiceAccess: calling takes produce, working and answering take consume.
func TestServiceAccess(t *testing.T) {
	r := start(t, guarded(t))
	produce, consume := bearer(sign(t, secret, "produce:n/s")), bearer(sign(t, secret, "consume:n/s"))
	c := r.dial().Get(service, produce)
	r.dial().Get(service, consume).Answer().Failed(403, "forbidden")
	r.dial().Get(work, produce).Answer().Failed(403, "forbidden")
	r.dial().Get(work).Answer().Failed(401, "unauthorized")
	r.dial().Request("HEAD", work, consume).Answer().Is(403)
	r.dial().Request("DELETE", work, produce).Answer().Failed(403, "forbidden")
	request := r.dial().Get(work, consume).Answer().Is(200)
	replyTo := request.Header.Get(reply.HeaderReply)
	r.dial().Post(replyTo, "x").Answer().Failed(401, "unauthorized")
	r.dial().Post(replyTo, "x", produce).Answer().Failed(403, "forbidden")
	r.dial().Post(replyTo, "x", consume).Answer().Is(200)
	c.Answer().Got("x")
}

// TestServiceShutdown: a shutdown lets the calls that run have their answers, and takes no others.
func TestServiceShutdown(t *testing.T) {
	r := start(t)
	var callers []*client
	var replies []string
	for range 64 {
		callers = append(callers, r.dial().Get(service))
	}
	for range 32 {
		_, replyTo := r.take()
		replies = append(replies, replyTo)
	}
	ended := make(chan struct{})
	ctx := t.Context()
	go func() {
		r.broker.Shutdown(ctx)
		close(ended)
	}()
	eventually(t, patience, "the server is stopping", r.broker.Stopping)
	r.dial().Get(service).Answer().Failed(503, "shut_down")
	r.dial().Get(work).Answer().Failed(503, "shut_down")
	for _, replyTo := range replies {
		r.dial().Post(replyTo, "answer").Answer().Is(200)
	}
	answered := 0
	for _, c := range callers {
		if a := c.Answer(); a.StatusCode == http.StatusOK {
			answered++
		} else {
			a.Failed(503, "shut_down")
		}
	}
	if answered != 32 {
		t.Errorf("%d calls are answered, want 32", answered)
	}
	<-ended
}

// TestCallsOnRecord: the log agrees with what callers and workers were told, and shows no path, query or reply id.
func TestCallsOnRecord(t *testing.T) {
	r := startAudited(t)
	answered := r.dial().Get(service + "/secret-path?secret-query")
	_, replyTo := r.take()
	r.dial().Post(replyTo, "x", "Httpipe-Status: 404").Answer().Is(200)
	answered.Answer().Is(404)
	left := r.dial().Request("DELETE", service)
	_, lateReply := r.take()
	left.HangUp()
	r.gone()
	r.dial().Post(lateReply, "late").Answer().Failed(502, "consumer_left")
	r.dial().Post(replyTo, "again").Answer().Failed(404, "not_found")
	r.config.Log.Sync()
	for path, want := range map[string][]string{
		"/audit/calls": {`"method":"GET","outcome":"answered","status":404`, `"method":"DELETE","outcome":"left","status":null`},
		"/audit/calls?service=s&outcome=answered": {`"outcome":"answered"`},
		"/audit/calls?service=other":              {},
		"/audit/calls?namespace=n&outcome=left":   {`"outcome":"left"`},
		"/audit/requests?shape=service":           {`"outcome":"consumer_left"`},
		"/audit/exchanges?namespace=n&channel=s":  {`"shape":"service"`, `"reply_to":"`, `"reply_to":null`},
	} {
		a := r.dial().Get(path, withKey, "Accept: application/json").Answer().Is(200)
		for _, word := range want {
			if !strings.Contains(a.Text, word) {
				t.Errorf("%s: %s has no %s", path, a.Text, word)
			}
		}
		if n := strings.Count(a.Text, `"service"`); strings.HasPrefix(path, "/audit/calls") && n != len(want) {
			t.Errorf("%s has %d calls, want %d: %s", path, n, len(want), a.Text)
		}
		if strings.Contains(a.Text, "secret") || strings.Contains(a.Text, replyTo[len(replyTo)-32:]) {
			t.Errorf("%s shows too much: %s", path, a.Text)
		}
	}
	r.dial().Get("/audit/calls?outcome=delivered", withKey).Answer().Failed(400, "bad_filter")
	r.dial().Get("/audit/calls?channel=s", withKey).Answer().Failed(400, "bad_filter")
}
