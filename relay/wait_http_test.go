package relay

import (
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
)

// How long a request waits, and the answer if no partner came.

func TestBadWait(t *testing.T) {
	r := start(t)
	for _, path := range []string{here + "?wait=soon", here + "?wait=1&wait=2", here + "?x=%zz", here + "?wait=1;x"} {
		for _, a := range []*answer{r.dial().Get(path).Answer(), r.dial().Post(path, "hello").Answer()} {
			a.Failed(400, "bad_wait")
		}
	}
	r.Vanished()
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
		r := start(t, func(c *settings) { c.RequestTimeout = test.limit })
		for _, method := range []string{"GET", "POST"} {
			began := time.Now()
			a := r.dial().Request(method, test.path, test.headers...).Answer().Failed(408, "timed_out")
			if took := time.Since(began); took < test.want || took > test.want+noise {
				t.Errorf("%v %s %v: it took %v, want %v", test.limit, test.path, test.headers, took, test.want)
			}
			want := "timed_out: no partner came before the wait was over\n"
			if method == "GET" {
				want = ""
			}
			if a.Text != want {
				t.Errorf("%s: the body is %q, want %q", method, a.Text, want)
			}
		}
	}
}

// The limit is for the wait, never for the exchange.
func TestAnExchangeOutlastsTheWait(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *settings) { c.RequestTimeout = time.Second })
	p := r.dial().Request("POST", here+"?wait=900ms", chunked).Say(chunk("hel"))
	body := r.dial().Get(here + "?wait=900ms").Head().Body
	reads(t, body, "hel")
	r.dial().Get(here).Answer().Failed(408, "timed_out") // which takes a second
	p.Say(chunk("lo") + chunk(""))
	reads(t, body, "lo")
	p.Answer().Is(200)
}

// A request that does not wait is served if it is part of the next pair on arrival, and opens no channel otherwise.
func TestWaitZero(t *testing.T) {
	const now = here + "?wait=0"
	r := start(t)
	r.dial().Get(now).Answer().Failed(408, "timed_out")
	r.dial().Post(now, "hello").Answer().Failed(408, "timed_out")
	r.Vanished()

	p := r.dial().Post(here, "hello")
	r.Waiting(1, 0)
	r.dial().Post(now, "behind").Answer().Failed(408, "timed_out")
	r.dial().Get(now).Answer().Got("hello")
	p.Answer().Is(200)

	c := r.dial().Get(here)
	r.Waiting(0, 1)
	r.dial().Get(now).Answer().Failed(408, "timed_out")
	r.dial().Post(now, "hello").Answer().Is(200)
	c.Answer().Got("hello")

	r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	r.dial().Get(now).Answer().Failed(408, "timed_out")
	r.dial().Post(here, "hello")
	r.Waiting(1, 0)
	r.dial().Get(now).Answer().Failed(408, "timed_out") // an exchange runs
}

// A consumer prints what it gets, so what is no message has no body, unless it asks for JSON.
func TestErrorsInJSON(t *testing.T) {
	r := start(t)
	for _, accept := range []string{"application/json", "text/html, application/problem+json;q=0.1"} {
		for _, c := range []*client{
			r.dial().Get(here+"?wait=0", "Accept: "+accept),
			r.dial().Post(here+"?wait=0", "", "Accept: "+accept),
		} {
			a := c.Answer().Failed(408, "timed_out")
			want := `{"title":"Request Timeout","status":408,"detail":"no partner came before the wait was over","code":"timed_out"}` + "\n"
			if kind := a.Header.Get("Content-Type"); a.Text != want || kind != "application/problem+json" {
				t.Errorf("the problem is %q (%s), want %q", a.Text, kind, want)
			}
		}
	}
	a := r.dial().Get(here+"?wait=x", "Accept: text/plain").Answer().Failed(400, "bad_wait")
	if want := `wait="x" must be a time between 0 and 24h, such as 25s, 1m30s or 25 (seconds)`; !strings.Contains(a.Text, want) {
		t.Errorf("the error is %q, want %q", a.Text, want)
	}
	if got := r.dial().Get(here+"?wait=%zz", "Accept: text/plain").Answer().Failed(400, "bad_wait").Text; !strings.Contains(got, `"%zz" is not a percent-encoded character`) {
		t.Errorf("the error is %q", got)
	}
	if kind := a.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
		t.Errorf("the error's type is %q", kind)
	}
}

// Before the exchange begins a producer that sends nothing is sent away, and its consumer keeps its place.
func TestSilenceBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	const limit = 200 * time.Millisecond
	r := start(t, silentFor(limit))
	for _, framing := range []string{length(5), chunked} {
		p := r.dial().Request("POST", here, framing)
		r.Waiting(1, 0)
		began := time.Now()
		c := r.dial().Get(here)
		p.Answer().Failed(408, "silent")
		if took := time.Since(began); took < limit || took > limit+noise {
			t.Errorf("it took %v", took)
		}
		r.Waiting(0, 1)
		r.dial().Post(here, "hello").Answer().Is(200)
		c.Answer().Got("hello")
	}
}

func TestSilenceHalfway(t *testing.T) {
	t.Parallel()
	r := start(t, silentFor(100*time.Millisecond))
	for _, framing := range []string{length(10), spliced, chunked} {
		p := r.dial().Request("POST", here, framing)
		if framing == chunked {
			p.Say("5\r\n")
		}
		a := r.dial().Get(here)
		p.Say("hello")
		a.Answer().Truncated()
		p.Answer().Failed(408, "silent")
		r.Ended(pipe.Silent)
	}
}

// Without a limit a producer may be silent for as long as it likes, and blocks its channel.
func TestSilenceIsAllowed(t *testing.T) {
	t.Parallel()
	r := start(t)
	p := r.dial().Request("POST", here, chunked)
	c := r.dial().Get(here)
	r.Waiting(1, 1)
	r.dial().Post(here+"?wait=200ms", "behind").Answer().Failed(408, "timed_out")
	p.Say(chunk("at last") + chunk(""))
	c.Answer().Got("at last")
	p.Answer().Is(200)
}
