package relay

import (
	"golang.org/x/sys/unix"

	"httpipe/pipe"
)

// The state of a connection that only Linux reports.

// watches reports whether awaitHangUp works.
func (c *Conn) watches() bool { return c.socket != nil }

// awaitHangUp blocks until the client has hung up, whatever it has sent before, or until the read deadline. Only the
// goroutine that reads the connection may call it. Go's poller calls at every change of the connection's state.
func (c *Conn) awaitHangUp() error {
	return c.socket.Read(func(fd uintptr) bool {
		fds := [...]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds[:], 0)
		return err == nil && n > 0
	})
}

// alive asks the kernel, without waiting, whether the client is still connected, whatever it has sent before.
func (c *Conn) alive() (alive bool) {
	if c.socket == nil {
		return true
	}
	c.socket.Control(func(fd uintptr) {
		fds := [...]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds[:], 0)
		alive = err != nil || n == 0
	})
	return alive
}

// findAll sets subscriber.found of all subscribers by one system call. A connection may be closed meanwhile and its descriptor
// reused for another; then the result does not matter, since a write to the closed connection fails.
func findAll(subscribers []pipe.Subscriber) {
	var array [pipe.LookSize]unix.PollFd
	fds := array[:len(subscribers)]
	for i, s := range subscribers {
		fds[i] = unix.PollFd{Fd: s.(*subscriber).conn.fd, Events: unix.POLLIN | unix.POLLRDHUP}
	}
	_, err := unix.Poll(fds, 0)
	for i, s := range subscribers {
		s := s.(*subscriber)
		switch events := fds[i].Revents; {
		case events == 0 && err == nil:
			s.found = unreadNothing
		case events == unix.POLLIN || err != nil:
			s.found = unreadBytes
		default:
			s.found = unreadEnd
		}
	}
}

// writable reports whether the kernel takes some bytes at once.
func (c *Conn) writable() bool {
	if c.socket == nil {
		return true
	}
	fds := [...]unix.PollFd{{Events: unix.POLLOUT}}
	n := 0
	c.socket.Control(func(fd uintptr) {
		fds[0].Fd = int32(fd)
		n, _ = unix.Poll(fds[:], 0)
	})
	return n > 0
}

// clogged reports whether so much waits to be read that a FIN behind it might not get through: the kernel keeps its window
// closed until a large part of it is free, so if nothing is read any more a few bytes are enough.
func (c *Conn) clogged() bool {
	const much = 8 << 10 // a full receive window of the smallest size holds at most 64 KiB: the less, the smaller the packets
	if c.socket == nil || c.full.Load() {
		return c.socket != nil
	}
	unread := 0
	c.socket.Control(func(fd uintptr) { unread, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return unread >= much
}

// acknowledged returns how many bytes the client's kernel has acknowledged, whether that is all that was written to the
// connection, and whether this system knows.
func (c *Conn) acknowledged() (n int64, all, ok bool) {
	if c.socket == nil {
		return 0, false, false
	}
	c.socket.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n, all, ok = int64(info.Bytes_acked), info.Unacked == 0 && info.Notsent_bytes == 0, true
		}
	})
	return n, all, ok
}
