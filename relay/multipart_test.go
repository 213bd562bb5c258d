package relay

import (
	"io"
	"strings"
	"testing"

	"httpipe/pipe"
)

// Multipart uploads, as curl -F and HTML forms make them: the first part is the message.

const form = "Content-Type: multipart/form-data; boundary=xyz"

// part is a part of a multipart body with the boundary xyz.
func part(body string, headers ...string) string {
	return strings.Join(append([]string{"--xyz"}, headers...), "\r\n") + "\r\n\r\n" + body + "\r\n"
}

const lastPart = "--xyz--\r\n"

func TestFirstPart(t *testing.T) {
	const file = `Content-Disposition: form-data; name="f"; filename="x.txt"`
	large := strings.Repeat("larger than any buffer\r\n--xy\n", 100_000)
	for _, test := range []struct {
		body, message, kind, disposition string
	}{
		{part("hello", file, "Content-Type: text/plain") + lastPart, "hello", "text/plain", file[21:]},
		{part("hello", `Content-Disposition: form-data; name="t"`) + lastPart, "hello", "application/octet-stream", `form-data; name="t"`},
		{part("", file) + lastPart, "", "application/octet-stream", file[21:]},
		{part(large, file) + lastPart, large, "application/octet-stream", file[21:]},
		{part("first", file) + part(large, file) + lastPart + "epilogue", "first", "application/octet-stream", file[21:]},
		{"preamble\r\n" + part("hello", file) + lastPart, "hello", "application/octet-stream", file[21:]},
		{part("=41", file, "Content-Transfer-Encoding: quoted-printable") + lastPart, "=41", "application/octet-stream", file[21:]},
	} {
		for _, framing := range []string{length(len(test.body)), chunked} {
			r := start(t)
			p := r.dial().Request("POST", here, form, framing)
			if framing == chunked {
				p.Upload(chunk(test.body) + chunk(""))
			} else {
				p.Upload(test.body)
			}
			a := r.dial().Get(here).Answer().Got(test.message)
			if got := a.Header.Get("Content-Type"); got != test.kind {
				t.Errorf("%.60q: the type is %q, want %q", test.body, got, test.kind)
			}
			if got := a.Header.Get("Content-Disposition"); got != test.disposition {
				t.Errorf("%.60q: the disposition is %q, want %q", test.body, got, test.disposition)
			}
			p.Answer().Is(200)
		}
	}
}

// The bytes of a part come when they come; but some are held back that might be the boundary's.
func TestAPartIsStreamed(t *testing.T) {
	r := start(t)
	p := r.dial().Request("POST", here, form, chunked).Say(chunk(part("hello")[:len(part("hello"))-2]))
	body := r.dial().Get(here).Head().Body
	reads(t, body, "hello")
	p.Say(chunk(", world\r\n--xyz"))
	reads(t, body, ", world")
	p.Say(chunk("--\r\n") + chunk(""))
	p.Answer().Is(200)
	if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
		t.Errorf("the rest is %q, %v", rest, err)
	}
}

// No message can be made of these.
func TestBadMultipart(t *testing.T) {
	for _, test := range []struct{ header, body, code string }{
		{"Content-Type: multipart/form-data", part("hello") + lastPart, "bad_request"},
		{"Content-Type: multipart/form-data; boundary", part("hello") + lastPart, "bad_request"},
		{`Content-Type: multipart/form-data; boundary=""`, part("hello") + lastPart, "bad_request"},
		{form, "", "bad_request"},
		{form, lastPart, "bad_request"},
		{form, "no boundary anywhere", "bad_request"},
		{form, strings.Repeat("x", 8000), "bad_request"},
		{form, "--xyz\r\nno header\r\n\r\nhello\r\n" + lastPart, "bad_request"},
	} {
		r := start(t)
		c := r.dial().Get(here)
		r.Waiting(0, 1)
		a := r.dial().Post(here, test.body, test.header).Answer().Failed(400, test.code)
		if strings.Contains(a.Text, "NextPart") || strings.Contains(a.Text, "bufio") {
			t.Errorf("the client is told in words of Go: %s", a.Text)
		}
		r.Waiting(0, 1)
		r.dial().Post(here, "hello").Answer().Is(200)
		c.Answer().Got("hello")
	}
}

// A part without its end is not whole, nor is a body that is cut off behind it.
func TestTruncatedMultipart(t *testing.T) {
	whole := part("first") + part("second") + lastPart
	for _, test := range []struct {
		sent    int
		length  int
		status  int // 0: the producer is gone
		because string
	}{
		{len(part("first")) - 2, len(part("first")) - 2, 400, "no boundary ends the part"},
		{len(part("first")) + len("--xyz"), len(part("first")) + len("--xyz"), 400, "ends within the boundary"},
		{len(part("first")) + 10, len(whole), 0, "cut off in the second part"},
		{len(part("fir")) - 2, len(whole), 0, "cut off in the first part"},
	} {
		r := start(t)
		p := r.dial().Request("POST", here, form, length(test.length))
		c := r.dial().Get(here)
		r.Waiting(1, 1)
		p.Say(whole[:test.sent-1])
		body := c.Head().Body
		reads(t, body, "f")
		p.Say(whole[test.sent-1 : test.sent])
		if test.status == 0 {
			p.HangUp()
		} else {
			p.Answer().Failed(test.status, "producer_left")
		}
		if rest, err := io.ReadAll(body); err == nil {
			t.Errorf("%s: %q looks whole", test.because, "f"+string(rest))
		}
		r.Ended(pipe.ProducerLeft)
	}
}

// The limit is for the body, of which the message is a part.
func TestMultipartTooLarge(t *testing.T) {
	r := start(t, maxBody(200))
	body := part("hello") + part(strings.Repeat("x", 300)) + lastPart
	p := r.dial().Request("POST", here, form, chunked).Say(chunk(body[:30]))
	c := r.dial().Get(here)
	reads(t, c.Head().Body, "hello")
	p.Say(chunk(body[30:]) + chunk(""))
	p.Answer().Failed(413, "too_large")
	r.Ended(pipe.TooLarge)
}

// TestPartHeader: the header of a part is bounded as the head of a request is. It becomes the head of a response, of
// which proxies take so much only; and it is in memory while the producer waits.
func TestPartHeader(t *testing.T) {
	const most = 8 << 10
	r := start(t, func(c *settings) { c.MaxHeader = most })
	withHeader := func(length int) string {
		empty := part("", "Content-Disposition: ")
		return part("hello", "Content-Disposition: "+strings.Repeat("x", length-len(strings.TrimSuffix(empty, "\r\n")))) + lastPart
	}
	p := r.dial().Post(here, withHeader(most), form)
	r.dial().Get(here).Answer().Got("hello")
	p.Answer().Is(200)
	for _, body := range []string{withHeader(most + 1), withHeader(1 << 20), strings.Repeat("preamble\r\n", most)} {
		r.dial().Request("POST", here, form, chunked).Upload(chunk(body)+chunk("")).Answer().Failed(400, "bad_request")
	}
	r.Vanished()
}
