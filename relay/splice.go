package relay

import (
	"errors"
	"io"
	"os"

	"httpipe/pipe"
)

// readLast is how many bytes at the end of a body are read and written rather than spliced. The last ones are sent only if
// both clients are still connected, and for a small body a splice costs more than a copy.
const readLast = 256 << 10

// Available implements pipe.Splicer. A body can be spliced that has a length and is neither the part of a form nor in the
// URL, from one plain TCP connection to another.
func (p *producer) Available(to pipe.Sink) int64 {
	b := &p.body
	length := b.left - readLast
	if p.source.body != io.Reader(b) || b.chunked != nil || length <= 0 || p.source.form != nil || len(p.conn.unread) > 0 {
		return 0
	}
	if c, ok := to.(*consumer); !ok || !c.conn.plain || !p.conn.plain || c.bodiless() {
		return 0
	}
	return min(p.conn.available(), length)
}

// Splice implements pipe.Splicer. The kernel moves the bytes from one connection to the other, by splice(2).
func (p *producer) Splice(to pipe.Sink, n int64) (int64, error) {
	c := to.(*consumer)
	c.mayBlock()
	c.stream.limited = io.LimitedReader{R: p.conn.tcp, N: n}
	n, err := c.conn.tcp.ReadFrom(&c.stream.limited)
	c.stream.stall.writing.Store(false)
	p.body.left -= n
	p.source.left -= n
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // the producer was woken, or the exchange was cut: Read shows why
	}
	return n, err
}
