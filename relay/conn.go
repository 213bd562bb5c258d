package relay

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"httpipe/relay/http1"
)

// AddrOf returns the address of one end of a connection, without the port.
func AddrOf(end string) string {
	connection, err := netip.ParseAddrPort(end)
	switch {
	case err != nil:
		return end
	case connection.Addr().Is4(): // it is written in one way only, so no copy is needed
		return end[:strings.IndexByte(end, ':')]
	}
	return connection.Addr().Unmap().WithZone("").String()
}

// A phase says what a connection is doing. It decides how long the connection may stay as it is, and whether it can be
// closed without harm.
type phase int32

const (
	phaseNew  phase = iota // accepted; its first request has not begun
	phaseIdle              // between two requests
	phaseHead              // a part of a request's head has come
	phaseBody              // a body without a meaning is being read and dropped, until a deadline
	phaseBusy              // a request is being served, here or by net/http
)

// A Conn is a client's connection. One goroutine at a time reads it: the engine's, or net/http's after a hand-over.
type Conn struct {
	net.Conn
	Addr string // of the client, without the port

	remote string // of the client, with the port
	engine *engine
	tls    *secured        // the connection, if it is TLS
	tcp    *net.TCPConn    // carries the connection; nil if it is not TCP. For its options and its end; for data only if plain is true
	socket syscall.RawConn // of tcp, for polls and options; for data only if plain is true; nil if it is not TCP
	fd     int32           // of socket, for look; -1 if there is none

	phase    atomic.Int32
	deadline atomic.Bool  // a deadline has been set, and must be cleared before the next request
	full     atomic.Bool  // while a request waits: nothing more is read behind it
	first    [1]byte      // of readFirst; owned by the goroutine that reads, and here for the size of Conn, as moved is
	moved    bool         // the goroutine is not the one of the first request
	plain    bool         // TCP without TLS; constant
	since    atomic.Int64 // when the phase began, except for phaseBusy; Unix time in nanoseconds; 0: idle, and not yet swept

	newer, older *Conn // in engine.conns; guarded by engine.mu

	// Owned by the goroutine that reads.
	unread []byte // bytes that were read from the connection and are yet to be used; a part of buffer
	buffer []byte // nil while unread is empty
	in     rawRead

	// mu guards the rest. It is held during writes that do not block. The broker calls methods that lock mu, with its own
	// lock held, so a goroutine that holds mu must not call the broker.
	mu      sync.Mutex
	pending *Pending      // has the right to write: see there; nil: the goroutine that reads has it
	woken   bool          // Resume of the owner is to be called
	held    bool          // the goroutine that reads waits with a part of the next request in unread
	gone    bool          // the client has hung up, and the goroutine that read has ended
	closed  bool          // the connection is closed, or about to be by the goroutine that set this
	pausing chan struct{} // closed to wake the goroutine in pauseUnlock; nil if there is none
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

// unreadState is what look finds out about a connection.
type unreadState uint8

const (
	unreadNothing unreadState = iota // the client is connected, and has sent nothing more
	unreadBytes                      // there are bytes; on systems other than Linux perhaps with the end behind them
	unreadEnd                        // the client has hung up
)

// lookAt is look for one connection.
func lookAt(c *Conn) unreadState {
	var found [1]unreadState
	look(found[:], c)
	return found[0]
}

// connected reports whether the client counts as connected, given what look has found. A client that pipelines so much that
// the server could not see its FIN does not.
func (c *Conn) connected(found unreadState) bool {
	return found == unreadNothing || found == unreadBytes && !c.clogged()
}

// readFirst is readIdle without the raw connection: it reads one byte, because a buffer would be held while it waits. The
// rest comes from what a TLS connection holds anyway.
func (c *Conn) readFirst() error {
	n, err := c.Conn.Read(c.first[:])
	if n == 0 {
		return err
	}
	c.buffer = getBuffer()
	c.unread = append(c.buffer[:0], c.first[:n]...)
	return nil
}

// Close closes the connection and forgets it. All that was sent on it is whole. It does not block: where a close_notify
// would have to wait for a slow client, which package tls does for five seconds, another goroutine does it.
func (c *Conn) Close() error {
	c.engine.forget(c)
	if c.tls != nil && !c.writable() {
		go c.tls.Close()
		return nil
	}
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
		c.tls.CloseWrite()
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
var (
	past       = time.Unix(1, 0)
	noDeadline time.Time
)

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
	switch p {
	case phaseBusy:
	case phaseIdle:
		c.since.Store(0) // a look at the clock would cost each request more than the sweep costs all
	default:
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

// sendContinue asks the client for its body.
func (c *Conn) sendContinue() { c.sendInterim(continueBytes) }

// sendInterim sends an interim response. It ignores errors, which the next read shows, and sends nothing if the kernel would
// have to wait for a client that does not read: it holds mu, for which the broker may wait.
func (c *Conn) sendInterim(response []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.plain {
		c.writeFewLocked(response)
	} else if c.writable() { // there is room for all of it: the next response must not follow a part
		c.tryWrite(response)
	}
}

// writeFewLocked writes a few bytes to a connection that is not plain TCP, unless it would block or has been
// interrupted. mu must be held.
func (c *Conn) writeFewLocked(b []byte) {
	if c.pending != nil && c.pending.interrupted || !c.writable() {
		return
	}
	c.Conn.SetWriteDeadline(time.Now().Add(lingering))
	c.Conn.Write(b)
	c.Conn.SetWriteDeadline(noDeadline)
}

var (
	continueBytes   = []byte(http1.Continue)
	processingBytes = []byte(http1.Processing)
)
