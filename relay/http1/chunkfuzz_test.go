package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// FuzzChunk: a body is whole, incomplete or malformed by the rules of the package's documentation, which decodeByRules
// holds in another form; net/http reads a whole body the same; and the pieces in which the bytes come change nothing.
func FuzzChunk(f *testing.F) {
	for _, test := range chunkCases {
		f.Add([]byte(test.in), uint64(len(test.in)))
	}
	f.Fuzz(func(t *testing.T, wire []byte, seed uint64) {
		var c ChunkReader
		body, n, err := c.Decode(bytes.Clone(wire))
		want, end, whole := decodeByRules(string(wire))
		if (err == io.EOF) != whole || !strings.HasPrefix(string(body), want) || whole && (string(body) != want || n != end) {
			t.Fatalf("%.300q is %q, %d, %v; by the rules it is %q, %d, whole %v", wire, body, n, err, want, end, whole)
		}
		pieces, n2, err2 := inPieces(bytes.Clone(wire), func(left int) int {
			seed = seed*6364136223846793005 + 1442695040888963407
			return 1 + int(seed>>33)%min(left, 8)
		})
		if !bytes.Equal(pieces, body) || err2 != err || err == io.EOF && n2 != n {
			t.Fatalf("%.300q in pieces is %q, %d, %v; at once %q, %d, %v", wire, pieces, n2, err2, body, n, err)
		}
		theirs, left, theirErr := asNetHTTPReads(wire)
		switch {
		case err == io.EOF && theirErr == nil:
			if !bytes.Equal(theirs, body) || left != len(wire)-n {
				t.Fatalf("%.300q is %q with %d bytes left; for net/http %q with %d", wire, body, len(wire)-n, theirs, left)
			}
		case err == io.EOF && !netHTTPIsStricter(wire[:n]):
			t.Fatalf("%.300q is whole, but net/http says %v", wire, theirErr)
		case err == nil && theirErr == nil:
			t.Fatalf("%.300q is incomplete, but whole for net/http", wire)
		case err == nil && !bytes.HasPrefix(body, theirs) && !bytes.HasPrefix(theirs, body):
			t.Fatalf("%.300q is %q so far; for net/http %q", wire, body, theirs)
		}
	})
}

// The rules of the package's documentation as expressions, for decodeByRules.
var (
	sizeLineRule = regexp.MustCompile(`^([0-9a-fA-F]{1,15})([ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?)` + "\r\n")
	trailerRule  = regexp.MustCompile("^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\\x00-\\x08\\x0a-\\x1f\\x7f]*\r\n)*\r\n")
)

// decodeByRules decodes wire in the simplest way. It returns whether the body is whole, and then also its end.
func decodeByRules(wire string) (body string, end int, whole bool) {
	for {
		line := sizeLineRule.FindStringSubmatch(wire[end:])
		if line == nil || len(line[2]) > maxExtensions {
			return body, 0, false
		}
		end += len(line[0])
		size, err := strconv.ParseInt(line[1], 16, 64)
		if err != nil {
			return body, 0, false
		}
		if size == 0 {
			trailer := trailerRule.FindString(wire[end:])
			return body, end + len(trailer), trailer != "" && len(trailer) <= maxTrailer
		}
		if int64(len(wire)-end) < size+2 || wire[end+int(size):][:2] != "\r\n" {
			return body, 0, false
		}
		body += wire[end:][:size]
		end += int(size) + 2
	}
}

// asNetHTTPReads returns the body as net/http reads it, and how many bytes are left behind it.
func asNetHTTPReads(wire []byte) (body []byte, left int, err error) {
	all := io.MultiReader(strings.NewReader("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), bytes.NewReader(wire))
	buffered := bufio.NewReader(all)
	r, err := http.ReadRequest(buffered)
	if err != nil {
		return nil, 0, err
	}
	body, err = io.ReadAll(r.Body)
	rest, _ := io.ReadAll(buffered)
	return body, len(rest), err
}

// theirLine is a size line that net/http refuses: it takes no blank before the semicolon.
var theirLine = regexp.MustCompile(`(?m)^[0-9a-fA-F]+[ \t]+;`)

// netHTTPIsStricter reports whether net/http may refuse a whole body: it bounds lines, trailers and what is not data to
// 4 KiB and more, and takes no blank before an extension.
func netHTTPIsStricter(wire []byte) bool { return len(wire) >= 4<<10 || theirLine.Match(wire) }
