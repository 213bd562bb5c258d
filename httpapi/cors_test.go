package httpapi

import (
	"slices"
	"strings"
	"testing"

	"httpipe/reply"
)

// Browsers, and what they must not do.

const origin = "Origin: https://page.example"

// anyPage are the requests that pages of any origin may make, and namedPage those that take an origin that is named.
var (
	anyPage = []string{"GET " + here, "POST " + here, "PUT " + here, "PUT " + here + "/", "GET /channels/namespaces/c", "POST /channels/n/%41",
		"GET /exchanges/x", "GET /healthz", "GET /openapi.json"}
	namedPage = []string{"HEAD " + here, "DELETE " + here, "GET /channels/n", "GET /channels/n/", "HEAD /channels/n", "DELETE /channels/n",
		"GET /channels/namespaces", "GET /channels/namespaces/", "DELETE /channels/namespaces", "GET /state", "GET /state/", "HEAD /state",
		"GET /", "GET /audit", "GET /audit/exchanges", "GET /audit/exchanges/x", "GET /audit/requests", "GET /audit/channels", "GET /audit/summary",
		"GET /audit/live", "POST /channels/n", "POST /channels//", "GET /assets/icon.svg"}
)

const named = "https://page.example"

// corsTests are settings of --cors-origin, and what a page from an origin may then do.
var corsTests = []struct {
	origins    []string
	from       string
	any, other string // the origins that are allowed
}{
	{[]string{"*"}, named, "*", ""},
	{[]string{"*"}, "null", "*", ""},
	{[]string{"*"}, "*", "*", ""},
	{[]string{named}, named, named, named},
	{[]string{named}, "https://page.example:8443", "", ""},
	{[]string{named}, "http://page.example", "", ""},
	{[]string{named}, "https://evil.example", "", ""},
	{[]string{"https://other.example", named}, named, named, named},
	{[]string{"*", named}, named, "*", named},
	{[]string{"*", named}, "https://evil.example", "*", ""},
}

// TestWhatPagesMayDo: the star is for producing and consuming. All else takes an origin by name.
func TestWhatPagesMayDo(t *testing.T) {
	for _, test := range corsTests {
		r := start(t, func(c *Config) { c.CORSOrigins = test.origins })
		check := func(requests []string, want string) {
			t.Helper()
			for _, request := range requests {
				method, path, _ := strings.Cut(request, " ")
				a := r.dial().Request("OPTIONS", path, "Origin: "+test.from, "Access-Control-Request-Method: "+method,
					"Access-Control-Request-Headers: traceparent").Answer()
				got, methods, headers := a.Header.Get("Access-Control-Allow-Origin"), a.Header.Get("Access-Control-Allow-Methods"), a.Header.Get("Access-Control-Allow-Headers")
				if allowed := want != ""; got != want || allowed && (a.StatusCode != 204 || methods != method || headers != "traceparent") || !allowed && methods+headers != "" {
					t.Errorf("%s from %s to %v: a preflight is answered %d, origin %q, methods %q, headers %q, want origin %q",
						request, test.from, test.origins, a.StatusCode, got, methods, headers, want)
				}
			}
		}
		check(anyPage, test.any)
		check(namedPage, test.other)
		check([]string{"GET /nowhere", "POST /nowhere/at/all", "GET /exchanges"}, "")

		real := func(a *answer, want string) {
			t.Helper()
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("from %s to %v: the origin that may read is %q, want %q", test.from, test.origins, got, want)
			}
			exposed := strings.Split(a.Header.Get("Access-Control-Expose-Headers"), ", ")
			for _, name := range []string{reply.HeaderExchange, reply.HeaderError, reply.HeaderProducers, reply.HeaderConsumers} {
				if slices.Contains(exposed, name) != (want != "") {
					t.Errorf("from %s to %v: exposed is %v", test.from, test.origins, exposed)
				}
			}
			if varies := slices.Contains(a.Header.Values("Vary"), "Origin"); varies != (len(test.origins) > 1 || test.origins[0] != "*") {
				t.Errorf("with %v it varies with the origin: %v", test.origins, varies)
			}
		}
		from := "Origin: " + test.from
		if test.any == "" {
			real(r.dial().Post(here, "hello", from).Answer().Failed(403, "forbidden"), "")
			real(r.dial().Get(here, from).Answer().Failed(403, "forbidden"), "")
			r.Vanished()
			continue
		}
		p, c := r.dial().Post(here, "hello", from), r.dial().Get(here, from)
		real(c.Answer().Got("hello"), test.any)
		real(p.Answer().Is(200), test.any)
		real(r.dial().Get(here+"?wait=x", from).Answer().Failed(400, "bad_wait"), test.any)
		real(r.dial().Get("/channels/n/%41", from).Answer().Failed(400, "bad_name"), test.any)
		real(r.dial().Get("/state", from).Answer().Is(200), test.other)
		real(r.dial().Request("HEAD", here, from).Answer().Failed(404, "not_found"), test.other)
		real(r.dial().Request("DELETE", here, from).Answer().Failed(404, "not_found"), test.other)
		real(r.dial().Get("/audit/exchanges", from).Answer().Failed(404, "not_found"), test.other)
		real(r.dial().Get("/audit/live", from).Answer().Failed(401, "unauthorized"), test.other)
		if a := r.dial().Get("/state").Answer().Is(200); a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("a client without an origin is answered like a page")
		}
		r.Vanished()
	}
}

