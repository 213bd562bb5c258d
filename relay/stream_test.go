package relay

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"httpipe/reply"

	"httpipe/test/rawhttp"
)

// What passes through: bytes as they come, unchanged, and the headers that say what they are.

func TestEveryByteComesBeforeTheNextIsSent(t *testing.T) {
	const message = "byte by byte"
	const oneChunk = chunked + "\r\nX-All: in one chunk"
	for _, framing := range []string{chunked, oneChunk, length(len(message))} {
		r := start(t)
		p := r.dial().Request("POST", here, framing)
		if framing == oneChunk {
			p.Say(fmt.Sprintf("%x\r\n", len(message)))
		}
		c := r.dial().Get(here)
		r.Waiting(1, 1) // no byte, no exchange
		var body io.Reader
		for i := range len(message) {
			b := message[i : i+1]
			if framing == chunked {
				p.Say(chunk(b))
			} else {
				p.Say(b)
			}
			if body == nil {
				body = c.Head().Body
			}
			reads(t, body, b)
		}
		switch framing {
		case chunked:
			p.Say(chunk(""))
		case oneChunk:
			p.Say("\r\n" + chunk(""))
		}
		p.Answer().Is(200)
		if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
			t.Errorf("after the body: %q, %v", rest, err)
		}
	}
}

// Bytes of all values, in pieces of many sizes, arrive as they were sent.
func TestBytesAreNotChanged(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	message := make([]byte, 5<<20)
	random.Read(message)
	r := start(t)
	p := r.dial().Request("POST", here, chunked)
	go func() {
		for rest, n := message, 1; len(rest) > 0; n = n*3 + 1 {
			n = min(n%300_000, len(rest))
			io.WriteString(p, chunk(string(rest[:n])))
			rest = rest[n:]
		}
		io.WriteString(p, chunk(""))
	}()
	r.dial().Get(here).Answer().Got(string(message))
	p.Answer().Is(200)
}

// ours are the headers that every message carries.
var ours = map[string]string{
	"Cache-Control":           "no-store, no-transform",
	"Content-Security-Policy": "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts",
	"X-Accel-Buffering":       "no",
	"X-Content-Type-Options":  "nosniff",
	"X-Robots-Tag":            "none",
}

func TestHeaders(t *testing.T) {
	const octets = "application/octet-stream"
	for _, test := range []struct {
		sent []string
		want map[string]string // besides ours
	}{
		{nil, map[string]string{"Content-Type": octets, "Content-Length": "5"}},
		{[]string{"Content-Type: application/x-www-form-urlencoded"}, map[string]string{"Content-Type": octets, "Content-Length": "5"}},
		{[]string{"Content-Type: application/x-www-form-urlencoded; charset=utf-8"},
			map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Content-Length": "5"}},
		{[]string{"Content-Type: text/html; charset=latin1", "Content-Language: de", "Content-Language: fr"},
			map[string]string{"Content-Type": "text/html; charset=latin1", "Content-Language": "de, fr", "Content-Length": "5"}},
		{[]string{"Content-Encoding: gzip", `Content-Disposition: attachment; filename="x.gz"`}, map[string]string{
			"Content-Type": octets, "Content-Encoding": "gzip", "Content-Disposition": `attachment; filename="x.gz"`, "Content-Length": "5"}},
		{[]string{"X-Secret: 1", "Cookie: a=b", "ETag: x", "Set-Cookie: a=b", "Location: /", "Authorization: Basic eA=="},
			map[string]string{"Content-Type": octets, "Content-Length": "5"}},
	} {
		r := start(t)
		p := r.dial().Post(here, "hello", test.sent...)
		got := r.dial().Get(here, "Accept-Encoding: gzip, deflate, br").Answer().Got("hello").Header
		id := p.Answer().Is(200).Header.Get(reply.HeaderExchange)
		if id == "" || got.Get(reply.HeaderExchange) != id {
			t.Errorf("the producer's exchange is %q, the consumer's %q", id, got.Get(reply.HeaderExchange))
		}
		got.Del(reply.HeaderExchange)
		got.Del("Date")
		want := maps.Clone(test.want)
		maps.Copy(want, ours)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if v := got.Values(name); len(v) != 1 || v[0] != want[name] {
				t.Errorf("%q: %s is %q, want %q", test.sent, name, v, want[name])
			}
			got.Del(name)
		}
		if len(got) > 0 {
			t.Errorf("%q: and there is %v", test.sent, got)
		}
	}
}

