package httpapi

import (
	"slices"
	"strings"
	"testing"

	"httpipe/reply"
)

// Browsers, and what they must not do.

const origin = "Origin: https://page.example"

func TestPreflight(t *testing.T) {
	r := start(t)
	for _, path := range []string{here, "/channels/n", "/channels/namespaces", "/state"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
			a := r.dial().request("OPTIONS", path, origin, "Access-Control-Request-Method: "+method,
				"Access-Control-Request-Headers: content-type,prefer,authorization").answer().is(204)
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != "*" {
				t.Errorf("%s %s: allowed is the origin %q", method, path, got)
			}
			simple := method == "GET" || method == "HEAD" || method == "POST"
			if got := a.Header.Get("Access-Control-Allow-Methods"); !simple && got != method {
				t.Errorf("%s %s: allowed are the methods %q", method, path, got)
			}
			if got := a.Header.Get("Access-Control-Allow-Headers"); got != "Content-Type,Prefer,Authorization" {
				t.Errorf("%s %s: allowed are the headers %q", method, path, got)
			}
		}
	}
	r.vanished()
}

func TestCrossOriginResponses(t *testing.T) {
	r := start(t)
	p, c := r.dial().post(here, "hello", origin), r.dial().get(here, origin)
	failed := r.dial().request("HEAD", "/channels/n/x", origin)
	for _, a := range []*answer{c.answer().got("hello"), p.answer().is(200), failed.answer().failed(404, "not_found")} {
		if got := a.Header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("allowed is the origin %q", got)
		}
		exposed := strings.Split(a.Header.Get("Access-Control-Expose-Headers"), ",")
		for _, name := range []string{reply.HeaderExchange, reply.HeaderError, reply.HeaderProducers, reply.HeaderConsumers} {
			if !slices.Contains(exposed, name) {
				t.Errorf("%s is not exposed, but %v", name, exposed)
			}
		}
	}
}

func TestOriginsCanBeRestricted(t *testing.T) {
	r := start(t, func(c *Config) { c.CORSOrigins = []string{"https://page.example", "https://other.example"} })
	for from, want := range map[string]string{origin: "https://page.example", "Origin: https://evil.example": ""} {
		p, c := r.dial().post(here, "hello", from), r.dial().get(here, from)
		for _, a := range []*answer{c.answer().got("hello"), p.answer().is(200)} {
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s: allowed is the origin %q, want %q", from, got, want)
			}
		}
		a := r.dial().request("OPTIONS", here, from, "Access-Control-Request-Method: PUT").answer()
		if got := a.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: in a preflight, allowed is the origin %q, want %q", from, got, want)
		}
	}
}

// A GET takes a message, so one that is made for other reasons is turned away.
func TestNotAConsumer(t *testing.T) {
	r := start(t)
	p := r.dial().post(here, "hello")
	r.waiting(1, 0)
	for _, header := range []string{"Service-Worker: script", "Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender",
		"Purpose: prefetch", "X-Moz: prefetch", "Purpose: Prefetch"} {
		r.dial().get(here, header).answer().failed(400, "not_a_consumer")
	}
	r.waiting(1, 0)
	r.dial().get(here, "Purpose: pleasure", "Service-Worker: no").answer().got("hello")
	p.answer().is(200)
}
