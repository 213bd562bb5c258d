package relay

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// idleTimeout is longer than proxies keep a connection pooled, so that they close first.
const idleTimeout = 120 * time.Second

// An engine accepts connections, and serves the requests of the relay path on them. Each connection has a goroutine that
// reads it. With any other request, the connection is handed over to net/http, together with the bytes that were read.
// OnEngine takes it back.
type engine struct {
	relay  *Relay
	others handOver // to net/http

	stopping atomic.Bool // set with mu held

	mu       sync.Mutex   // guards the rest
	listener net.Listener // nil until accept
	conns    connList
}

func newEngine(l *Relay) *engine {
	return &engine{relay: l, others: handOver{conns: make(chan *Conn), closed: make(chan struct{})}}
}

// passing are the errors of accept that end by themselves.
var passing = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR}

// accept serves the connections from ln until it is closed, and returns nil if that is by shutdown.
func (e *engine) accept(ln net.Listener) error {
	e.mu.Lock()
	e.listener = ln
	if e.stopping.Load() {
		ln.Close()
	}
	e.mu.Unlock()
	time.AfterFunc(e.sweepEvery(), e.sweep)
	for pause := time.Duration(0); ; {
		accepted, err := ln.Accept()
		if err == nil {
			pause = 0
			e.start(accepted)
			continue
		}
		if e.stopping.Load() {
			return nil
		}
		number, ok := errors.AsType[syscall.Errno](err)
		if !ok || !slices.Contains(passing, number) {
			return err
		}
		// Without a free file descriptor, close unused connections, so that a client that would end a wait can connect.
		if (number == syscall.EMFILE || number == syscall.ENFILE) && e.closeUnused(time.Second) {
			continue
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		e.relay.config.Logger.Warn("a connection cannot be accepted; trying again", "error", err, "after", pause.String())
		time.Sleep(pause)
	}
}

// start serves a connection that was just accepted.
func (e *engine) start(accepted net.Conn) {
	remote := accepted.RemoteAddr().String()
	c := &Conn{Conn: accepted, Addr: AddrOf(remote), remote: remote, engine: e}
	c.findSocket()
	c.setPhase(phaseNew)
	e.mu.Lock()
	stopping := e.stopping.Load()
	if !stopping {
		e.conns.add(c)
	}
	e.mu.Unlock()
	if stopping {
		accepted.Close()
		return
	}
	go c.serve(served)
}

// forget is called when c is closed.
func (e *engine) forget(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conns.remove(c)
}

func (e *engine) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conns.length
}

// closeUnused closes some connections that carry no request, and reports whether there were any. A connection has the
// grace to send its first request.
func (e *engine) closeUnused(grace time.Duration) bool {
	const some = 16
	now := time.Now()
	closed := e.closeWhere(some, func(c *Conn) bool { return c.unused(now, grace) })
	return closed > 0
}

// closeWhere closes connections, at most so many, and returns how many.
func (e *engine) closeWhere(most int, where func(*Conn) bool) int {
	var found []*Conn
	e.mu.Lock()
	for c := e.conns.first; c != nil; c = c.newer {
		if len(found) == most {
			break
		}
		if where(c) {
			found = append(found, c)
		}
	}
	e.mu.Unlock()
	closed := 0
	for _, c := range found {
		if where(c) { // still: a request may have come meanwhile
			c.breakOff()
			closed++
		}
	}
	return closed
}

// sweepEvery is how often the engine looks for connections that have been idle, or sending a head, for too long.
func (e *engine) sweepEvery() time.Duration {
	if limit := e.relay.config.HeaderTimeout; limit > 0 {
		return min(max(limit/4, 10*time.Millisecond), time.Second)
	}
	return time.Second
}

// sweep closes connections that have been idle, or sending a head, for too long. Visiting all of them now and then
// costs less than a deadline for each request.
func (e *engine) sweep() {
	if e.stopping.Load() {
		return
	}
	now, limit := time.Now().UnixNano(), int64(e.relay.config.HeaderTimeout)
	e.closeWhere(math.MaxInt, func(c *Conn) bool {
		phase := phase(c.phase.Load()) // before since: a phase that has just begun must not have the age of an earlier one
		since := c.since.Load()
		if since == 0 && c.since.CompareAndSwap(0, now) {
			return false
		}
		age := now - since
		switch phase {
		case phaseIdle:
			return age > int64(idleTimeout)
		case phaseNew, phaseHead:
			return limit > 0 && age > limit
		}
		return false
	})
	time.AfterFunc(e.sweepEvery(), e.sweep)
}

// shutdown closes the listener, and connections as soon as they carry no request, and blocks until there are none. When ctx
// is done, it closes the rest and returns the error of ctx.
func (e *engine) shutdown(ctx context.Context) error {
	e.mu.Lock()
	e.stopping.Store(true)
	if e.listener != nil {
		e.listener.Close()
	}
	e.mu.Unlock()
	e.others.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for e.count() > 0 && ctx.Err() == nil {
		for e.closeUnused(0) {
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if e.closeWhere(math.MaxInt, func(*Conn) bool { return true }) > 0 {
		return errors.New("some clients could not be answered in time")
	}
	return nil
}

// A handOver is the net.Listener from which net/http gets the connections that carry other requests.
type handOver struct {
	conns  chan *Conn
	once   sync.Once
	closed chan struct{}
}

// give blocks until net/http has taken c, and reports whether it has.
func (h *handOver) give(c *Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

func (h *handOver) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handOver) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener. No code calls it.
func (h *handOver) Addr() net.Addr { return nil }

// logPanic is called when serving a request has panicked, which closes its connection.
func (e *engine) logPanic(c *Conn, p any, stack []byte) {
	e.relay.config.Logger.Error("serving a request failed", slog.Any("panic", p), slog.String("client", c.Addr), slog.String("stack", string(stack)))
}
