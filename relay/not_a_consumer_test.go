package relay

import (
	"strings"
	"testing"
)

// noConsumers are headers of a GET that takes nothing, with a part of what its client is told.
var noConsumers = []struct {
	headers []string
	advice  string
}{
	{[]string{"Service-Worker: script"}, "service worker"},
	{[]string{"service-worker: Script"}, "service worker"},
	{[]string{"Sec-Purpose: prefetch"}, "prefetches or previews"},
	{[]string{"Sec-Purpose: prefetch;anonymous-client-ip"}, "prefetches or previews"},
	{[]string{"Sec-Purpose: prefetch;prerender"}, "prefetches or previews"},
	{[]string{"Purpose: Preview"}, "prefetches or previews"},
	{[]string{"X-Purpose: preview"}, "prefetches or previews"},
	{[]string{"X-Purpose: : preview"}, "prefetches or previews"}, // Safari once sent this
	{[]string{"X-Moz: prefetch"}, "prefetches or previews"},
	{[]string{"Purpose: other, prefetch"}, "prefetches or previews"},
	{[]string{"Purpose: other", "Purpose: prefetch"}, "prefetches or previews"},
	{[]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, "WebSocket"},
	{[]string{"Connection: keep-alive, Upgrade", "Upgrade: WebSocket"}, "WebSocket"},
	{[]string{"Upgrade: h2c, websocket"}, "WebSocket"},
	{[]string{"Upgrade: h2c", "Upgrade: websocket"}, "WebSocket"},
	{[]string{"Connection: Upgrade", "Upgrade: SPDY/3.1"}, "another protocol"},
	{[]string{"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, "WebSocket"}, // what nginx passes on
	{[]string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, "another site"},
	{[]string{"sec-fetch-site: Cross-Site", "sec-fetch-mode: No-CORS"}, "another site"},
	{[]string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, "another site"},
	{[]string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, "another site"},
	{[]string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: frame"}, "another site"},
	{[]string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: fencedframe"}, "another site"},
	{[]string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: object"}, "another site"},
	{[]string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: embed"}, "another site"},
	{[]string{"Range: bytes=100-"}, "Range"},
	{[]string{"Range: bytes=1-2"}, "Range"},
	{[]string{"Range: bytes=-5"}, "Range"},
	{[]string{"Range: bytes=-0"}, "Range"},
	{[]string{"Range: bytes=10-"}, "Range"},
	{[]string{"Range: Bytes=5-"}, "Range"},
	{[]string{"range: bytes=5-"}, "Range"},
	{[]string{"Range: bytes=0-1,5-6"}, "Range"},
	{[]string{"Range: bytes=0-,0-"}, "Range"},
	{[]string{"Range: bytes=0-", "Range: bytes=5-"}, "Range"},
	{[]string{"Range: bytes=99999999999999999999999999-"}, "Range"},
	{[]string{"Range: bytes"}, "Range"},
	{[]string{"Range: bytes="}, "Range"},
	{[]string{"Range: bytes=0"}, "Range"},
	{[]string{"Range: bytes=a-"}, "Range"},
	{[]string{"Range: 0-"}, "Range"},
	{[]string{"Range: seconds=0-"}, "Range"},
	{[]string{"Range: garbage"}, "Range"},
	{[]string{"Range: bytes=5-", `If-Range: "tag"`}, "Range"},
	{[]string{"Range: bytes=5-", "If-Range: Sat, 28 Nov 2026 07:00:00 GMT"}, "Range"},
}

// consumers are headers of a GET that takes a message, and gets all of it.
var consumers = [][]string{
	{"Range: bytes=0-"},
	{"Range: BYTES=00-"},
	{"Range: bytes=0-99"},
	{"Range: bytes=0-, "},
	{"Range: "},
	{"Range: bytes=0-", `If-Range: "tag"`},
	{`If-Range: "tag"`},
	{`If-None-Match: "tag"`, "If-Modified-Since: Sat, 28 Nov 2026 07:00:00 GMT"},
	{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"}, // Java, curl --http2
	{"Connection: Upgrade", "Upgrade: TLS/1.2"},                                                         // Apache HttpClient
	{"Upgrade-Insecure-Requests: 1"},
	{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"},
	{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"},
	{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors"},
	{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"},
	{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"},
	{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"},
	{"Purpose: pleasure"},
	{"X-Purpose: prefetching"},
	{"Service-Worker: no"},
}

func TestWhoIsNoConsumer(t *testing.T) {
	t.Parallel()
	r := start(t)
	p := r.dial().Post(here, "hello")
	r.Waiting(1, 0)
	for _, test := range noConsumers {
		a := r.dial().Get(here, test.headers...).Answer().Failed(400, "not_a_consumer")
		if !strings.Contains(a.Text, test.advice) {
			t.Errorf("%q is told %q, want something about %q", test.headers, a.Text, test.advice)
		}
		r.dial().Request("HEAD", here, test.headers...).Answer().Is(200)
	}
	r.Waiting(1, 0)
	r.dial().Get(here).Answer().Got("hello")
	p.Answer().Is(200)
	for _, headers := range consumers {
		p := r.dial().Post(here, "hello")
		a := r.dial().Get(here, headers...).Answer().Got("hello")
		if a.Header.Get("Content-Range") != "" || a.Header.Get("Accept-Ranges") != "" {
			t.Errorf("%q: %v", headers, a.Header)
		}
		p.Answer().Is(200)
	}
	r.Vanished()
}
