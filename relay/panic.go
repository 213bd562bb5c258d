package relay

import (
	"errors"
	"net/http"
	"runtime/debug"
)

// recover is deferred by the goroutines that call owners and handlers. A panic closes the connection.
func (c *Conn) recover() {
	v := recover()
	if v == nil {
		return
	}
	if v != http.ErrAbortHandler {
		c.engine.logPanic(c, v, debug.Stack())
	}
	c.drop()
}

// recoverAs is deferred by the methods that the goroutine of another client calls. A panic closes this connection alone.
func (c *Conn) recoverAs(err *error) {
	if v := recover(); v != nil {
		c.engine.logPanic(c, v, debug.Stack())
		*err = errPanicked
	}
}

var errPanicked = errors.New("writing to the client has panicked")

// drop closes the connection after a panic.
func (c *Conn) drop() {
	c.mu.Lock()
	p := c.pending
	c.mu.Unlock()
	defer c.breakOff()
	if p != nil {
		defer p.Abort()
		defer func() { _ = recover() }() // HungUp panics if the first panic kept the request from the broker
		p.owner.HungUp()
	}
}
