//go:build linux && !noepoll

package httpapi

import (
	"cmp"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A watcher tells connections that their clients have hung up. It holds one epoll set for all of them,
// each entered once, when it is accepted, edge-triggered: a keep-alive connection costs nothing more
// however many requests it carries. The set itself is waited for by Go's own poller, so no thread blocks.
type watcher struct {
	epoll *os.File
	raw   syscall.RawConn // epoll's

	mu    sync.Mutex // guards the rest
	conns map[uint64]*conn
	last  uint64 // token; never used again, unlike a file descriptor
}

func newWatcher() (*watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true) // so that os.NewFile hands it to Go's poller
	}
	if err != nil {
		return nil, fmt.Errorf("cannot watch connections: epoll: %w", err)
	}
	w := &watcher{epoll: os.NewFile(uintptr(fd), "epoll"), conns: make(map[uint64]*conn)}
	if w.raw, err = w.epoll.SyscallConn(); err != nil {
		return nil, fmt.Errorf("cannot watch connections: epoll: %w", err)
	}
	go w.run()
	return w, nil
}

// close ends the watch.
func (w *watcher) close() { w.epoll.Close() }

// works reports whether this system tells of hang-ups.
func (w *watcher) works() bool { return true }

// add watches c, or returns why it cannot: the system may watch no more of them.
func (w *watcher) add(c *conn) error {
	w.mu.Lock()
	w.last++
	c.token = w.last
	w.conns[c.token] = c
	w.mu.Unlock()

	// The token fills the 64 bits that the kernel gives back with an event.
	event := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(c.token), Pad: int32(c.token >> 32)}
	var failed error
	err := w.raw.Control(func(epoll uintptr) {
		err := c.raw.Control(func(fd uintptr) {
			failed = unix.EpollCtl(int(epoll), unix.EPOLL_CTL_ADD, int(fd), &event)
		})
		failed = cmp.Or(failed, err)
	})
	return cmp.Or(failed, err)
}

// remove forgets c, which is about to be closed; that takes it out of the epoll set.
func (w *watcher) remove(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c.token)
}

// shed closes some connections that are of no use now, and reports whether there were any. One that has
// not said anything yet has so long to do so.
func (w *watcher) shed(grace time.Duration) bool {
	const some = 16
	now := time.Now()
	var useless []*conn
	w.mu.Lock()
	for _, c := range w.conns {
		if len(useless) < some && c.useless(now, grace) {
			useless = append(useless, c)
		}
	}
	w.mu.Unlock()
	for _, c := range useless {
		c.Close()
	}
	return len(useless) > 0
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
				c.hungUp()
			}
		}
	}
}

// alive asks the kernel, without waiting, whether the client is still connected.
func (c *conn) alive() bool { return c.nothing(unix.POLLRDHUP) }

// quiet is alive, and more: that nothing waits to be read behind the request in hand.
func (c *conn) quiet() bool { return c.nothing(unix.POLLRDHUP | unix.POLLIN) }

// nothing reports whether none of the events has happened to the connection, its end included.
func (c *conn) nothing(events int16) bool {
	none := false
	c.raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 0)
		none = err != nil || n == 0
	})
	return none
}

// clogged reports whether so much waits to be read that a FIN behind it might not get through.
func (c *conn) clogged() bool {
	const much = 64 << 10 // well below the smallest receive window
	unread := 0
	c.raw.Control(func(fd uintptr) { unread, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return unread >= much
}

// acknowledged returns how many bytes the client's kernel has acknowledged, and whether ours tells.
func (c *conn) acknowledged() (n int64, ok bool) {
	c.raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n, ok = int64(info.Bytes_acked), true
		}
	})
	return n, ok
}
