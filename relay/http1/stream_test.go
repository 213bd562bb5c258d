package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
)

const (
	getB   = "GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
	hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
)

// post returns a POST of HTTP/1.1 with these lines behind its Host, and what follows its head.
func post(lines, rest string) string {
	return "POST /a HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n" + rest
}

// streams are what clients send on one connection to have two programs see different requests in it, with what is seen
// here. A stream ends here where it is refused or left to net/http.
var streams = []struct {
	name, stream string
	want         []string
}{
	{"plain", post("Content-Length: 5\r\n", "hello") + getB, []string{"POST /a hello", "GET /b "}},
	{"chunked", post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n") + getB, []string{"POST /a hello", "GET /b "}},
	{"a GET with a body", "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n" + hidden + getB, []string{"GET /a " + hidden[:30]}},
	{"an empty line between", post("Content-Length: 5\r\n", "hello\r\n") + getB, []string{"POST /a hello", "GET /b "}},
	{"close", post("Content-Length: 5\r\nConnection: close\r\n", "hello") + hidden, []string{"POST /a hello"}},
	{"HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n" + hidden, []string{"GET /a "}},

	{"CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"+getB), nil},
	{"TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "23\r\n"+hidden+"\r\n0\r\n\r\n"), nil},
	{"CL.CL", post("Content-Length: 0\r\nContent-Length: 35\r\n", hidden), nil},
	{"TE.TE", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"+hidden), nil},
	{"TE behind a fold", post("A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+hidden), nil},
	{"TE behind a bare LF", post("A: b\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+hidden), nil},
	{"TE behind a bare CR", post("A: b\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+hidden), nil},
	{"TE with a blank before the colon", post("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+hidden), nil},
	{"TE behind NUL", post("\x00Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+hidden), nil},
	{"TE with an underscore", post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+getB), []string{"POST /a 0\r\n\r\n", "GET /b "}},
	{"TE in 1.0", "POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, nil},
	{"a signed length", post("Content-Length: +5\r\n", "hello"+hidden), nil},
	{"a huge length", post("Content-Length: 18446744073709551621\r\n", "hello"+hidden), nil},
	{"a length as a hop-by-hop name", post("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"+hidden), nil},
	{"absolute-form", "GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n" + hidden, nil},

	{"a chunk size beyond 64 bits", post("Transfer-Encoding: chunked\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n"+hidden), nil},
	{"a chunk size with 0x", post("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n"+hidden), nil},
	{"a bare LF in an extension", post("Transfer-Encoding: chunked\r\n", "2;\nxx\r\n23\r\n0\r\n\r\n"+hidden+"\r\n0\r\n\r\n"), nil},
	{"a bare CR behind a size", post("Transfer-Encoding: chunked\r\n", "5\rhello\r\n0\r\n\r\n"+hidden), nil},
	{"a chunk without its CRLF", post("Transfer-Encoding: chunked\r\n", "5\r\nhelloXX0\r\n\r\n"+hidden), nil},
	{"a request in the trailer", post("Transfer-Encoding: chunked\r\n", "0\r\n"+hidden), nil},
	{"a length in the trailer", post("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 35\r\n\r\n") + getB, []string{"POST /a ", "GET /b "}},
}

// FuzzStream: each request that is seen on a connection is one that net/http sees there.
func FuzzStream(f *testing.F) {
	for _, test := range streams {
		f.Add([]byte(test.stream))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		ours, theirs := requests(stream), netHTTPRequests(stream)
		if netHTTPIsStricter(stream) {
			ours = ours[:min(len(ours), len(theirs))]
		}
		if len(ours) > len(theirs) || !slices.Equal(ours, theirs[:len(ours)]) {
			t.Errorf("%.500q is %q, and for net/http %q", stream, ours, theirs)
		}
	})
}

func TestStreams(t *testing.T) {
	for _, test := range streams {
		if got := requests([]byte(test.stream)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q; want %q", test.name, got, test.want)
		}
	}
}

// requests returns the whole requests at the beginning of stream, up to the first that is not taken.
func requests(stream []byte) (seen []string) {
	stream = bytes.Clone(stream)
	p := Parser{MaxHead: testMaxHead}
	for {
		var head Head
		n, err := p.Parse(stream, &head)
		if err != nil {
			return seen
		}
		stream = stream[n:]
		var body []byte
		switch length := head.BodyLength(); {
		case head.Chunked:
			var c ChunkReader
			if body, n, err = c.Decode(stream); err != io.EOF {
				return seen
			}
		case length > int64(len(stream)):
			return seen
		default:
			body, n = stream[:length], int(length)
		}
		seen = append(seen, fmt.Sprintf("%s %s %s", head.Method, head.Target, body))
		if stream = stream[n:]; head.Close {
			return seen
		}
	}
}

// netHTTPRequests returns the whole requests at the beginning of stream, up to the first that net/http refuses.
func netHTTPRequests(stream []byte) (seen []string) {
	buffered := bufio.NewReader(bytes.NewReader(stream))
	for {
		for range 2 { // as http.Server does, but not only behind a POST
			if line, _ := buffered.Peek(2); string(line) == "\r\n" {
				buffered.Discard(2)
			}
		}
		r, err := http.ReadRequest(buffered)
		if err != nil {
			return seen
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return seen
		}
		seen = append(seen, fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body))
		if r.Close {
			return seen
		}
	}
}
