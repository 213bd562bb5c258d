package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// net/http tells a handler that a client has hung up only after the request's body has been read to its end, and not
// at all if the client has sent even one byte more. So a producer that waits behind a full read-ahead, and a consumer
// with a pipelined request, would be matched although they are dead. For that reason every accepted connection is
// watched outside of net/http, on systems that make it possible (watch_linux.go).

// A listener accepts connections and watches them.
type listener struct {
	net.Listener
	watcher *watcher
}

func (l *listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	// Without a free file descriptor, close unused connections, so that a client that would end a wait can connect.
	for (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && l.watcher.closeUnused(time.Second) {
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
	c := &Conn{TCPConn: tcp, Addr: AddrOf(tcp.RemoteAddr().String()), raw: raw, watcher: l.watcher, accepted: time.Now()}
	if err := l.watcher.add(c); err != nil {
		c.Close()
		return nil, temporary{fmt.Errorf("a connection cannot be watched, and was closed: %w", err)}
	}
	return c, nil
}

// temporary is an error after which net/http accepts the next connection a little later.
type temporary struct{ error }

func (temporary) Temporary() bool { return true }
func (temporary) Timeout() bool   { return false }

// AddrOf returns the address of one end of a connection, without the port.
func AddrOf(end string) string {
	if connection, err := netip.ParseAddrPort(end); err == nil {
		return connection.Addr().Unmap().WithZone("").String()
	}
	return end
}

// A Conn is a client's connection that knows when the client has hung up, that is, has sent a FIN or a reset. A client
// that closes only its sending half looks the same, and counts as one that has hung up.
type Conn struct {
	*net.TCPConn        // net/http needs its ReadFrom and CloseWrite
	Addr         string // of the client, without the port

	raw      syscall.RawConn
	watcher  *watcher
	token    uint64 // the watcher's name for the connection
	accepted time.Time
	state    atomic.Int32 // the http.ConnState
	probe    probe        // of alive and quiet

	// mu guards the rest. It is held while onHangUp runs, so that none runs after it was cleared. onHangUp takes the
	// broker's lock, so nothing that the broker calls under that lock may take mu.
	mu       sync.Mutex
	gone     bool
	onHangUp func() // of the current request; nil: none
}

// Close closes the connection and stops watching it.
func (c *Conn) Close() error {
	c.watcher.remove(c)
	return c.TCPConn.Close()
}

// aliveAfterRequest is alive for a client whose request has been read to its end. One that pipelines so much that its FIN
// cannot be seen counts as one that has hung up. Most clients pipeline nothing, and for these one system call is enough.
func (c *Conn) aliveAfterRequest() bool { return c.quiet() || c.alive() && !c.clogged() }

// noteHangUp is called by the watcher when the client has hung up.
func (c *Conn) noteHangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	if c.onHangUp != nil {
		c.onHangUp()
	}
}

// setOnHangUp has f called when the client hangs up, or at once if it has.
func (c *Conn) setOnHangUp(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onHangUp = f
	if c.gone {
		f()
	}
}

func (c *Conn) clearOnHangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onHangUp = nil
}

// unused reports whether the connection can be closed without harm: it is between two requests, or has not begun its
// first one within the grace.
func (c *Conn) unused(now time.Time, grace time.Duration) bool {
	switch http.ConnState(c.state.Load()) {
	case http.StateIdle:
		return true
	case http.StateNew:
		return now.Sub(c.accepted) >= grace
	}
	return false
}

type connKey struct{}

// ConnContext is for http.Server.ConnContext. It lets NewRequest find the connection of a request.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// NoteState is for http.Server.ConnState. It notes what net/http says of a connection.
func NoteState(c net.Conn, state http.ConnState) {
	if c, ok := c.(*Conn); ok {
		c.state.Store(int32(state))
	}
}
