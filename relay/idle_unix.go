//go:build unix

package relay

import (
	"io"
	"os"
	"syscall"
)

// An idleRead reads a connection without a buffer of its own, so that a connection that waits for its next request
// costs no memory for it. It is kept with the connection so that a read allocates nothing.
type idleRead struct {
	try func(fd uintptr) bool
	n   int
	err error
	b   []byte
}

// readIdle waits until the client has sent something, takes a buffer from the pool, and reads into it. unread must be empty.
func (c *Conn) readIdle() error {
	if c.raw == nil {
		return c.readMore()
	}
	f := &c.fill
	if f.try == nil {
		f.try = func(fd uintptr) bool {
			b := getBuffer()
			for {
				f.n, f.err = syscall.Read(int(fd), b)
				if f.err != syscall.EINTR {
					break
				}
			}
			if f.err == syscall.EAGAIN {
				putBuffer(b)
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
		putBuffer(b)
		return os.NewSyscallError("read", f.err)
	case f.n == 0:
		putBuffer(b)
		return io.EOF
	}
	c.buffer, c.unread = b, b[:f.n]
	return nil
}
