package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/test/rawhttp"
)

// Answers to producers that are still uploading: they come at once, and the client receives them.

const large = 50 << 20

// An upload is a way of sending a large body.
type upload struct {
	name    string
	headers []string
}

var uploads = []upload{
	{"length", []string{length(large)}},
	{"length, closing", []string{length(large), "Connection: close"}},
	{"length, expecting", []string{length(large), "Expect: 100-continue"}},
	{"chunked", []string{chunked}},
	{"chunked, expecting", []string{chunked, "Expect: 100-continue"}},
}

// send uploads large bytes meanwhile, whatever the answer.
func (u upload) send(c *client, path string) *client {
	c.Request("POST", path, u.headers...)
	go func() {
		if u.headers[0] == chunked {
			fmt.Fprintf(c, "%x\r\n", large)
		}
		io.Copy(c, io.LimitReader(zeros{}, large))
	}()
	return c
}

func TestEarlyAnswers(t *testing.T) {
	for _, u := range uploads {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			u.send(r.dial(), here+"?wait=50ms").Answer().Failed(408, "timed_out")
			u.send(r.dial(), here+"?wait=0").Answer().Failed(408, "timed_out")
			u.send(r.dial(), here+"?wait=x").Answer().Failed(400, "bad_wait")
			u.send(r.dial(), "/channels/a%20b/c").Answer().Failed(400, "bad_name")
			u.send(r.dial(), "/elsewhere").Answer().Failed(404, "not_found")
			u.send(r.dial(), "/state").Answer().Failed(405, "method")

			p := u.send(r.dial(), here)
			r.Waiting(1, 0)
			r.dial().Request("DELETE", here).Answer().Is(204)
			p.Answer().Failed(410, "deleted")

			p = u.send(r.dial(), here)
			c := r.dial().Get(here)
			io.CopyN(io.Discard, c.Head().Body, 1<<20)
			c.HangUp()
			p.Answer().Failed(502, "consumer_left")
			r.Ended(pipe.ConsumerLeft)
			r.Vanished()
		})
	}
}

// An early answer does not wait for a body that is not wanted.
func TestEarlyAnswerWithoutABody(t *testing.T) {
	r := start(t)
	for _, framing := range []string{length(5), chunked} {
		began := time.Now()
		r.dial().Request("POST", "/elsewhere", framing).Answer().Failed(404, "not_found")
		r.dial().Request("PATCH", here, framing).Answer().Failed(405, "method")
		r.dial().Request("POST", here+"?wait=x", framing).Answer().Failed(400, "bad_wait")
		r.dial().Request("POST", here+"?wait=0", framing).Answer().Failed(408, "timed_out")
		r.dial().Request("POST", here+"?wait=1ms", framing).Answer().Failed(408, "timed_out")
		if took := time.Since(began); took > noise {
			t.Errorf("it took %v", took)
		}
	}
}

// unread are requests whose body no handler reads.
var unread = []string{"GET /healthz", "HEAD /healthz", "GET /", "GET /state", "GET /elsewhere", "GET /assets/icon.svg", "GET /openapi.json", "OPTIONS /state",
	"GET /channels/n", "DELETE /channels/n", "HEAD " + here, "DELETE " + here, "OPTIONS " + here, "HEAD /topics/n/t", "DELETE /work/n/s", "GET /audit/exchanges"}

// An answer that no body changes comes at once, and its connection ends soon, whether the body never comes or never ends.
func TestUnreadBody(t *testing.T) {
	r := start(t)
	for i, request := range unread {
		method, path, _ := strings.Cut(request, " ")
		framings := []string{length(5), length(large), chunked, chunked + "\r\nExpect: 100-continue", "Endless: x\r\n" + chunked}
		if i > 3 {
			framings = framings[:1]
		}
		for _, framing := range framings {
			t.Run(request+" "+framing, func(t *testing.T) {
				t.Parallel()
				c, began := rawhttp.Dial(t, r.addr).Request(method, path, framing, "Accept: text/html"), time.Now()
				if strings.HasPrefix(framing, "Endless") {
					go trickle(c)
				}
				if a := c.Answer(); a.StatusCode >= 500 || a.Err != nil || !a.Close {
					t.Errorf("the answer is %d, %v, and ends the connection: %t", a.StatusCode, a.Err, a.Close)
				}
				answered := time.Since(began)
				io.Copy(io.Discard, c.In)
				if ended := time.Since(began); answered > noise || ended > noise+2*time.Second {
					t.Errorf("it is answered after %v, and ends after %v", answered, ended)
				}
			})
		}
	}
}

