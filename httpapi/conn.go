package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// net/http tells a handler of a client that hung up only once the request's body has been read to its
// end, and not at all if the client has sent so much as a byte more. A producer that waits behind a full
// read-ahead, or a consumer with a pipelined request, would be matched although dead. So every accepted
// connection is watched from outside of net/http, where the system has a way to (watch_linux.go).

// A listener accepts connections that are watched.
type listener struct {
	net.Listener
	watch *watcher
}

func (l *listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	// Out of descriptors. Those who do nothing with theirs go, so that whoever frees a waiter can come in.
	for (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && l.watch.shed(time.Second) {
		accepted, err = l.Listener.Accept()
	}
	if err != nil {
		return nil, err
	}
	tcp, ok := accepted.(*net.TCPConn)
	if !ok {
		return accepted, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return accepted, nil // closed already
	}
	c := &conn{TCPConn: tcp, raw: raw, watch: l.watch, accepted: time.Now(), client: addressOf(tcp.RemoteAddr().String())}
	if err := l.watch.add(c); err != nil {
		c.Close()
		return nil, temporary{fmt.Errorf("a connection cannot be watched, and was closed: %w", err)}
	}
	return c, nil
}

// temporary is an error after which net/http goes on accepting, a little later.
type temporary struct{ error }

func (temporary) Temporary() bool { return true }
func (temporary) Timeout() bool   { return false }

// A conn is a client's connection, and knows when the client has hung up: sent its FIN or a reset. A
// client that only closes its sending half looks the same, and counts as gone.
type conn struct {
	*net.TCPConn // embedded whole: net/http looks for its ReadFrom and CloseWrite
	raw          syscall.RawConn
	watch        *watcher
	token        uint64 // the watcher's name for it
	accepted     time.Time
	client       string       // the address at the other end, as clientAddr has it
	state        atomic.Int32 // net/http's http.ConnState

	// mu guards the rest. It is held while leave runs, so that none runs after unwatch; leave takes the
	// broker's lock, so nothing that the broker calls under that may take this one.
	mu    sync.Mutex
	gone  bool
	leave func() // of the request in hand; nil if none wants to know
}

func (c *conn) Close() error {
	c.watch.remove(c)
	return c.TCPConn.Close()
}

// hungUp is called by the watcher, when the client has.
func (c *conn) hungUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	if c.leave != nil {
		c.leave()
	}
}

func (c *conn) setLeave(leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave = leave
	if c.gone && leave != nil {
		leave()
	}
}

// noteState keeps in mind what net/http says of a connection.
func noteState(c net.Conn, state http.ConnState) {
	if c, ok := c.(*conn); ok {
		c.state.Store(int32(state))
	}
}

// useless reports whether the connection could go without harm: it is between two requests, or has had
// a grace to begin its first and has not.
func (c *conn) useless(now time.Time, grace time.Duration) bool {
	switch http.ConnState(c.state.Load()) {
	case http.StateIdle:
		return true
	case http.StateNew:
		return now.Sub(c.accepted) >= grace
	}
	return false
}

type connKey struct{}

// withConn makes the connection known to the requests that come on it.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the watched connection of r, or nil if it is of another kind.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}

// watch calls leave, once, if the client of r hangs up before unwatch is called. It does so at once if
// it has already.
func watch(r *http.Request, leave func()) (unwatch func()) {
	c := connOf(r)
	if c == nil || !c.watch.works() {
		stop := context.AfterFunc(r.Context(), leave)
		return func() { stop() }
	}
	c.setLeave(leave)
	return func() { c.setLeave(nil) }
}
