package httpapi

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/reply"
)

// What else can be asked of channels, and what cannot.

func TestLook(t *testing.T) {
	r := start(t)
	r.dial().Request("HEAD", here).Answer().Failed(404, "not_found")
	look := func(producers, consumers string) {
		t.Helper()
		a := r.dial().Request("HEAD", here+"/").Answer().Is(200)
		if a.Header.Get(reply.HeaderProducers) != producers || a.Header.Get(reply.HeaderConsumers) != consumers {
			t.Errorf("a look says %q and %q, want %s and %s", a.Header.Get(reply.HeaderProducers), a.Header.Get(reply.HeaderConsumers), producers, consumers)
		}
	}
	for i := range 3 {
		r.dial().Post(here, "hello")
		r.Waiting(i+1, 0)
	}
	look("3", "0")
	r.dial().Get(here).Answer().Got("hello") // which a look has not taken
	look("2", "0")
	r.dial().Request("DELETE", here).Answer().Is(204)
	r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	look("0", "0") // the running pair is not counted
	r.dial().Get(here)
	r.Waiting(0, 1)
	look("0", "1")
}

func TestDelete(t *testing.T) {
	r := start(t)
	r.dial().Request("DELETE", here).Answer().Failed(404, "not_found")
	p := r.dial().Post(here, "hello")
	r.Waiting(1, 0)
	r.dial().Request("DELETE", here).Answer().Is(204)
	p.Answer().Failed(410, "deleted")

	c := r.dial().Get(here)
	r.Waiting(0, 1)
	r.dial().Request("DELETE", here+"/").Answer().Is(204)
	if a := c.Answer().Failed(410, "deleted"); a.Text != "" {
		t.Errorf("the consumer is told %q", a.Text)
	}
	r.dial().Request("DELETE", here).Answer().Failed(404, "not_found")
}

// A channel that was deleted is gone at once; the next request opens a new one, though the old exchange,
// whose consumer does not read, has to be cut.
func TestDeleteRunning(t *testing.T) {
	r := start(t)
	for range 10 {
		p := r.dial().Request("POST", here, length(1<<30))
		go io.Copy(p, io.LimitReader(zeros{}, 1<<30))
		c := r.dial().Get(here)
		body := c.Head().Body
		began := time.Now()
		r.dial().Request("DELETE", here).Answer().Is(204)
		next := r.dial().Post(here, "next")
		r.dial().Get(here).Answer().Got("next")
		next.Answer().Is(200)
		p.Answer().Failed(410, "deleted")
		if took := time.Since(began); took > noise {
			t.Errorf("it took %v", took)
		}
		if n, err := io.Copy(io.Discard, body); err == nil {
			t.Errorf("%d bytes look whole", n)
		}
	}
}

func TestDeleteNamespace(t *testing.T) {
	r := start(t)
	r.dial().Request("DELETE", "/channels/n").Answer().Failed(404, "not_found")
	var waiters []*client
	for i := range 10 {
		waiters = append(waiters, r.dial().Get(fmt.Sprint("/channels/n/", i)))
	}
	other := r.dial().Get("/channels/other/c")
	eventually(t, patience, "all wait", func() bool { return len(r.broker.Channels("n"))+len(r.broker.Channels("other")) == 11 })
	r.dial().Request("DELETE", "/channels/n/").Answer().Is(204)
	for _, w := range waiters {
		w.Answer().Failed(410, "deleted")
	}
	r.dial().Post("/channels/other/c", "hello").Answer().Is(200)
	other.Answer().Got("hello")
}