// trickle sends small chunks until the connection breaks.
func trickle(c *client) {
	for range time.Tick(10 * time.Millisecond) {
		if _, err := io.WriteString(c, chunk("x")); err != nil {
			return
		}
	}
}

// TestUnreadBodyOfDelete checks that the client learns what its request did, at once.
func TestUnreadBodyOfDelete(t *testing.T) {
	r := start(t)
	c := r.dial().Get(here)
	r.Waiting(0, 1)
	r.dial().Request("DELETE", here, length(5)).Answer().Is(204)
	c.Answer().Is(410)
}

// A client that waits no longer than a moment for a message learns as soon that its own body did not come.
func TestGetWaitsNoLongerForItsBody(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.HeaderTimeout = patience })
	for _, query := range []string{"?wait=0", "?wait=100ms", "?method=post&wait=100ms"} {
		began := time.Now()
		r.dial().Get(here+query, length(5)).Answer().Failed(400, "bad_request")
		if took := time.Since(began); took > noise+time.Second {
			t.Errorf("%s: it took %v", query, took)
		}
	}
}

// A body that a handler reads may be late, however the request came, and its connection lives on.
func TestLateBody(t *testing.T) {
	t.Parallel()
	r := start(t)
	late := time.After(1200 * time.Millisecond) // an unread body is given up after a second
	p := r.dial().Request("POST", "http://relay"+here, length(5))
	c := r.dial().Get("http://relay"+here, length(5))
	viewer := r.dial().Get("/audit/live", length(5), withKey)
	early := r.dial().Get("/audit/live", length(5), withKey).Say("hello")
	events := &liveStream{t, bufio.NewReader(early.Head().Body)}
	<-late
	p.Say("hello")
	c.Say("hello").Answer().Got("hello")
	if p.Answer().Is(200).Close {
		t.Error("the connection of the producer ends")
	}
	p.Request("HEAD", here).Answer().Failed(404, "not_found")
	viewer.Say("hello")
	(&liveStream{t, bufio.NewReader(viewer.Head().Body)}).next()
	r.dial().Get(here)
	events.until(func(v view) bool { return v.Consumers == 1 })
}

// A client that reads only after it has sent everything sees the answer too, unless it is too slow.
func TestEarlyAnswerToAClientThatDoesNotListen(t *testing.T) {
	const size = 4 << 20
	for _, headers := range [][]string{{length(size)}, {length(size), "Expect: 100-continue"}, {chunked}} {
		for _, path := range []string{here + "?wait=50ms", here + "?wait=0", "/elsewhere"} {
			r := start(t)
			p := r.dial().Request("POST", path, headers...)
			if headers[0] == chunked {
				p.Say(fmt.Sprintf("%x\r\n", size))
			}
			n, err := io.Copy(p, io.LimitReader(zeros{}, size))
			if err != nil {
				t.Errorf("%q to %s: the connection broke after %d bytes: %v", headers, path, n, err)
			}
			if a := p.Answer(); a.StatusCode != 408 && a.StatusCode != 404 {
				t.Errorf("%q to %s: %d", headers, path, a.StatusCode)
			}
		}
	}
}

// Go's own client gives up on an answer when its upload is reset under its hands.
func TestEarlyAnswerToGosClient(t *testing.T) {
	r := start(t)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: rawhttp.ClientTLS()}
	for i := range 24 {
		var body io.Reader = bytes.NewReader(make([]byte, large))
		if i%2 == 1 {
			body = io.LimitReader(zeros{}, large) // chunked
		}
		request, _ := http.NewRequest("POST", rawhttp.Scheme()+"://"+r.addr+here+"?wait=20ms", body)
		if i%4 > 1 {
			request.Header.Set("Expect", "100-continue")
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatalf("upload %d: %v", i, err)
		}
		response.Body.Close()
		if response.StatusCode != 408 {
			t.Fatalf("upload %d: %d", i, response.StatusCode)
		}
	}
}

func TestMaxBody(t *testing.T) {
	r := start(t, maxBody(10))
	for _, body := range []string{"", "exactly 10"} {
		for _, framing := range []string{length(len(body)), chunked} {
			p := r.dial().Request("POST", here, framing)
			switch {
			case framing != chunked:
				p.Say(body)
			case body == "":
				p.Say(chunk(""))
			default:
				p.Say(chunk(body) + chunk(""))
			}
			r.dial().Get(here).Answer().Got(body)
			p.Answer().Is(200)
		}
	}
}

