package http1

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

const curlGet = "GET /channels/demo/hello HTTP/1.1\r\nHost: localhost:3000\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n"

const curlPost = "POST /channels/demo/hello HTTP/1.1\r\nHost: localhost:3000\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n" +
	"Content-Length: 5\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nhello"

// browserGet is what a browser sends behind a proxy.
const browserGet = "GET /channels/demo/hello?wait=25s HTTP/1.1\r\nHost: relay.example\r\nSec-Ch-Ua: \"Chromium\";v=\"142\"\r\n" +
	"Sec-Ch-Ua-Mobile: ?0\r\nSec-Ch-Ua-Platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n" +
	"Sec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n" +
	"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nConnection: keep-alive\r\n\r\n"

// TestAllocations: a head that is taken costs one allocation, the copy of its bytes, and one more for a new Head;
// nothing else allocates.
func TestAllocations(t *testing.T) {
	var head Head
	p := Parser{MaxHead: testMaxHead}
	check := func(name string, want float64, f func()) {
		t.Helper()
		if got := testing.AllocsPerRun(100, f); got != want {
			t.Errorf("%s allocates %v times; want %v", name, got, want)
		}
	}
	parses := func(text string, want error) func() {
		data := []byte(text)
		return func() {
			if _, err := p.Parse(data, &head); err != want {
				t.Fatal(err)
			}
		}
	}
	check("a head", 1, parses(browserGet, nil))
	half, whole := parses(curlGet[:30], ErrIncomplete), parses(curlGet, nil)
	check("a head in pieces", 1, func() { half(); whole() })
	data := []byte(curlPost)
	check("a head into a new Head", 2, func() {
		var head Head
		p.Parse(data, &head)
	})
	check("a request for net/http", 0, parses("OPTIONS /a HTTP/1.1\r\nHost: x\r\n\r\n", ErrNotPlain))
	check("a refusal", 0, parses("GET /a HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", errBareLF))

	p.Parse([]byte(browserGet), &head)
	check("looking a field up", 0, func() {
		if head.Get("x-forwarded-proto") != "https" || head.Get("none") != "" {
			t.Fatal("a field is missing")
		}
		for value := range head.Values("ACCEPT") {
			if value == "" {
				t.Fatal("a value is missing")
			}
		}
	})

	wire := make([]byte, 0, 1024)
	check("a response", 0, func() {
		wire = AppendResponse(wire[:0], 1, 200, Field{"Content-Type", "text/plain"}, Field{"Httpipe-Exchange", "a"})
		wire = AppendIntField(wire, "Content-Length", 1<<40)
		wire = append(AppendChunkHead(wire, 5), "hello"...)
	})
	body := []byte("5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n")
	buffer := make([]byte, len(body))
	check("a chunked body", 0, func() {
		var c ChunkReader
		copy(buffer, body)
		if _, _, err := c.Decode(buffer); err != io.EOF {
			t.Fatal(err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, bench := range []struct{ name, head string }{
		{"curl-get", curlGet}, {"curl-post", curlPost}, {"browser", browserGet},
	} {
		b.Run(bench.name, func(b *testing.B) {
			data := []byte(bench.head)
			p := Parser{MaxHead: testMaxHead}
			var head Head
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Parse(data, &head); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadRequest is what net/http needs for the same heads.
func BenchmarkReadRequest(b *testing.B) {
	for _, bench := range []struct{ name, head string }{{"curl-get", curlGet}, {"browser", browserGet}} {
		b.Run(bench.name, func(b *testing.B) {
			in := strings.NewReader(bench.head)
			buffered := bufio.NewReader(in)
			b.ReportAllocs()
			for b.Loop() {
				in.Reset(bench.head)
				buffered.Reset(in)
				if _, err := http.ReadRequest(buffered); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	var head Head
	p := Parser{MaxHead: testMaxHead}
	p.Parse([]byte(browserGet), &head)
	for b.Loop() {
		head.Lookup("Range")
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	wire := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		wire = AppendResponse(wire[:0], 1, 200,
			Field{"Httpipe-Exchange", "019ac8c5-8a4b-7c3e-9d1f-2b3c4d5e6f70"}, Field{"Content-Type", "application/octet-stream"},
			Field{"Content-Length", "5"}, Field{"Cache-Control", "no-store, no-transform"}, Field{"X-Accel-Buffering", "no"},
			Field{"X-Content-Type-Options", "nosniff"}, Field{"X-Robots-Tag", "none"},
			Field{"Content-Security-Policy", "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts"})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, bench := range []struct {
		name string
		size int
	}{{"5B", 5}, {"1KiB", 1 << 10}, {"64KiB", 64 << 10}} {
		b.Run(bench.name, func(b *testing.B) {
			chunk := append(append(AppendChunkHead(nil, bench.size), strings.Repeat("x", bench.size)...), ChunkEnd...)
			buffer := make([]byte, len(chunk))
			var c ChunkReader
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				copy(buffer, chunk)
				if body, _, err := c.Decode(buffer); len(body) != bench.size || err != nil {
					b.Fatal(errors.New("decoded wrong"), err)
				}
			}
		})
	}
}
