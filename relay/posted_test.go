package relay

import (
	"strings"
	"testing"
)

// TestPostedText: a GET with method=post sends the text in its URL.
func TestPostedText(t *testing.T) {
	r := start(t)
	for query, want := range map[string]string{
		"?method=post&body=hello":                  "hello",
		"?body=a%20b+c%26%C3%A9&x=1&method=POST":   "a b c&é",
		"?method=post":                             "",
		"?m%65thod=post&bod%79=x&wait=10s&headers": "x",
	} {
		p := r.dial().Get(here + query)
		r.Waiting(1, 0)
		a := r.dial().Get(here + "?headers").Answer().Got(want)
		if a.Header.Get("Content-Type") != "text/plain; charset=utf-8" || a.ContentLength != int64(len(want)) || a.Header.Get("Httpipe-Method") != "GET" {
			t.Errorf("%s: the message has %v", query, a.Header)
		}
		p.Answer().Got("")
		p.Post(here, "next").Unanswered() // the connection carries on
		r.dial().Get(here).Answer().Got("next")
		r.Vanished()
	}
}

// TestPostedTextBeyondReadAhead: what follows the request on the connection is never taken for the rest of the text.
func TestPostedTextBeyondReadAhead(t *testing.T) {
	r := start(t, func(s *settings) { s.ReadAhead = 1 << 10 })
	text, dropped := strings.Repeat("x", 2<<10), strings.Repeat("y", 2*readLast)
	p := r.dial().Request("GET", here+"?method=post&body="+text, length(len(dropped))).Say(dropped)
	r.Waiting(1, 0)
	c := r.dial().Get(here)
	p.Post(here, "next")
	c.Answer().Got(text)
	p.Answer().Is(200)
}

// TestPostedTextRefused: such a GET is refused if its query is not clear, or if its client does not mean to send anything.
func TestPostedTextRefused(t *testing.T) {
	r := start(t, maxBody(10))
	for query, code := range map[string]string{
		"?method=":                        "bad_request",
		"?method":                         "bad_request",
		"?method=get&body=x":              "bad_request",
		"?method=delete":                  "bad_request",
		"?method=post&method=post&body=x": "bad_request",
		"?method=post&body=x&body=y":      "bad_request",
		"?method=post&body=%zz":           "bad_wait",
		"?method=post&wait=x":             "bad_wait",
	} {
		r.dial().Get(here+query).Answer().Failed(400, code)
	}
	r.dial().Get(here+"?method=post&body=12345678901").Answer().Failed(413, "too_large")
	r.dial().Get(here+"?method=post&body=x&wait=0").Answer().Failed(408, "timed_out")
	for _, test := range noConsumers {
		a := r.dial().Get(here+"?method=post&body=x", test.headers...).Answer().Failed(400, "not_a_consumer")
		if !strings.Contains(a.Text, "must not send a message") {
			t.Errorf("%q: the text is %q", test.headers, a.Text)
		}
	}
	r.Vanished()
	p := r.dial().Request("GET", here+"?method=post&body=x", "Content-Length: 5").Say("drop ")
	r.dial().Get(here).Answer().Got("x")
	p.Answer().Is(200)
}

// TestPostedTextIsWithdrawn: a client that hangs up takes its text along, and a POST ignores the parameters.
func TestPostedTextIsWithdrawn(t *testing.T) {
	r := start(t)
	p := r.dial().Get(here + "?method=post&body=x")
	r.Waiting(1, 0)
	p.HangUp()
	r.Vanished()
	r.dial().Get(here+"?wait=0").Answer().Failed(408, "timed_out")
	r.dial().Post(here+"?method=put&body=x", "y")
	r.dial().Get(here).Answer().Got("y")
}