// TestForeignPages: without the star, a page of another origin neither sends nor takes a message, whatever its request looks
// like to CORS. Its own pages, those of the named origins, links, and clients that are no browsers are let in.
func TestForeignPages(t *testing.T) {
	const site, mode, dest = "Sec-Fetch-Site: ", "Sec-Fetch-Mode: ", "Sec-Fetch-Dest: "
	const named, foreign = "Origin: https://app.example", "Origin: https://evil.example"
	r := start(t, func(c *Config) { c.CORSOrigins = []string{"https://other.example", "https://app.example"} })
	p := r.dial().Post("/channels/n/taken", "kept")
	waiting := r.dial().Get(here)
	r.Waiting(0, 1)
	for _, headers := range [][]string{
		{foreign},
		{"Origin: null"},
		{"Origin: https://relay:8443"}, // Host is relay
		{"Origin: https://app.example.evil.example"},
		{site + "cross-site"},
		{site + "cross-site", foreign, mode + "no-cors", dest + "empty"},
		{site + "cross-site", foreign, mode + "cors", dest + "empty"},
		{site + "cross-site", "Origin: null", mode + "navigate", dest + "iframe"},
		{site + "cross-site", mode + "navigate", dest + "iframe"},
		{site + "cross-site", mode + "navigate", dest + "object"},
		{site + "cross-site", mode + "no-cors", dest + "image"},
		{site + "same-site", mode + "no-cors", dest + "image"},
		{site + "same-site", mode + "navigate", dest + "iframe"},
		{site + "same-site", "Origin: https://relay", mode + "cors"},
		{site + "same-site", mode + "cors", dest + "document"},
	} {
		r.dial().Post(here, "evil job", headers...).Answer().Failed(403, "forbidden")
		r.dial().Request("PUT", here, append(headers, length(0))...).Answer().Failed(403, "forbidden")
		r.dial().Get("/channels/n/taken", headers...).Answer().Failed(403, "forbidden")
		r.dial().Request("HEAD", here, headers...).Answer().Is(403)
		r.dial().Request("DELETE", here, headers...).Answer().Failed(403, "forbidden")
	}
	link := []string{site + "cross-site", mode + "navigate", dest + "document"}
	r.dial().Post(here, "a form of another page", append(link, foreign)...).Answer().Failed(403, "forbidden")
	r.dial().Get(here+"?method=post&body=evil", link...).Answer().Failed(403, "forbidden")
	r.dial().Get("/channels/n/taken", link...).Answer().Got("kept")
	p.Answer().Is(200)
	r.dial().Get("/", site+"cross-site", mode+"navigate", dest+"document").Answer().Is(200)

	r.dial().Post(here, "right").Answer().Is(200) // no browser
	waiting.Answer().Got("right")
	for _, headers := range [][]string{
		{named},
		{named, site + "cross-site", mode + "cors"},
		{"Origin: https://relay"}, // behind a proxy with TLS
		{"Origin: http://RELAY"},
		{"Origin: https://relay", site + "same-origin", mode + "cors"},
		{"Origin: https://public.example", site + "same-origin"}, // the proxy changes Host
		{site + "none", mode + "navigate", dest + "document"},
	} {
		p := r.dial().Post(here, "right", headers...)
		r.dial().Get(here, headers...).Answer().Got("right")
		p.Answer().Is(200)
	}
	r.Vanished()
}

// TestPreflightHeaders: a page may send the headers that it asks for, but cookies and what is for one connection.
func TestPreflightHeaders(t *testing.T) {
	r := start(t)
	for asked, want := range map[string]string{
		"traceparent":                              "traceparent",
		"cache-control,traceparent,tracestate":     "cache-control, traceparent, tracestate",
		"X-Requested-With , Authorization":         "X-Requested-With, Authorization",
		"content-type,prefer,authorization,x-mine": "content-type, prefer, authorization, x-mine",
		"cookie":               "",
		"Cookie,x-mine,COOKIE": "x-mine",
		"connection,keep-alive,proxy-connection,TE,trailer,Transfer-Encoding,upgrade,a": "a",
		"":   "",
		",,": "",
	} {
		a := r.dial().Request("OPTIONS", here, origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: "+asked).Answer().Is(204)
		if got := a.Header.Get("Access-Control-Allow-Headers"); got != want {
			t.Errorf("asked for %q, allowed are %q, want %q", asked, got, want)
		}
	}
}

// A GET takes a message, so one that is made for other reasons is turned away.
func TestNotAConsumer(t *testing.T) {
	r := start(t)
	p := r.dial().Post(here, "hello")
	r.Waiting(1, 0)
	for _, header := range []string{"Service-Worker: script", "Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender",
		"Purpose: prefetch", "X-Moz: prefetch", "Purpose: Prefetch"} {
		r.dial().Get(here, header).Answer().Failed(400, "not_a_consumer")
	}
	r.Waiting(1, 0)
	r.dial().Get(here, "Purpose: pleasure", "Service-Worker: no").Answer().Got("hello")
	p.Answer().Is(200)
}
