package http1

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// chunkCases are bodies, what they hold, and their end: nil if they have none yet. Where a whole one ends is checked by
// FuzzChunk, which begins with them.
var chunkCases = []struct {
	in, want string
	err      error
}{
	{"", "", nil},
	{"0\r\n\r\n", "", io.EOF},
	{"5\r\nhello\r\n0\r\n\r\n", "hello", io.EOF},
	{"2\r\nhe\r\n00003\r\nllo\r\n000\r\n\r\n", "hello", io.EOF},
	{"000000000000005\r\nhello\r\n0\r\n\r\n", "hello", io.EOF},
	{"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\nGET /next", "01234567890123456789", io.EOF},
	{"5;name=value\r\nhello\r\n0;x\r\nTrailer: x\r\nOther:\r\n\r\n0\r\n", "hello", io.EOF},
	{"5;a=\"\xc3\xa9;\t\"\r\nhello\r\n0\r\n\r\n", "hello", io.EOF},
	{"5 \t\r\nhello\r\n0 ;x\r\n\r\n", "hello", io.EOF},
	{"5;" + strings.Repeat("x", maxExtensions-1) + "\r\nhello\r\n0\r\n\r\n", "hello", io.EOF},
	{"0\r\n" + strings.Repeat("a: b\r\n", (maxTrailer-2)/6) + "\r\n", "", io.EOF},
	{"0\r\nA: " + strings.Repeat("b", maxTrailer-7) + "\r\n\r\n", "", io.EOF},

	{"5", "", nil},
	{"5\r\nhel", "hel", nil},
	{"5\r\nhello", "hello", nil},
	{"5\r\nhello\r\n", "hello", nil},
	{"5\r\nhello\r\n0\r\n", "hello", nil},
	{"5\r\nhello\r\n0\r\nA: b\r\n", "hello", nil},
	{"fffffffffffffff\r\nhello", "hello", nil},

	// Odd sizes.
	{"\r\n", "", errChunkSize},
	{"x\r\n", "", errChunkSize},
	{";x\r\n", "", errChunkSize},
	{" 5\r\n", "", errChunkSize},
	{"0x5\r\nhello\r\n0\r\n\r\n", "", errChunkSize},
	{"-5\r\n", "", errChunkSize},
	{"+5\r\n", "", errChunkSize},
	{"1_0\r\n", "", errChunkSize},
	{"5 5\r\n", "", errChunkSize},
	{"5\v\r\n", "", errChunkSize},
	{"5\x00\r\n", "", errChunkSize},
	{"5,5\r\n", "", errChunkSize},
	{"\xef\xbc\x95\r\n", "", errChunkSize},
	{"0000000000000005\r\n", "", errChunkSize},
	{"fffffffffffffffff\r\n", "", errChunkSize},
	{"10000000000000005\r\n", "", errChunkSize},

	// Odd lines and extensions.
	{"5\nhello\r\n0\r\n\r\n", "", errChunkSize},
	{"5;\nhello\r\n0\r\n\r\n", "", errChunkLine},
	{"5\rhello\r\n0\r\n\r\n", "", errChunkLine},
	{"5\r\r\nhello\r\n", "", errChunkLine},
	{"5;a\rb\r\nhello\r\n", "", errChunkLine},
	{"5;a\x00\r\nhello\r\n", "", errChunkLine},
	{"5;" + strings.Repeat("x", maxExtensions) + "\r\n", "", errExtensions},
	{"5" + strings.Repeat(" ", maxExtensions+1) + "\r\n", "", errExtensions},

	// Odd data.
	{"5\r\nhello0\r\n\r\n", "hello", errChunkEnd},
	{"5\r\nhelloX\r\n0\r\n\r\n", "hello", errChunkEnd},
	{"5\r\nhello\n0\r\n\r\n", "hello", errChunkEnd},
	{"5\r\nhello\rX", "hello", errChunkEnd},
	{"5\r\nhello\r\n\r\n0\r\n\r\n", "hello", errChunkSize},

	// Odd trailers.
	{"0\r\n\n", "", errTrailerLine},
	{"0\r\nA b: c\r\n\r\n", "", errTrailerLine},
	{"0\r\nA : c\r\n\r\n", "", errTrailerLine},
	{"0\r\n: c\r\n\r\n", "", errTrailerLine},
	{"0\r\nA: b\r\n c\r\n\r\n", "", errTrailerLine},
	{"0\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", "", errTrailerLine},
	{"0\r\nA: b\n\r\n", "", errChunkLine},
	{"0\r\nA: b\rc\r\n\r\n", "", errChunkLine},
	{"0\r\nA: \x00\r\n\r\n", "", errChunkLine},
	{"0\r\n\rX", "", errChunkLine},
	{"0\r\n" + strings.Repeat("a: b\r\n", (maxTrailer-2)/6+1) + "\r\n", "", errTrailerBytes},
	{"0\r\nA: " + strings.Repeat("b", maxTrailer-6) + "\r\n\r\n", "", errTrailerBytes},
}

