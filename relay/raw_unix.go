//go:build unix

package relay

import (
	"io"
	"os"
	"sync"
	"syscall"
)

// A rawRead keeps Conn.tryRead as a function value with the connection, so that a read allocates nothing.
type rawRead struct{ try func(fd uintptr) bool }

// readIdle waits until the client has sent something, takes a buffer from the pool, and reads into it: a connection that
// waits has no buffer. unread must be empty.
func (c *Conn) readIdle() error {
	if !c.plain {
		return c.readFirst()
	}
	if c.in.try == nil {
		c.in.try = c.tryRead
	}
	if err := c.socket.Read(c.in.try); err != nil {
		return err
	}
	if len(c.unread) == 0 {
		return io.EOF // also after an error: in either case the client has left
	}
	return nil
}

// tryRead reads the bytes that have arrived into unread. It reports whether the read is over, which it is not while there are
// none. At the end, or after an error, it is over, and unread stays empty.
func (c *Conn) tryRead(fd uintptr) bool {
	b := buffers.Get().(*[bufferSize]byte)
	n, err := readNow(fd, b[:])
	for err == syscall.EINTR {
		n, err = readNow(fd, b[:])
	}
	if n > 0 {
		c.buffer, c.unread = b[:], b[:n]
		return true
	}
	buffers.Put(b)
	return err != syscall.EAGAIN
}

// A rawWrite writes to a TCP connection what its kernel takes at once. It is pooled: a write does not block, so few
// connections need one at the same time, and those that wait do not keep one.
type rawWrite struct {
	try func(fd uintptr) bool
	b   []byte
	n   int
	err syscall.Errno
}

var rawWrites = sync.Pool{New: func() any {
	f := new(rawWrite)
	f.try = func(fd uintptr) bool {
		for {
			f.n, f.err = writeNow(fd, f.b)
			if f.err != syscall.EINTR {
				return true
			}
		}
	}
	return f
}}

// tryWrite writes what the kernel takes of b at once, and returns how much that is; on a connection other than TCP it is
// nothing. Conn.mu must be held.
func (c *Conn) tryWrite(b []byte) (n int, err error) {
	if !c.plain {
		return 0, nil
	}
	f := rawWrites.Get().(*rawWrite)
	defer rawWrites.Put(f)
	f.b = b
	err = c.socket.Write(f.try) // fails if the write deadline is over
	f.b = nil
	switch {
	case err != nil:
		return 0, err
	case f.err == syscall.EAGAIN:
		return 0, nil
	case f.err != 0:
		return 0, os.NewSyscallError("write", f.err)
	}
	return f.n, nil
}
