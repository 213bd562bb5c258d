//go:build linux && !noepoll

package relay

import (
	"cmp"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A watcher tells connections that their clients have hung up. It has one epoll set for all of them. Each connection is
// added once, when it is accepted, and edge-triggered, so a keep-alive connection costs nothing more however many requests
// it carries. Go's own poller waits for the set, so no thread blocks.
type watcher struct {
	epoll *os.File
	raw   syscall.RawConn // of epoll

	mu    sync.Mutex // guards the rest
	conns map[uint64]*Conn
	last  uint64 // token; tokens are never reused, unlike file descriptors
}

func newWatcher() (*watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true) // so that os.NewFile hands it to Go's poller
	}
	if err != nil {
		return nil, fmt.Errorf("cannot watch connections: epoll: %w", err)
	}
	w := &watcher{epoll: os.NewFile(uintptr(fd), "epoll"), conns: make(map[uint64]*Conn)}
	if w.raw, err = w.epoll.SyscallConn(); err != nil {
		return nil, fmt.Errorf("cannot watch connections: epoll: %w", err)
	}
	go w.run()
	return w, nil
}

// close ends the watch.
func (w *watcher) close() { w.epoll.Close() }

// works reports whether this system reports hang-ups.
func (w *watcher) works() bool { return true }

// add watches c, or returns why it cannot: the system may watch no more of them.
func (w *watcher) add(c *Conn) error {
	w.mu.Lock()
	w.last++
	c.token = w.last
	w.conns[c.token] = c
	w.mu.Unlock()

	// The token fills the 64 bits that the kernel gives back with an event.
	event := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(c.token), Pad: int32(c.token >> 32)}
	var failed error
	err := w.raw.Control(func(epoll uintptr) {
		err := c.socket.Control(func(fd uintptr) {
			failed = unix.EpollCtl(int(epoll), unix.EPOLL_CTL_ADD, int(fd), &event)
		})
		failed = cmp.Or(failed, err)
	})
	return cmp.Or(failed, err)
}

// remove forgets c, which is about to be closed. Closing it removes it from the epoll set.
func (w *watcher) remove(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c.token)
}

// run waits for hang-ups until close.
func (w *watcher) run() {
	events := make([]unix.EpollEvent, 128)
	for {
		n := 0
		err := w.raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events, 0)
			return n > 0
		})
		if err != nil {
			return // closed
		}
		for _, e := range events[:n] {
			w.mu.Lock()
			c := w.conns[uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32]
			w.mu.Unlock()
			if c != nil {
				c.noteHangUp()
			}
		}
	}
}

// alive asks the kernel, without waiting, whether the client is still connected.
func (c *Conn) alive() bool { return c.nothing(unix.POLLRDHUP) }

// quiet reports whether the client is connected and nothing waits to be read behind the current request.
func (c *Conn) quiet() bool { return c.nothing(unix.POLLRDHUP | unix.POLLIN) }

// nothing reports whether none of the events has happened on the connection, nor its end.
func (c *Conn) nothing(events int16) bool {
	p := &c.probe
	if p.poll == nil {
		p.poll = func(fd uintptr) {
			p.fds[0].Fd = int32(fd)
			n, err := unix.Poll(p.fds[:], 0)
			p.none = err != nil || n == 0
		}
	}
	if c.socket == nil {
		return true
	}
	p.none, p.fds[0].Events = false, events
	c.socket.Control(p.poll)
	return p.none
}

// A probe holds the variables of Conn.nothing, kept with the connection so that a match does not allocate them. No two
// calls run at the same time: while a request waits, the broker calls, with its lock held; later the goroutine that
// reads or writes the body.
type probe struct {
	fds  [1]unix.PollFd
	poll func(fd uintptr)
	none bool
}

// clogged reports whether so much waits to be read that a FIN behind it might not get through.
func (c *Conn) clogged() bool {
	const much = 32 << 10 // half of the smallest receive window: a full one can hold a little less than 64 KiB
	unread := 0
	if c.socket == nil {
		return false
	}
	c.socket.Control(func(fd uintptr) { unread, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return unread >= much
}

// acknowledged returns how many bytes the client's kernel has acknowledged, and whether this system knows.
func (c *Conn) acknowledged() (n int64, ok bool) {
	if c.socket == nil {
		return 0, false
	}
	c.socket.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n, ok = int64(info.Bytes_acked), true
		}
	})
	return n, ok
}