func TestChunkReader(t *testing.T) {
	for _, test := range chunkCases {
		var c ChunkReader
		data := []byte(test.in)
		body, n, err := c.Decode(data)
		if string(body) != test.want || err != test.err {
			t.Errorf("%.60q: %q, %v; want %q, %v", test.in, body, err, test.want, test.err)
			continue
		}
		if again, n, err := c.Decode([]byte("0\r\n\r\n")); test.err != nil && (len(again) > 0 || n > 0 || err != test.err) {
			t.Errorf("%.60q: after the end %q, %d, %v; want %v", test.in, again, n, err, test.err)
		}
		_, _, nextErr := c.Next(nil)
		if _, _, err := c.Decode(nil); test.err != nil && (err != test.err || nextErr != test.err) {
			t.Errorf("%.60q: after the end, without data, %v and %v; want %v", test.in, nextErr, err, test.err)
		}
		body, used, err := inPieces([]byte(test.in), func(left int) int { return 1 })
		if string(body) != test.want || err != test.err || err == io.EOF && used != n {
			t.Errorf("%.60q by the byte: %q, %d, %v; want %q, %d, %v", test.in, body, used, err, test.want, n, test.err)
		}
	}
}

// inPieces reads data with Next in pieces of the sizes that next returns.
func inPieces(data []byte, next func(left int) int) (body []byte, n int, err error) {
	var c ChunkReader
	for err == nil && n < len(data) {
		end := n + next(len(data)-n)
		for err == nil && n < end {
			var piece []byte
			var used int
			piece, used, err = c.Next(data[n:end:end])
			body = append(body, piece...)
			n += used
		}
	}
	return body, n, err
}

// TestChunkReaderHoldsNothingBack: each byte of the body is handed out as soon as it has come.
func TestChunkReaderHoldsNothingBack(t *testing.T) {
	var c ChunkReader
	for _, step := range []struct {
		sent, want, left string
		err              error
	}{
		{"a\r\nhel", "hel", "", nil},
		{"lo", "lo", "", nil},
		{"world\r\n3\r\nab", "worldab", "", nil},
		{"c\r\n4", "c", "", nil},
		{"\r\nlast\r\n0\r", "last", "", nil},
		{"\n\r", "", "", nil},
		{"\nGET", "", "GET", io.EOF},
	} {
		data := []byte(step.sent)
		body, n, err := c.Decode(data)
		if string(body) != step.want || string(data[n:]) != step.left || err != step.err {
			t.Fatalf("after %q: %q, %q is left, %v; want %q, %q, %v", step.sent, body, data[n:], err, step.want, step.left, step.err)
		}
	}
}

// TestNextPieces: Next returns parts of data, one chunk or a part of it at a time.
func TestNextPieces(t *testing.T) {
	data := []byte("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nX")
	var c ChunkReader
	var got []string
	for rest := data; ; {
		piece, n, err := c.Next(rest)
		got = append(got, fmt.Sprintf("%s %d %v", piece, n, err))
		if rest = rest[n:]; err != nil {
			break
		}
	}
	if want := "[abc 6 <nil> de 7 <nil>  7 EOF]"; fmt.Sprint(got) != want || string(data) != "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nX" {
		t.Errorf("%v; want %s; data is now %q", got, want, data)
	}
}

// TestChunksRoundTrip: whatever the chunks and the reads are, the bytes are those that were written.
func TestChunksRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var body, wire []byte
		for range random.IntN(20) {
			chunk := make([]byte, 1+random.IntN(1<<random.IntN(14)))
			for i := range chunk {
				chunk[i] = byte(random.Uint32())
			}
			body = append(body, chunk...)
			wire = AppendChunkHead(wire, len(chunk))
			wire = append(append(wire, chunk...), ChunkEnd...)
		}
		wire = append(wire, LastChunk...)
		whole := len(wire)
		wire = append(wire, "next"...)
		got, n, err := inPieces(wire, func(left int) int { return 1 + random.IntN(min(left, 9000)) })
		if err != io.EOF || n != whole || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes of %d, %v; they are not the %d sent in %d", len(got), n, err, len(body), whole)
		}
	}
}