func TestLists(t *testing.T) {
	r := start(t)
	list := func(path, want string) {
		t.Helper()
		for _, slash := range []string{"", "/", "?x=%zz;y"} {
			a := r.dial().Get(path + slash).Answer().Is(200)
			if kind := a.Header.Get("Content-Type"); a.Text != want+"\n" || kind != "application/json" {
				t.Errorf("%s%s is %q (%s), want %s", path, slash, a.Text, kind, want)
			}
			if a := r.dial().Request("HEAD", path+slash).Answer().Is(200); a.Text != "" {
				t.Errorf("HEAD %s has the body %q", path, a.Text)
			}
		}
	}
	list("/state", `{}`)
	list("/channels/namespaces", `[]`)
	r.dial().Get("/channels/n").Answer().Failed(404, "not_found")
	channels := []string{"/channels/n/c", "/channels/n/b", "/channels/m/~!$&'()*+,;=:@", "/channels/namespaces/x"}
	for _, channel := range channels {
		r.dial().Get(channel)
	}
	eventually(t, patience, "all wait", func() bool { return len(r.broker.Namespaces()) == 3 && len(r.broker.Channels("n")) == 2 })
	special, _ := json.Marshal("~!$&'()*+,;=:@")
	list("/state", fmt.Sprintf(`{"m":[%s],"n":["b","c"],"namespaces":["x"]}`, special))
	list("/channels/namespaces", `["m","n","namespaces"]`)
	list("/channels/n", `["b","c"]`)
	list("/channels/m", fmt.Sprintf(`[%s]`, special))

	// Only the listing of the namespace `namespaces` is shadowed.
	r.dial().Post("/channels/namespaces/x", "hello").Answer().Is(200)
	r.dial().Get("/channels/namespaces/y")
	eventually(t, patience, "y waits", func() bool { return len(r.broker.Channels("namespaces")) == 1 })
	r.dial().Request("DELETE", "/channels/namespaces").Answer().Is(204)
	list("/channels/namespaces", `["m","n"]`)
}

func TestListsAreCompressedOnRequest(t *testing.T) {
	r := start(t)
	for _, path := range []string{"/state", "/channels/namespaces"} {
		a := r.dial().Get(path, "Accept-Encoding: gzip").Answer().Is(200)
		if a.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: the encoding is %q", path, a.Header.Get("Content-Encoding"))
		}
		unzipped, err := gzip.NewReader(strings.NewReader(a.Text))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(unzipped); err != nil || !json.Valid(body) {
			t.Errorf("%s is %q, %v", path, body, err)
		}
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("x", 255)
	r := start(t)
	for path, good := range map[string]bool{
		"/channels/A-Za-z0-9-._~!$&'()*+,;=:@/A-Za-z0-9-._~!$&'()*+,;=:@": true,
		"/channels/" + long + "/" + long:                                  true,
		"/channels/.../..x":                                               true,
		"/channels/n/c/":                                                  true,
		"/channels/n/c?x=/a/b":                                            true,
		"http://elsewhere:80/channels/n/c?x=y":                            true,
		"/channels/" + long + "x/c":                                       false,
		"/channels/n/x" + long:                                            false,
		"/channels/{namespace}/{channel}":                                 false,
		"/channels/n/c//":                                                 false,
		"/channels//c":                                                    false,
		"/channels/n/c/d":                                                 false,
		"/channels/./c":                                                   false,
		"/channels/n/..":                                                  false,
		"/channels/../c":                                                  false,
		"/channels/n/%63":                                                 false,
		"/channels/n%2fc/d":                                               false,
		"/channels/n/ü":                                                   false,
		"/channels/n/a\"b":                                                false,
		"/channels/n/a[b]":                                                false,
		"/channels/n/c#d":                                                 false,
	} {
		a := r.dial().Get(path + addQuery(path, "wait=0")).Answer()
		if good {
			a.Failed(408, "timed_out")
			continue
		}
		a.Failed(400, "bad_name")
	}
	// The text says which character it is, and what is allowed.
	a := r.dial().Get("/channels/n/%63").Answer().Failed(400, "bad_name")
	for _, want := range []string{"'%'", "A-Z a-z 0-9 and - . _ ~ ! $ & ' ( ) * + , ; = : @"} {
		if !strings.Contains(a.Text, want) {
			t.Errorf("%q does not say %q", a.Text, want)
		}
	}
	// A path with an invalid percent-encoding is not a URL. The error has the form of all others, not that of net/http.
	for _, path := range []string{"/channels/n/%zz", "/services/n/s/%", "/%zz", "http://relay/%zz"} {
		a := r.dial().Get(path, "Accept: application/json").Answer().Failed(400, "bad_request")
		if !strings.Contains(a.Text, "two hexadecimal digits") {
			t.Errorf("%s: %q does not say what is wrong", path, a.Text)
		}
	}
	r.Vanished()
}