func TestNoLengthIsInvented(t *testing.T) {
	r := start(t)
	p := r.dial().Request("POST", here, chunked).Say(chunk("hello") + chunk(""))
	a := r.dial().Get(here).Answer().Got("hello")
	if a.ContentLength != -1 || !slices.Equal(a.TransferEncoding, []string{"chunked"}) {
		t.Errorf("length %d, %q", a.ContentLength, a.TransferEncoding)
	}
	p.Answer().Is(200)
}

// While a producer waits the server reads no more of its body than the read-ahead; the rest stays with
// the kernels, and then with the producer.
func TestReadAheadIsBounded(t *testing.T) {
	if *rawhttp.OverTLS {
		t.Skip("this client cannot write on after a write that timed out")
	}
	const size = 20 << 20
	r := start(t)
	p := r.dial()
	p.SetWriteBuffer(64 << 10)
	p.Request("POST", here, length(size))
	took := 0
	for more := p.Fill(size); more > 0; more = p.Fill(size - took) {
		took += more
	}
	// A receive buffer begins with 128 KiB, and does not grow while no data is read.
	if limit := 1 << 20; took > limit || took < 64<<10 {
		t.Errorf("the server took %d bytes of a body that is not read", took)
	}
	r.Waiting(1, 0)
	c := r.dial().Get(here)
	go io.Copy(p, io.LimitReader(zeros{}, size-int64(took)))
	n, err := io.Copy(io.Discard, c.Head().Body)
	if n != size || err != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
	p.Answer().Is(200)
}

func TestReceipt(t *testing.T) {
	r := start(t)
	p := r.dial().Post(here, "hello", "Accept: application/json;q=0.5, */*")
	r.dial().Get(here).Answer().Got("hello")
	a := p.Answer().Is(200)
	for _, want := range []string{
		fmt.Sprintf(`{"exchange":%q,"namespace":"n","channel":"c","outcome":"delivered","bytes":5,"matched_at":"20`, a.Header.Get(reply.HeaderExchange)),
		`Z","ended_at":"20`,
	} {
		if !strings.Contains(a.Text, want) {
			t.Errorf("the receipt is %s, without %s", a.Text, want)
		}
	}
	if kind := a.Header.Get("Content-Type"); kind != "application/json" {
		t.Error("the receipt is of type ", kind)
	}
	// A wildcard is not a wish for JSON: every curl has one.
	for _, accept := range []string{"Accept: */*", "Accept: application/*", "Accept: application/json;q=0", "Accept: text/html"} {
		p := r.dial().Post(here, "hello", accept)
		r.dial().Get(here).Answer().Got("hello")
		p.Answer().Got("")
	}
}

// HTTP/1.0 has no chunks: the end of a body of unknown length is the end of the connection.
func TestHTTP10(t *testing.T) {
	r := start(t)
	p := r.dial().Say("POST " + here + " HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
	c := r.dial().Say("GET " + here + " HTTP/1.0\r\n\r\n")
	a := c.Answer().Got("hello")
	if a.ContentLength != 5 {
		t.Errorf("length %d, want 5", a.ContentLength)
	}
	p.Answer().Got("")

	p = r.dial().Request("POST", here, chunked).Say(chunk("hello") + chunk(""))
	c = r.dial().Say("GET " + here + " HTTP/1.0\r\n\r\n")
	if a := c.Answer().Got("hello"); a.ContentLength != -1 || len(a.TransferEncoding) > 0 {
		t.Errorf("length %d, %q", a.ContentLength, a.TransferEncoding)
	}
	p.Answer().Got("")

	for head, status := range map[string]int{"": http.StatusLengthRequired, "Transfer-Encoding: chunked\r\n": http.StatusBadRequest} {
		c := r.dial().Say("POST " + here + " HTTP/1.0\r\n" + head + "\r\nhello")
		c.Answer().Failed(status, "bad_request")
		if _, err := c.In.ReadByte(); err != io.EOF {
			t.Errorf("the connection ends with %v", err)
		}
	}
	r.Vanished()
}
