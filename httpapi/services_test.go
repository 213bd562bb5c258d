package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

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

// TestCall: a worker gets the request as it was sent, and the caller the answer, whichever of the two comes first.
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
