package httpapi

import (
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
)

// How long a request waits, and how it hears that nobody came.

func TestBadWait(t *testing.T) {
	r := start(t)
	for _, path := range []string{here + "?wait=soon", here + "?wait=1&wait=2", here + "?x=%zz", here + "?wait=1;x"} {
		for _, a := range []*answer{r.dial().get(path).answer(), r.dial().post(path, "hello").answer()} {
			a.failed(400, "bad_wait")
		}
	}
	r.vanished()
}

// The smaller of the client's and the server's limit counts, and ?wait beats Prefer.
func TestWaitsRunOut(t *testing.T) {
	t.Parallel()
	const short = 100 * time.Millisecond
	for _, test := range []struct {
		limit   time.Duration
		path    string
		headers []string
		want    time.Duration
	}{
		{short, here, nil, short},
		{short, here + "?wait=1h", nil, short},
		{short, here, []string{"Prefer: wait=3600"}, short},
		{short, here, []string{"Prefer: wait=x"}, short},
		{short, here + "?wait=0", nil, 0},
		{time.Hour, here + "?wait=0.1", nil, short},
		{time.Hour, here + "?wait=100ms", []string{"Prefer: wait=3600"}, short},
		{time.Hour, here, []string{"Prefer: wait=0.1"}, short},
		{time.Hour, here, []string{"Prefer: wait=0"}, 0},
		{0, here + "?wait=100ms", nil, short},
	} {
		r := start(t, func(c *Config) { c.RequestTimeout = test.limit })
		for _, method := range []string{"GET", "POST"} {
			began := time.Now()
			a := r.dial().request(method, test.path, test.headers...).answer().failed(408, "timed_out")
			if took := time.Since(began); took < test.want || took > test.want+noise {
				t.Errorf("%v %s %v: it took %v, want %v", test.limit, test.path, test.headers, took, test.want)
			}
			want := "timed_out: nobody came in the time to wait\n"
			if method == "GET" {
				want = ""
			}
			if a.body != want {
				t.Errorf("%s: the body is %q, want %q", method, a.body, want)
			}
		}
	}
}

// The limit is for the wait, never for the exchange.
func TestAnExchangeOutlastsTheWait(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.RequestTimeout = time.Second })
	p := r.dial().request("POST", here+"?wait=900ms", chunked).say(chunk("hel"))
	body := r.dial().get(here + "?wait=900ms").head().Body
	reads(t, body, "hel")
	r.dial().get(here).answer().failed(408, "timed_out") // which takes a second
	p.say(chunk("lo") + chunk(""))
	reads(t, body, "lo")
	p.answer().is(200)
}

// Who would not wait is served if it is the next pair on arrival, and opens no channel otherwise.
func TestWaitZero(t *testing.T) {
	const now = here + "?wait=0"
	r := start(t)
	r.dial().get(now).answer().failed(408, "timed_out")
	r.dial().post(now, "hello").answer().failed(408, "timed_out")
	r.vanished()

	p := r.dial().post(here, "hello")
	r.waiting(1, 0)
	r.dial().post(now, "behind").answer().failed(408, "timed_out")
	r.dial().get(now).answer().got("hello")
	p.answer().is(200)

	c := r.dial().get(here)
	r.waiting(0, 1)
	r.dial().get(now).answer().failed(408, "timed_out")
	r.dial().post(now, "hello").answer().is(200)
	c.answer().got("hello")

	r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	r.dial().get(now).answer().failed(408, "timed_out")
	r.dial().post(here, "hello")
	r.waiting(1, 0)
	r.dial().get(now).answer().failed(408, "timed_out") // somebody runs
}

// A consumer prints what it gets, so what is no message has no body, unless it asks for JSON.
func TestErrorsInJSON(t *testing.T) {
	r := start(t)
	for _, accept := range []string{"application/json", "text/html, application/problem+json;q=0.1"} {
		for _, c := range []*client{
			r.dial().get(here+"?wait=0", "Accept: "+accept),
			r.dial().post(here+"?wait=0", "", "Accept: "+accept),
		} {
			a := c.answer().failed(408, "timed_out")
			want := `{"title":"Request Timeout","status":408,"detail":"nobody came in the time to wait","code":"timed_out"}` + "\n"
			if kind := a.Header.Get("Content-Type"); a.body != want || kind != "application/problem+json" {
				t.Errorf("the problem is %q (%s), want %q", a.body, kind, want)
			}
		}
	}
	a := r.dial().get(here+"?wait=x", "Accept: text/plain").answer().failed(400, "bad_wait")
	if kind := a.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
		t.Errorf("the error's type is %q", kind)
	}
}

func silentFor(d time.Duration) func(*Config) { return func(c *Config) { c.SilenceTimeout = d } }

// Before the exchange begins a producer that sends nothing is sent away, and its consumer keeps its place.
func TestSilenceBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	const limit = 200 * time.Millisecond
	r := start(t, silentFor(limit))
	for _, framing := range []string{length(5), chunked} {
		p := r.dial().request("POST", here, framing)
		r.waiting(1, 0)
		began := time.Now()
		c := r.dial().get(here)
		p.answer().failed(408, "silent")
		if took := time.Since(began); took < limit || took > limit+noise {
			t.Errorf("it took %v", took)
		}
		r.waiting(0, 1)
		r.dial().post(here, "hello").answer().is(200)
		c.answer().got("hello")
	}
}

func TestSilenceHalfway(t *testing.T) {
	t.Parallel()
	r := start(t, silentFor(100*time.Millisecond))
	for _, framing := range []string{length(10), chunked} {
		p := r.dial().request("POST", here, framing)
		if framing == chunked {
			p.say("5\r\n")
		}
		a := r.dial().get(here)
		p.say("hello")
		a.answer().truncated()
		p.answer().failed(408, "silent")
		r.ended(pipe.Silent)
	}
}

// Without a limit a producer may be silent for as long as it likes, and blocks its channel.
func TestSilenceIsAllowed(t *testing.T) {
	t.Parallel()
	r := start(t)
	p := r.dial().request("POST", here, chunked)
	c := r.dial().get(here)
	r.waiting(1, 1)
	r.dial().post(here+"?wait=200ms", "behind").answer().failed(408, "timed_out")
	p.say(chunk("at last") + chunk(""))
	c.answer().got("at last")
	p.answer().is(200)
}
