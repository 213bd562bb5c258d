package httpapi

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A step is a request among many on one connection, and what becomes of it.
type step struct {
	name  string
	wire  func(i int) string // of the request
	needs func(r *testServer, path string) (check func())
	check func(t *testing.T, i int, a *answer)
}

func status(code int) func(*testing.T, int, *answer) {
	return func(_ *testing.T, _ int, a *answer) { a.Is(code) }
}

// simple returns a step that needs no other client.
func simple(name, request string, code int, headers ...string) step {
	method, target, _ := strings.Cut(request, " ")
	lines := strings.Join(append([]string{method + " " + target + " HTTP/1.1", "Host: relay"}, headers...), "\r\n")
	return step{name: name, wire: func(int) string { return lines + "\r\n\r\n" }, check: status(code)}
}

func mixedPath(i int) string { return fmt.Sprint("/channels/mixed/", i) }

// produces returns a step that delivers a message to a consumer that waits.
func produces(name, target, framing string, headers ...string) step {
	return step{
		name: name,
		wire: func(i int) string {
			message := fmt.Sprint("message ", i)
			body, head := message, length(len(message))
			if framing == chunked {
				body, head = chunk(message[:3])+chunk(message[3:])+chunk(""), chunked
			}
			lines := append([]string{"POST " + target + mixedPath(i) + " HTTP/1.1", "Host: relay", head}, headers...)
			return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
		},
		needs: func(r *testServer, path string) func() {
			c := r.dial().Get(path)
			return func() { c.Answer().Got("message " + path[strings.LastIndex(path, "/")+1:]) }
		},
		check: status(200),
	}
}

// consumes returns a step that gets a message from a producer that waits.
func consumes(name, target string, headers ...string) step {
	return step{
		name: name,
		wire: func(i int) string {
			lines := append([]string{"GET " + target + mixedPath(i) + " HTTP/1.1", "Host: relay"}, headers...)
			return strings.Join(lines, "\r\n") + "\r\n\r\n"
		},
		needs: func(r *testServer, path string) func() {
			p := r.dial().Post(path, "message for "+path)
			return func() { p.Answer().Is(200) }
		},
		check: func(_ *testing.T, i int, a *answer) { a.Got("message for " + mixedPath(i)) },
	}
}

// mixedSteps are requests that the engine serves, that net/http serves, and that come back from net/http.
var mixedSteps = []step{
	simple("HEAD", "HEAD "+here, 404),
	simple("DELETE", "DELETE "+here, 404),
	simple("wait=0", "GET "+here+"?wait=0", 408),
	simple("bad name", "GET /channels/n/[c]", 400),
	simple("healthz", "GET /healthz", 200),
	simple("state", "GET /state", 200, "Accept-Encoding: gzip"),
	simple("OPTIONS", "OPTIONS "+here, 204),
	simple("absolute", "GET http://relay"+here+"?wait=0", 408),
	simple("Connection", "GET "+here+"?wait=0", 408, "Connection: keep-alive, x-other"),
	{name: "GET with a body", wire: func(int) string {
		return "GET " + here + "?wait=0 HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\nxx"
	}, check: status(408)},
	produces("produce", "", ""),
	produces("produce chunks", "", chunked),
	produces("produce by proxy", "http://relay", ""),
	produces("produce chunks by proxy", "http://relay", chunked),
	produces("produce with a Trailer", "", chunked, "Trailer: X-Sum"),
	produces("produce, Connection", "", "", "Connection: keep-alive, te"),
	consumes("consume", ""),
	consumes("consume by proxy", "http://relay"),
}

// TestConnectionsThatMix: one connection carries requests of all kinds, one after another or all at once, in pieces of any
// size, and each gets its own answer.
func TestConnectionsThatMix(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			r := start(t)
			var wire strings.Builder
			var steps []step
			var checks []func()
			for i := range 60 {
				s := mixedSteps[rng.IntN(len(mixedSteps))]
				steps = append(steps, s)
				wire.WriteString(s.wire(i))
				if s.needs != nil {
					checks = append(checks, s.needs(r, mixedPath(i)))
				}
			}
			eventually(t, patience, "all others wait", func() bool { return len(r.broker.Channels("mixed")) == len(checks) })
			c := r.dial()
			go func() {
				for rest := wire.String(); rest != ""; {
					n := min(1+rng.IntN(1<<(1+rng.IntN(12))), len(rest))
					c.Write([]byte(rest[:n]))
					rest = rest[n:]
				}
			}()
			for i, s := range steps {
				c.Method, _, _ = strings.Cut(s.wire(i), " ")
				s.check(t, i, c.Answer())
				if t.Failed() {
					t.Fatalf("that was answer %d, to %q", i, s.name)
				}
			}
			for _, check := range checks {
				check()
			}
			r.Vanished()
		})
	}
}

// TestMalformedHeadIsAnsweredByUs: also a head that is no request has an answer with our code, and the connection ends.
func TestMalformedHeadIsAnsweredByUs(t *testing.T) {
	r := start(t)
	for head, want := range map[string]int{
		"GET " + here + "\r\n\r\n": 400,
		"POST " + here + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
		"GET " + here + " HTTP/1.1\r\nHost: relay\r\nX: " + strings.Repeat("x", 40_000) + "\r\n\r\n":           431,
	} {
		c := r.dial().Say(head)
		c.Answer().Failed(want, "bad_request")
		c.Silence()
	}
}

// TestHalfAHeadHarmsNoOther: what one client has sent of a head is not taken for a part of another's.
func TestHalfAHeadHarmsNoOther(t *testing.T) {
	r := start(t)
	for range 200 {
		r.dial().Say("GET " + here + " HTTP/1.1\r\nHost: relay\r\nX-Half: ").HangUp()
		r.dial().Get("/healthz").Answer().Is(200)
		r.dial().Get(here+"?wait=0").Answer().Failed(408, "timed_out")
	}
}
