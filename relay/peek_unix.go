//go:build unix && !linux

package relay

import (
	"sync"
	"syscall"
)

// A rawPeek looks at the unread bytes of a TCP connection. It is pooled as a rawWrite is. Linux does not need it.
type rawPeek struct {
	try   func(fd uintptr)
	b     [1]byte
	found unreadState
}

var rawPeeks = sync.Pool{New: func() any {
	f := new(rawPeek)
	f.try = func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), f.b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
			f.found = unreadNothing
		case n > 0:
			f.found = unreadBytes
		default:
			f.found = unreadEnd
		}
	}
	return f
}}

// peek reports, without blocking, whether the connection has unread bytes or has ended.
func (c *Conn) peek() unreadState {
	if c.socket == nil {
		return unreadNothing
	}
	f := rawPeeks.Get().(*rawPeek)
	defer rawPeeks.Put(f)
	f.found = unreadEnd // if the connection is closed
	c.socket.Control(f.try)
	return f.found
}