// By its length a body is refused at once, before it waits, and before it is sent.
func TestTooLargeByLength(t *testing.T) {
	r := start(t, maxBody(1<<20))
	c := r.dial().Get(here)
	r.Waiting(0, 1)
	r.dial().Request("POST", here, length(1<<20+1)).Answer().Failed(413, "too_large")
	r.dial().Request("POST", here, length(1<<20+1), "Expect: 100-continue").Answer().Failed(413, "too_large")
	for _, u := range uploads[:3] {
		u.send(r.dial(), here).Answer().Failed(413, "too_large")
	}
	r.Waiting(0, 1)
	r.dial().Post(here, "hello").Answer().Is(200)
	c.Answer().Got("hello")
}

// By count it is refused when it is over the limit: before the exchange begins, or in its midst.
func TestTooLargeByCount(t *testing.T) {
	r := start(t, maxBody(10))
	r.dial().Request("POST", here, chunked).Say(chunk("eleven byte")).Answer().Failed(413, "too_large")
	r.Vanished()

	p, body := r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	p.Say(chunk("world!"))
	rest, err := io.ReadAll(body)
	if err == nil || !strings.HasPrefix("world", string(rest)) {
		t.Errorf("the rest is %q, %v", rest, err)
	}
	p.Answer().Failed(413, "too_large")
	r.Ended(pipe.TooLarge)

	for _, u := range uploads[3:] {
		r := start(t, maxBody(20<<20))
		p := u.send(r.dial(), here)
		n, err := io.Copy(io.Discard, r.dial().Get(here).Head().Body)
		if err == nil || n > 20<<20 {
			t.Errorf("%s: %d bytes came, %v", u.name, n, err)
		}
		p.Answer().Failed(413, "too_large")
	}
}

// A refused body is not read: its sender is told at once.
func TestDeniedUpload(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t))
	r.dial().Request("POST", here, length(1<<30), "Expect: 100-continue").Answer().Failed(401, "unauthorized")
	r.dial().Request("POST", here, chunked).Say(chunk("hello")).Answer().Failed(401, "unauthorized")
	a := r.dial().Post(here, "x", "Accept: application/json").Answer().Failed(401, "unauthorized")
	if a.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.Text, `"code":"unauthorized"`) {
		t.Errorf("%s %q", a.Header.Get("Content-Type"), a.Text)
	}
}

// TestInvalidHTTP checks what docs/http.md says of requests that are not valid HTTP: most get our own error, and
// net/http answers the rest, without our headers. Either way the connection ends.
func TestInvalidHTTP(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t))
	for head, want := range map[string]int{
		"POST /channels/n/c?wait=0 HTTP/1.1\r\nHost: x\r\nContent-Length: abc":                    400,
		"POST /channels/n/c?wait=0 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2": 400,
		"POST /channels/n/c?wait=0 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip":                400,
		"GET /channels/n/c?wait=0 HTTP/1.1\r\nHost: x\r\nX-A: a\x01b":                             400,
		"GET /channels/n/c?wait=0 HTTP/1.1\r\nX-A: a":                                             400,
		"GET /channels/n/c?wait=0 HTTP/1.1\r\nHost: a\r\nHost: b":                                 400,
		"GET /channels/n/c?wait=0 HTTP/1.1\r\nHost: x<y":                                          400,
		"HELLO": 400,
		"GET /channels/n/c?wait=0 HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 60000): 431,
	} {
		if a := r.dial().Say(head+"\r\n\r\n").Answer().Failed(want, "bad_request"); !a.Close {
			t.Errorf("%.90q: the connection stays open", head)
		}
	}
	for head, want := range map[string]int{
		"POST /channels/n/c?wait=0 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: more": 417,
		"GET /channels/n/c?wait=0 HTTP/3.0\r\nHost: x":                                       505,
	} {
		a := r.dial().Say(head + "\r\n\r\n").Answer()
		if a.StatusCode != want || a.Header.Get(reply.HeaderError) != "" || a.Header.Get("Cache-Control") != "" || !a.Close {
			t.Errorf("%.90q: %d %v, want %d of net/http's", head, a.StatusCode, a.Header, want)
		}
	}
}
