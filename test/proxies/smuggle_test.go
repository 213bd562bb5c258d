package proxies

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"httpipe/test/kit"
)

// hidden is a request within the body of another, or behind a malformed one, where a server finds it that reads the other's
// end differently than its sender. A proxy gives each request that it means to send an X-Request-ID of its own.
const (
	hidden   = "GET /channels/smuggled/target?wait=0 HTTP/1.1\r\nHost: relay.example.com\r\nX-Request-ID: smuggled\r\n\r\n"
	smuggled = "select count(*) from requests where request_id = 'smuggled'"
)

// A smuggler is a request with hidden in it.
type smuggler struct{ name, send string }

// isPlain reports whether hidden is not hidden at all for a server that takes a_b and a-b for different names, which is right.
func (a smuggler) isPlain() bool {
	return strings.Contains(a.name, "_Encoding") || strings.Contains(a.name, "Content_")
}

func smugglers() []smuggler {
	var all []smuggler
	// A channel refuses the request before its body is read. A topic takes it, and the connection goes on.
	add := func(name, send string) {
		all = append(all, smuggler{name, send})
		if topic := strings.ReplaceAll(send, "/channels/outer/a?wait=0", "/topics/outer/a"); topic != send && strings.HasPrefix(send, "POST ") {
			all = append(all, smuggler{name + ", on a topic", topic})
		}
	}
	post := func(fields, body string) string {
		return "POST /channels/outer/a?wait=0 HTTP/1.1\r\nHost: relay.example.com\r\n" + fields + "\r\n" + body
	}
	length := func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n", len(body)) }

	// One reader goes by the length, the other by the coding.
	ended := "0\r\n\r\n" + hidden
	wrapped := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	sizeLine, _, _ := strings.Cut(wrapped, "\r\n")
	short := fmt.Sprintf("Content-Length: %d\r\n", len(sizeLine)+2)
	for _, coding := range []string{
		"Transfer-Encoding: chunked\r\n", "transfer-encoding: CHUNKED\r\n", "Transfer-Encoding : chunked\r\n", "Transfer-Encoding\t: chunked\r\n",
		"Transfer-Encoding:\tchunked\r\n", "Transfer-Encoding: \vchunked\r\n", "Transfer-Encoding: chunked \r\n", "Transfer-Encoding: chunked\x00\r\n",
		"Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: \"chunked\"\r\n", "Transfer-Encoding: chunked;q=1\r\n", "Transfer-Encoding: ,chunked\r\n",
		"Transfer-Encoding: identity, chunked\r\n", "Transfer-Encoding: chunked, identity\r\n", "Transfer-Encoding: gzip, chunked\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding:\r\n chunked\r\n", "X: y\r\n Transfer-Encoding: chunked\r\n", "X: y\nTransfer-Encoding: chunked\r\n",
		"X: y\rTransfer-Encoding: chunked\r\n", "Transfer-Encoding:\nchunked\r\n", "Transfer_Encoding: chunked\r\n", " Transfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chun\xc5\xbfed\r\n", "\x00Transfer-Encoding: chunked\r\n", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
	} {
		add("a length and "+coding, post(length(ended)+coding, ended))
		add(coding+" and a length", post(coding+length(ended), ended))
		add("a short length and "+coding, post(short+coding, wrapped))
		add(coding+" and a short length", post(coding+short, wrapped))
	}
	add("a coding in HTTP/1.0", strings.Replace(post("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"+length(ended), ended), "HTTP/1.1", "HTTP/1.0", 1))

	// The length itself.
	n := len(hidden)
	for _, field := range []string{
		"Content-Length: 0\r\nContent-Length: %d\r\n", "Content-Length: %d\r\nContent-Length: 0\r\n", "Content-Length: %d, 0\r\n", "Content-Length: 0, %d\r\n",
		"Content-Length: +%d\r\n", "Content-Length: 0x%x\r\n", "Content-Length: %d\x00\r\n", "Content-Length : %d\r\n", "Content-Length\t: %d\r\n",
		"Content-Length:\r\n %d\r\n", "X: y\r\n Content-Length: %d\r\n", "X: y\nContent-Length: %d\r\n", "X: y\rContent-Length: %d\r\n", "Content-Length: %d_0\r\n",
		"Content-Length: %de0\r\n", "Content-Length: %d.0\r\n", "Content-Length: \"%d\"\r\n", "Content-Length: -%d\r\n", "Content-Length: \v%d\r\n",
		"Content_Length: %d\r\n", "Connection: Content-Length\r\nContent-Length: %d\r\n", "Connection: close, Content-Length\r\nContent-Length: %d\r\n",
	} {
		add(field, post(fmt.Sprintf(field, n), hidden))
	}
	add("a length that wraps", post(fmt.Sprintf("Content-Length: 1844674407370955%d\r\n", 1616+n), hidden))
	add("bare LFs", strings.ReplaceAll(post(length(hidden), ""), "\r\n", "\n")+hidden)

	// Chunks.
	for _, body := range []string{
		"0\n\n", "0\r\n\n", "0\n\r\n", "0\r\r\n", "0x0\r\n\r\n", "+0\r\n\r\n", "-0\r\n\r\n", " 0\r\n\r\n", "\r\n0\r\n\r\n", "00000000000000000\r\n\r\n", ";\r\n\r\n", "\r\n\r\n",
		"0;\n\r\n\r\n", "5;\nhello\r\n0\r\n\r\n", "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", "1\r\nXX\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r0\r\n\r\n",
		"10000000000000000\r\n0\r\n\r\n", "fffffffffffffffff\r\n0\r\n\r\n", "0\r\nX\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\nX : y\r\n\r\n", "0\r\nX: y\n\r\n", "g\r\n\r\n0\r\n\r\n",
	} {
		add(fmt.Sprintf("the chunks %q", body), post("Transfer-Encoding: chunked\r\n", body+hidden))
	}

	// Bodies that the server does not read, before an early answer.
	for _, line := range []string{
		"GET /channels/outer/a?wait=0", "HEAD /channels/outer/a", "DELETE /channels/outer/a", "OPTIONS /channels/outer/a", "PATCH /channels/outer/a",
		"GET /channels/outer", "GET /state", "GET /healthz", "GET /", "GET /nowhere", "POST /nowhere", "POST /channels/outer/%41", "GET /channels/outer/%41",
		"POST /channels/outer/a?wait=x", "GET /channels/outer/a?wait=x", "POST http://x/channels/outer/a?wait=0", "GET /audit", "TRACE /state", "BREW /channels/outer/a",
	} {
		add(line+" with a length", line+" HTTP/1.1\r\nHost: relay.example.com\r\n"+length(hidden)+"\r\n"+hidden)
		add(line+" in chunks", line+" HTTP/1.1\r\nHost: relay.example.com\r\nTransfer-Encoding: chunked\r\n\r\n"+wrapped)
	}
	for _, field := range []string{
		"Expect: 100-continue\r\n", "Expect: 100-continue, 100-continue\r\n", "Expect: the-moon\r\n", "Expect: x 100-continue\r\n", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n",
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Range: bytes=5-\r\n", "Connection: X-Request-ID\r\n",
		"Content-Type: multipart/form-data\r\n", "Content-Type: multipart/form-data; boundary=x\r\n", "Trailer: Content-Length\r\n", "Host: y\r\n",
	} {
		add("POST with "+field, post(field+length(hidden), hidden))
		add("GET with "+field, "GET /channels/outer/a?wait=0 HTTP/1.1\r\nHost: relay.example.com\r\n"+field+length(hidden)+"\r\n"+hidden)
	}
	return all
}

