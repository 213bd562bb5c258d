package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAppendResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where it is midnight, 2000-01-01
		got := string(AppendResponse([]byte("before|"), 1, 200, Field{"content-TYPE", "text/plain"}, Field{"Content-Length", "5"}))
		want := "before|HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
		if got != want {
			t.Errorf("%q; want %q", got, want)
		}
		got = string(AppendResponse(nil, 0, 599))
		if want := "HTTP/1.0 599 status code 599\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\n\r\n"; got != want {
			t.Errorf("%q; want %q", got, want)
		}
	})
}

// TestDate: the Date is that of the second in which it is written, in GMT.
func TestDate(t *testing.T) {
	zone := time.FixedZone("", 2*60*60)
	for _, at := range []time.Time{
		time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 28, 10, 0, 0, 999999999, zone), // the same second
		time.Date(2026, 11, 28, 8, 0, 1, 0, time.UTC),
		time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC), // the clock was set back
		time.Date(2027, 2, 3, 4, 5, 6, 0, zone),
	} {
		want := "Date: " + at.UTC().Format(http.TimeFormat) + "\r\n"
		if got := string(appendDate(nil, at)); got != want {
			t.Errorf("%v: %q; want %q", at, got, want)
		}
	}
}

// TestAppendFieldAsNetHTTP: a field is written as net/http writes it, and cannot begin another line.
func TestAppendFieldAsNetHTTP(t *testing.T) {
	for _, f := range []Field{
		{"Content-Type", "text/plain; charset=utf-8"},
		{"content-type", "a"},
		{"x-HTTPIPE-eXchange", "a"},
		{"ETag", "\"a\""},
		{"A--b-", "a"},
		{"-", "a"},
		{"X-1a", "a"},
		{"A", ""},
		{"A", "  \t a b\t c \t"},
		{"A", "caf\xc3\xa9 \xff"},
		{"A", "b\r\nSet-Cookie: c"},
		{"A", "b\nc"},
		{"A", "b\rc"},
		{"A", "\r\n\r\nbody"},
		{"A", "b\r\n"},
		{"A b", "c"},
		{"A\r\nB", "c"},
		{"A:", "c"},
		{"Caf\xc3\xa9", "c"},
	} {
		header := make(http.Header)
		header.Set(f.Name, f.Value)
		var want bytes.Buffer
		header.Write(&want)
		if got := string(AppendField(nil, f.Name, f.Value)); got != want.String() {
			t.Errorf("%q: %q; net/http writes %q", f, got, want.String())
		}
	}
	// net/http would write these, and no client could read them.
	if got := string(AppendField([]byte("|"), "", "a")); got != "|" {
		t.Errorf("without a name: %q", got)
	}
	if got := string(AppendField(nil, "A", "b\x00c\x7fd\x01")); got != "A: b c d\r\n" {
		t.Errorf("with control characters: %q", got)
	}
}

// TestAppendFieldIsOneLine: no byte in a name or a value ends the line.
func TestAppendFieldIsOneLine(t *testing.T) {
	for b := range 256 {
		c := string([]byte{byte(b)})
		for _, f := range []Field{{"A" + c + "B", "d"}, {c, "d"}, {"A", "b" + c + "d"}, {"A", c}, {"A", c + c + "b" + c}} {
			line := string(AppendField(nil, f.Name, f.Value))
			if line != "" && strings.IndexAny(line, "\r\n\x00") != len(line)-2 {
				t.Errorf("%q becomes %q", f, line)
			}
		}
	}
}

func TestAppendIntField(t *testing.T) {
	for value, want := range map[int64]string{0: "A: 0\r\n", 1<<63 - 1: "A: 9223372036854775807\r\n"} {
		if got := string(AppendIntField(nil, "A", value)); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}

func TestStatusText(t *testing.T) {
	for status := -1; status < 1100; status++ {
		if got, want := statusText(status), http.StatusText(status); got != want {
			t.Errorf("%d: %q; want %q", status, got, want)
		}
	}
}

// TestClientReads: net/http's client reads what is appended.
func TestClientReads(t *testing.T) {
	wire := AppendResponse([]byte(Continue), 1, 200, Field{"Transfer-Encoding", "chunked"}, Field{"A", "b"})
	for _, piece := range []string{"hello", strings.Repeat("x", 0xabc)} {
		wire = append(append(AppendChunkHead(wire, len(piece)), piece...), ChunkEnd...)
	}
	wire = append(wire, LastChunk...)
	wire = AppendStatus(wire, 1, 404)
	wire = AppendIntField(wire, "Content-Length", 3)
	wire = append(append(wire, HeadEnd...), "end"...)

	buffered := bufio.NewReader(bytes.NewReader(wire))
	for _, want := range []struct {
		status, body string
		coding       []string
	}{
		{"100 Continue", "", nil},
		{"200 OK", "hello" + strings.Repeat("x", 0xabc), []string{"chunked"}},
		{"404 Not Found", "end", nil},
	} {
		r, err := http.ReadResponse(buffered, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Status != want.status || string(body) != want.body || !slices.Equal(r.TransferEncoding, want.coding) {
			t.Errorf("%s %q %.20q, %v; want %+.20q", r.Status, r.TransferEncoding, body, err, want)
		}
	}
	if buffered.Buffered() > 0 {
		t.Errorf("%d bytes are left", buffered.Buffered())
	}
}

func TestAppendChunkHeadRefusesNoData(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a chunk without data was begun, which ends the body")
		}
	}()
	AppendChunkHead(nil, 0)
}
