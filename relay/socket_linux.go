package relay

import (
	"syscall"
	"unsafe"

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

// look sets found[i] to the state of conns[i], of which there are at most pipe.LookSize, by one system call. It does not block.
// A connection may be closed meanwhile and its descriptor reused for another; then the result does not matter, since a write to
// the closed connection fails.
func look(found []unreadState, conns ...*Conn) {
	var array [pipe.LookSize]unix.PollFd
	fds := array[:len(conns)]
	for i, c := range conns {
		fds[i] = unix.PollFd{Fd: c.fd, Events: unix.POLLIN | unix.POLLRDHUP}
	}
	var timeout unix.Timespec
	_, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, // without telling Go's scheduler: see now_linux.go
		uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
	for i := range found {
		switch events := fds[i].Revents; {
		case events == 0 && errno == 0:
			found[i] = unreadNothing
		case events == unix.POLLIN || errno != 0:
			found[i] = unreadBytes
		default:
			found[i] = unreadEnd
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
