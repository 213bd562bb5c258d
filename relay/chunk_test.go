package relay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"
)

func TestChunkReader(t *testing.T) {
	for _, test := range []struct {
		in, want string
		err      error // nil: the whole body
	}{
		{in: "0\r\n\r\n"},
		{in: "5\r\nhello\r\n0\r\n\r\n", want: "hello"},
		{in: "2\r\nhe\r\n00003\r\nllo\r\n000\r\n\r\n", want: "hello"},
		{in: "A;name=value\r\n0123456789\r\n0;x\r\nTrailer: x\r\nOther: y\r\n\r\nleft alone", want: "0123456789"},
		{in: "5 \t\r\nhello\r\n0\r\n\r\n", want: "hello"},
		{in: "", err: io.ErrUnexpectedEOF},
		{in: "5", err: io.ErrUnexpectedEOF},
		{in: "5\r\nhel", want: "hel", err: io.ErrUnexpectedEOF},
		{in: "5\r\nhello", want: "hello", err: io.ErrUnexpectedEOF},
		{in: "5\r\nhello\r\n", want: "hello", err: io.ErrUnexpectedEOF},
		{in: "5\r\nhello\r\n0\r\n", want: "hello", err: io.ErrUnexpectedEOF},
		{in: "5\r\nhelloX\r\n0\r\n\r\n", want: "hello", err: errChunkEnd},
		{in: "5\nhello\r\n0\r\n\r\n", err: errChunkEnd},
		{in: "5;\r\r\nhello\r\n0\r\n\r\n", err: errChunkEnd},
		{in: "\r\n", err: errChunkSize},
		{in: "x\r\n", err: errChunkSize},
		{in: "0x5\r\nhello\r\n0\r\n\r\n", err: errChunkSize},
		{in: "-5\r\n", err: errChunkSize},
		{in: "+5\r\n", err: errChunkSize},
		{in: "8000000000000000\r\n", err: errChunkSize},
		{in: "ffffffffffffffffff\r\n", err: errChunkSize},
		{in: "5;" + strings.Repeat("x", 5000) + "\r\nhello\r\n0\r\n\r\n", err: errChunkLine},
		{in: "0\r\n" + strings.Repeat("a: b\r\n", maxTrailer+1) + "\r\n", err: errTrailer},
	} {
		for name, in := range map[string]io.Reader{"at once": strings.NewReader(test.in), "by the byte": iotest.OneByteReader(strings.NewReader(test.in))} {
			got, err := io.ReadAll(&chunkReader{r: bufio.NewReader(in)})
			if string(got) != test.want || !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("%.40q %s: %q, %v; want %q, %v", test.in, name, got, err, test.want, test.err)
			}
		}
	}
}

// TestChunkReaderDoesNotWait: every read gives what there is, the end with the last bytes if that is there.
func TestChunkReaderDoesNotWait(t *testing.T) {
	server, client := net.Pipe()
	defer client.Close()
	r := &chunkReader{r: bufio.NewReader(server)}
	p := make([]byte, 100)
	for _, step := range []struct {
		sent, want string
		end        error
	}{
		{"a\r\nhel", "hel", nil},
		{"lo", "lo", nil},
		{"world\r\n3\r\nab", "worldab", nil},
		{"c\r\n4", "c", nil},
		{"\r\nlast\r\n0\r", "last", nil},
		{"\n\r\n", "", io.EOF},
	} {
		go io.WriteString(client, step.sent)
		if n, err := r.Read(p); string(p[:n]) != step.want || err != step.end {
			t.Fatalf("after %q: %q, %v; want %q, %v", step.sent, p[:n], err, step.want, step.end)
		}
	}
	for _, end := range []string{"0\r\n", "0;x\r\n", "00 \r\n", "0\r\nX: y\r\n"} {
		r := &chunkReader{r: bufio.NewReader(server)}
		go io.WriteString(client, "5\r\nhello\r\n"+end)
		if n, err := r.Read(p); string(p[:n]) != "hello" || err != nil {
			t.Errorf("before the end of the trailer %q: %q, %v", end, p[:n], err)
		}
		go io.WriteString(client, "\r\n")
		if n, err := r.Read(p); n > 0 || err != io.EOF {
			t.Errorf("after the trailer %q: %q, %v", end, p[:n], err)
		}
	}
	r = &chunkReader{r: bufio.NewReader(server)}
	go io.WriteString(client, "5\r\nhello\r\n0\r\n\r\n")
	if n, err := r.Read(p); string(p[:n]) != "hello" || err != io.EOF {
		t.Errorf("the end did not come with the last bytes: %q, %v", p[:n], err)
	}
}

// TestChunkReaderAnySize: whatever the chunks and the reads are, the bytes are the same.
func TestChunkReaderAnySize(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var body, wire bytes.Buffer
		for range random.IntN(20) {
			chunk := make([]byte, 1+random.IntN(1<<random.IntN(14)))
			for i := range chunk {
				chunk[i] = byte(random.Uint32())
			}
			body.Write(chunk)
			fmt.Fprintf(&wire, "%x\r\n%s\r\n", len(chunk), chunk)
		}
		wire.WriteString("0\r\n\r\n")
		r := &chunkReader{r: bufio.NewReader(iotest.HalfReader(&wire))}
		var got bytes.Buffer
		p := make([]byte, 1+random.IntN(9000))
		for {
			n, err := r.Read(p[:1+random.IntN(len(p))])
			got.Write(p[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got.Bytes(), body.Bytes()) {
			t.Fatalf("%d bytes are not the %d sent", got.Len(), body.Len())
		}
	}
}

// FuzzChunkReader: what it takes for a whole body, net/http takes for the same one. Only of the trailer, which
// nobody uses, net/http asks more.
func FuzzChunkReader(f *testing.F) {
	for _, seed := range []string{"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;x=y\r\nhello\r\n0\r\na: b\r\n\r\n", "5\r\nhel"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		got, err := io.ReadAll(&chunkReader{r: bufio.NewReader(bytes.NewReader(wire))})
		if err != nil {
			return
		}
		want, err := asNetHTTPReads(wire)
		var trailer textproto.ProtocolError
		if err != nil && !errors.As(err, &trailer) && err.Error() != "message too large" || !bytes.Equal(got, want) {
			t.Errorf("%q is %q, and for net/http %q, %v", wire, got, want, err)
		}
	})
}

func asNetHTTPReads(wire []byte) ([]byte, error) {
	request := "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(request), bytes.NewReader(wire))))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r.Body)
}