// addQuery returns what adds a parameter to path.
func addQuery(path, parameter string) string {
	if strings.Contains(path, "?") {
		return "&" + parameter
	}
	return "?" + parameter
}

func TestNotFound(t *testing.T) {
	r := start(t)
	for _, path := range []string{"//", "/x", "/assets", "/channels", "/channels/", "//channels/n/c", "/Channels/n/c", "/healthz/x", "/state/x", "/channel/n/c"} {
		for _, method := range []string{"GET", "POST", "OPTIONS", "PATCH"} {
			r.dial().Request(method, path).Answer().Failed(404, "not_found")
		}
	}
	a := r.dial().Get("/x", "Accept: text/html,*/*").Answer().Is(404)
	if a.Header.Get("Httpipe-Error") != "not_found" || a.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
		a.Header.Get("Content-Security-Policy") == "" || !strings.Contains(a.Text, "There is no page at this address") {
		t.Errorf("a browser gets %v\n%s", a.Header, a.Text)
	}
	r.dial().Request("POST", "/x", "Accept: text/html").Answer().Failed(404, "not_found")
	r.Vanished()
}

func TestMethods(t *testing.T) {
	r := start(t)
	for path, allowed := range map[string]string{
		"/":                    "GET, HEAD, OPTIONS",
		"/assets/page.js":      "GET, HEAD, OPTIONS",
		"/healthz":             "GET, HEAD, OPTIONS",
		"/state":               "GET, HEAD, OPTIONS",
		"/channels/namespaces": "DELETE, GET, HEAD, OPTIONS",
		"/channels/n":          "DELETE, GET, HEAD, OPTIONS",
		here:                   "DELETE, GET, HEAD, POST, PUT, OPTIONS",
	} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "PROPFIND"} {
			if slices.Contains(strings.Split(allowed, ", "), method) {
				continue
			}
			a := r.dial().Request(method, path).Answer().Failed(405, "method")
			if a.Header.Get("Allow") != allowed {
				t.Errorf("%s %s: allowed are %q, want %q", method, path, a.Header.Get("Allow"), allowed)
			}
		}
		a := r.dial().Request("OPTIONS", path).Answer().Is(204)
		if a.Header.Get("Allow") != allowed {
			t.Errorf("OPTIONS %s: allowed are %q, want %q", path, a.Header.Get("Allow"), allowed)
		}
	}
	r.Vanished()
}

func TestHealth(t *testing.T) {
	r := start(t)
	if a := r.dial().Get("/healthz").Answer().Is(200); a.Text != "ok\n" {
		t.Errorf("the server feels %q", a.Text)
	}
	r.dial().Request("HEAD", "/healthz/").Answer().Is(200)
}

// No error is of a length that a client could take for that of its partial file.
func TestErrorsOfUnknownLengthForPartialFiles(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, test := range []struct{ path, accept string }{{here, ""}, {here, "application/json"}, {"/channels/n/%20", ""}, {here + "?wait=x", ""}} {
		if a := r.dial().Get(test.path, "Range: bytes=5-", "Accept: "+test.accept).Answer().Is(400); a.ContentLength != -1 || a.Text == "" {
			t.Errorf("%v: %d bytes announced of %q", test, a.ContentLength, a.Text)
		}
		c := r.dial().Say("GET " + test.path + " HTTP/1.0\r\nRange: bytes=5-\r\n\r\n")
		if a := c.Answer().Is(400); a.ContentLength != -1 || a.Text == "" {
			t.Errorf("%v, HTTP/1.0: %d bytes announced of %q", test, a.ContentLength, a.Text)
		}
	}
	if a := r.dial().Get("/channels/n/%20").Answer(); a.ContentLength <= 0 {
		t.Error("an error for others is of unknown length, too")
	}
}
