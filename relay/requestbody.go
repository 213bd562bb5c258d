package relay

import (
	"io"

	"httpipe/relay/http1"
)

// A requestBody reads the body of a request from its connection. Read returns the bytes that have come, and does not wait for more.
// It implements io.ReadCloser. It is owned by the goroutine that reads it, one after another.
type requestBody struct {
	conn    *Conn
	left    int64 // bytes that are still to come; not used if chunked
	chunked bool
	chunks  http1.ChunkReader
	ask     bool  // the client waits for 100 Continue
	err     error // io.EOF after the whole body; sticky
}

// Read implements io.Reader. The last bytes come together with io.EOF, if that is known by then.
func (b *requestBody) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for n == 0 && b.err == nil {
		if b.chunked {
			n, b.err = b.readChunks(p)
		} else {
			n, b.err = b.readLength(p)
		}
	}
	return n, b.err
}

// Close implements io.Closer. It does nothing.
func (b *requestBody) Close() error { return nil }

func (b *requestBody) readLength(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.receive(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if b.left == 0 {
		err = io.EOF
	}
	return n, err
}

// readChunks may return neither bytes nor an error.
func (b *requestBody) readChunks(p []byte) (int, error) {
	n, err := b.receive(p)
	if err != nil {
		return 0, err
	}
	body, used, err := b.chunks.Decode(p[:n])
	if err == io.EOF {
		b.conn.unuse(p[used:n])
	}
	return len(body), err
}

// receive reads the connection. It asks the client for the body, if the client waits for that and nothing has come.
func (b *requestBody) receive(p []byte) (int, error) {
	if b.ask && len(b.conn.unread) == 0 {
		b.sendContinue()
	}
	b.ask = false
	n, err := b.conn.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// sendContinue asks the client for its body. It ignores errors, which the next read shows.
func (b *requestBody) sendContinue() { io.WriteString(b.conn.Conn, http1.Continue) }

// whole reports whether all of the body has been read, so that the connection can carry another request.
func (b *requestBody) whole() bool { return b.err == io.EOF || !b.chunked && b.left == 0 }
