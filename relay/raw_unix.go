//go:build unix

package relay

import (
	"io"
	"os"
	"sync"
	"syscall"
)

// A rawRead reads a TCP connection without a buffer of its own, so that a connection that waits costs no memory for it. It
// is kept with the connection so that a read allocates nothing.
type rawRead struct {
	try func(fd uintptr) bool
	n   int
	err error
	b   *[bufferSize]byte // with n bytes; nil if there is no result
}

// readIdle waits until the client has sent something, takes a buffer from the pool, and reads into it. unread must be
// empty.
func (c *Conn) readIdle() error {
	if c.raw == nil {
		return c.readFirst()
	}
	f := &c.in
	if f.try == nil {
		f.try = func(fd uintptr) bool {
			b := buffers.Get().(*[bufferSize]byte)
			for {
				f.n, f.err = readNow(fd, b[:])
				if f.err != syscall.EINTR {
					break
				}
			}
			if f.err == syscall.EAGAIN {
				buffers.Put(b)
				return false
			}
			f.b = b
			return true
		}
	}
	if err := c.raw.Read(f.try); err != nil {
		return err
	}
	b := f.b
	f.b = nil
	switch {
	case f.err != nil:
		buffers.Put(b)
		return os.NewSyscallError("read", f.err)
	case f.n == 0:
		buffers.Put(b)
		return io.EOF
	}
	c.buffer, c.unread = b[:], b[:f.n]
	return nil
}

// A rawWrite writes to a TCP connection what its kernel takes at once. It is pooled: a write does not block, so few
// connections need one at the same time, and those that wait do not keep one.
type rawWrite struct {
	try func(fd uintptr) bool
	b   []byte
	n   int
	err error
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
	if c.raw == nil {
		return 0, nil
	}
	f := rawWrites.Get().(*rawWrite)
	defer rawWrites.Put(f)
	f.b = b
	err = c.raw.Write(f.try) // fails if the write deadline is over
	f.b = nil
	switch {
	case err != nil:
		return 0, err
	case f.err == syscall.EAGAIN:
		return 0, nil
	case f.err != nil:
		return 0, os.NewSyscallError("write", f.err)
	}
	return f.n, nil
}
