package relay

import (
	"errors"
	"io"
	"os"

	"httpipe/relay/http1"
)

// A requestBody reads the body of a request from its connection. Read returns the bytes that have come, and does not wait
// for more. It implements io.ReadCloser. One goroutine at a time owns it: the one that reads it.
type requestBody struct {
	conn    *Conn
	left    int64              // bytes that are still to come; not used if chunked
	chunked *http1.ChunkReader // nil if the body is not chunked
	ask     bool               // the client waits for 100 Continue
	err     error              // io.EOF after the whole body; sticky

	owner *producer // of the pending request; nil: the request is not pending
}

// newRequestBody returns the body of a request on c. length is in bytes; -1: the body is chunked. ask says that the client
// waits for 100 Continue.
func newRequestBody(c *Conn, length int64, ask bool) requestBody {
	b := requestBody{conn: c, left: max(length, 0), ask: ask}
	if length < 0 {
		b.chunked = new(http1.ChunkReader)
	}
	return b
}

// Read implements io.Reader. The last bytes come together with io.EOF, if that is known by then.
func (b *requestBody) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for n == 0 && b.err == nil {
		if b.chunked != nil {
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
	body, used, err := b.chunked.Decode(p[:n])
	if err == io.EOF {
		b.conn.unuse(p[used:n])
	}
	return len(body), err
}

// receive reads the connection. It asks the client for the body, if the client waits for that and nothing has come.
func (b *requestBody) receive(p []byte) (int, error) {
	if b.ask && len(b.conn.unread) == 0 {
		b.conn.sendContinue()
	}
	b.ask = false
	for {
		n, err := b.conn.Read(p)
		switch {
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		case b.owner != nil && errors.Is(err, os.ErrDeadlineExceeded) && b.owner.takeWake():
			if err = b.owner.request.CatchUp(); err == nil && n == 0 {
				continue
			}
		}
		return n, err
	}
}

// inHand reports whether Read never blocks, because the rest of the body has been read from the connection.
func (b *requestBody) inHand() bool { return b.chunked == nil && b.left <= int64(len(b.conn.unread)) }

// whole reports whether all of the body has been read, so that the connection can carry another request.
func (b *requestBody) whole() bool { return b.err == io.EOF || b.chunked == nil && b.left == 0 }