// TestSmuggling sends smugglers to the relay, directly and through each proxy with a pool, while other clients check that they
// get the answers to their own requests. The relay may serve no request but those that their sender meant.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	for _, x := range append([]proxy{{name: "directly"}}, proxies...) {
		t.Run(x.name, func(t *testing.T) {
			s := kit.Start(t, t.TempDir())
			via := s.URL
			if x.command != nil {
				via = x.startWith(t, s.URL, pooled[x.name]...)
			}
			work := make(chan smuggler)
			var wg sync.WaitGroup
			for i := range 8 {
				victim := &poolLoad{t: t, via: via}
				wg.Go(func() {
					n := 0
					for a := range work {
						a.run(t, via)
						for range 3 {
							n++
							name := fmt.Sprintf("victim-%d-%d", i, n)
							victim.is(victim.do("GET", "/channels/"+name, nil), 404, "not_found", name)
						}
					}
				})
			}
			all := smugglers()
			for _, a := range all {
				if x.command != nil || !a.isPlain() {
					work <- a
				}
			}
			close(work)
			wg.Wait()
			s.Stop(t)
			if got := s.SQLite(t, smuggled); got != "0" {
				t.Errorf("%s hidden requests were served", got)
				for _, a := range all {
					if (x.command != nil || !a.isPlain()) && a.succeeds(t, x) {
						t.Errorf("%q: %q", a.name, a.send)
					}
				}
			}
			seen := s.SQLite(t, "select (select sum(count) from requests where namespace = 'outer') + (select count(*) from publications)")
			if t.Logf("of %d requests the relay has taken %s", len(all), seen); len(seen) < 2 {
				t.Error("the relay has hardly seen any of the requests around them")
			}
		})
	}
}

// run sends a, and reads until the connection ends, or for a moment.
func (a smuggler) run(t *testing.T, url string) {
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	go io.WriteString(c, a.send)
	c.SetReadDeadline(time.Now().Add(kit.Patience))
	in := bufio.NewReader(c)
	method, _, _ := strings.Cut(a.send, " ")
	response, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		return // none
	}
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	io.Copy(io.Discard, response.Body)
	io.Copy(io.Discard, in)
}

// succeeds reports whether a alone has its hidden request served.
func (a smuggler) succeeds(t *testing.T, x proxy) bool {
	s := kit.Start(t, t.TempDir())
	via := s.URL
	if x.command != nil {
		via = x.startWith(t, s.URL, pooled[x.name]...)
	}
	a.run(t, via)
	s.Stop(t)
	return s.SQLite(t, smuggled) != "0"
}
