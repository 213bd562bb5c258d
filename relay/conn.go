package relay

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// AddrOf returns the address of one end of a connection, without the port.
func AddrOf(end string) string {
	if connection, err := netip.ParseAddrPort(end); err == nil {
		return connection.Addr().Unmap().WithZone("").String()
	}
	return end
}

// A phase says what a connection is doing. It decides how long the connection may stay as it is, and whether it can be
// closed without harm.
type phase int32

const (
	phaseNew  phase = iota // accepted; its first request has not begun
	phaseIdle              // between two requests
	phaseHead              // a part of a request's head has come
	phaseBody              // a body that means nothing is being read; it has a deadline
	phaseBusy              // a request is being served, here or by net/http
)

// A Conn is a client's connection. One goroutine at a time reads it: the engine's, or net/http's after a hand-over.
type Conn struct {
	net.Conn
	Addr string // of the client, without the port

	remote string // of the client, with the port
	engine *engine
	tls    *tls.Conn       // the connection, if it is TLS
	tcp    *net.TCPConn    // carries the connection; nil if it is not TCP. For its options and its end, not for data
	socket syscall.RawConn // of tcp, for polls and options
	raw    syscall.RawConn // of tcp, for data; nil under TLS
	token  uint64          // the watcher's name for the connection
	probe  probe           // of alive and quiet

	callbacks callbacks

	phase    atomic.Int32
	since    atomic.Int64 // when the phase began, except for phaseBusy; Unix time in nanoseconds
	deadline atomic.Bool  // a deadline has been set, and must be cleared before the next request

	// Owned by the goroutine that reads.
	unread []byte // bytes that were read from the connection and are yet to be used; a part of buffer
	buffer []byte // nil while unread is empty
	fill   idleRead

	// mu guards the rest. It is held while onHangUp runs, so that none runs after it was cleared. onHangUp takes the
	// broker's lock, so nothing that the broker calls under that lock may take mu.
	mu       sync.Mutex
	gone     bool
	onHangUp func() // of the current request; nil: none
}

// callbacks are what a connection gives to pipe with each request, made once so that a request does not allocate them.
type callbacks struct {
	alive, aliveAfterRequest      func() bool
	interruptRead, interruptWrite func()
}

func (c *Conn) newCallbacks() callbacks {
	return callbacks{
		alive:             c.alive,
		aliveAfterRequest: c.aliveAfterRequest,
		interruptRead:     func() { c.SetReadDeadline(past) },
		interruptWrite:    func() { c.SetWriteDeadline(past) },
	}
}

// Read implements net.Conn. It first returns what the engine has read and not used.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.unread)
	c.use(n)
	return n, nil
}

// use drops the first n bytes of unread, and gives the buffer back when it is empty.
func (c *Conn) use(n int) {
	c.unread = c.unread[n:]
	if len(c.unread) == 0 {
		putBuffer(c.buffer)
		c.unread, c.buffer = nil, nil
	}
}

// unuse makes p, which was read before unread, the first bytes of unread. It copies p.
func (c *Conn) unuse(p []byte) {
	if len(p) == 0 {
		return
	}
	old := c.buffer
	buffer := getBuffer()
	if len(p)+len(c.unread) > len(buffer) {
		putBuffer(buffer)
		buffer = make([]byte, len(p)+len(c.unread))
	}
	n := copy(buffer, p)
	n += copy(buffer[n:], c.unread)
	c.buffer, c.unread = buffer, buffer[:n]
	if old != nil {
		putBuffer(old)
	}
}

// readMore reads more bytes behind those in unread.
func (c *Conn) readMore() error {
	used := len(c.unread)
	switch {
	case c.buffer == nil:
		c.buffer = getBuffer()
	case used == len(c.buffer):
		larger := make([]byte, 2*used)
		copy(larger, c.unread)
		putBuffer(c.buffer)
		c.buffer = larger
	default:
		copy(c.buffer, c.unread)
	}
	n, err := c.Conn.Read(c.buffer[used:])
	c.unread = c.buffer[:used+n]
	if len(c.unread) == 0 {
		c.use(0)
	}
	if n > 0 {
		return nil
	}
	return err
}

// Close closes the connection and forgets it. All that was sent on it is whole.
func (c *Conn) Close() error {
	c.engine.forget(c)
	return c.Conn.Close()
}

// breakOff closes the connection at once, and forgets it. Over TLS there is no close_notify, so that a client does not take
// a response without its end for whole. It does not block, and any goroutine may call it.
func (c *Conn) breakOff() {
	c.engine.forget(c)
	if c.tls != nil {
		c.tls.NetConn().Close()
		return
	}
	c.Conn.Close()
}

// CloseWrite sends a FIN, after a close_notify if the connection is TLS.
func (c *Conn) CloseWrite() error {
	if c.tls != nil {
		c.tls.CloseWrite() // fails if a write has failed
	}
	if c.tcp == nil {
		return nil
	}
	return c.tcp.CloseWrite()
}

// setLinger sets what Close does with data that is not sent yet: 0 drops it, and resets the connection.
func (c *Conn) setLinger(seconds int) {
	if c.tcp != nil {
		c.tcp.SetLinger(seconds)
	}
}

// past is a deadline that makes a blocked Read or Write return at once.
var past = time.Unix(1, 0)

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.deadline.Store(true)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.deadline.Store(true)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.deadline.Store(true)
	return c.Conn.SetDeadline(t)
}

func (c *Conn) setPhase(p phase) {
	if p != phaseBusy {
		c.since.Store(time.Now().UnixNano())
	}
	c.phase.Store(int32(p))
}

// unused reports whether the connection can be closed without harm: it is between two requests, or has not sent one
// within the grace.
func (c *Conn) unused(now time.Time, grace time.Duration) bool {
	switch phase(c.phase.Load()) {
	case phaseIdle:
		return true
	case phaseNew, phaseHead, phaseBody:
		return now.UnixNano()-c.since.Load() >= int64(grace)
	}
	return false
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

// onReadError calls f if reading on behind the request fails before stop is called. If the client has sent more, it
// cannot tell. It is for systems on which connections are not watched.
func (c *Conn) onReadError(f func()) (stop func()) {
	if len(c.unread) > 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.readMore(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			f()
		}
	}()
	return func() {
		c.SetReadDeadline(past)
		<-done
		c.SetReadDeadline(time.Time{})
	}
}

func (c *Conn) clearOnHangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onHangUp = nil
}
