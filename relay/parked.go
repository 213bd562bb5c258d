package relay

import (
	"errors"
	"io"
	"os"
	"time"
)

// wait reads on while the request is pending. It keeps what the client sends behind its request, up to maxHeld. It returns
// served when the response is complete; a part of the next request may have been read then.
func (c *Conn) wait() afterwards {
	for {
		pending, open := c.resume()
		switch {
		case !pending && open:
			return served
		case !pending:
			return handedOver // to the goroutine that closes it: in order, or not
		}
		if err := c.readOn(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return c.hungUp()
		}
	}
}

// resume calls Resume of the owner after each Wake. It returns whether the request is still pending, and if not,
// whether the connection is open.
func (c *Conn) resume() (pending, open bool) {
	for {
		c.mu.Lock()
		p, woken := c.pending, c.woken
		c.woken = false
		c.held = len(c.unread) > 0
		switch {
		case p == nil:
			c.clearDeadlines()
		case woken:
			c.Conn.SetReadDeadline(time.Time{})
		}
		open = !c.closed
		c.mu.Unlock()
		if p == nil || !woken {
			return p != nil, open
		}
		p.owner.Resume()
	}
}

// hungUp tells the owner that nothing more can be read.
func (c *Conn) hungUp() afterwards {
	c.mu.Lock()
	p := c.pending
	c.mu.Unlock()
	if p != nil {
		p.owner.HungUp()
	}
	return c.leave()
}

// leave ends the goroutine that has read the connection. If the response is not complete, the owner keeps the connection,
// and the goroutine that ends the response closes it. Once that goroutine has begun to, no other may: Close ends a TLS
// connection in order, and Abort must not.
func (c *Conn) leave() afterwards {
	for {
		c.mu.Lock()
		pending, woken, closed := c.pending != nil, c.woken, c.closed
		c.gone = pending && !woken
		c.mu.Unlock()
		switch {
		case !pending && closed:
			return handedOver
		case !pending:
			return finished
		case !woken:
			return handedOver
		}
		c.resume()
	}
}

// settle calls the owner after a Wake, when the goroutine that read the connection has ended.
func (c *Conn) settle() {
	defer c.recover()
	if c.leave() == finished {
		c.Close()
	}
}

// readOn waits until the client sends more or hangs up, or until the read deadline.
func (c *Conn) readOn() error {
	switch {
	case len(c.unread) == 0:
		return c.readIdle()
	case len(c.unread) < maxHeld:
		return c.readMore()
	}
	c.full.Store(true)
	defer c.full.Store(false)
	if c.pause(0) {
		return io.EOF
	}
	return nil
}

// maxHeld is how many bytes of the next requests a connection holds while a request waits. Beyond that it reads no more:
// see Pending.Alive.
const maxHeld = 2 * bufferSize

// wakeLocked makes the goroutine that reads the connection, or waits in pause, look at its state. Conn.mu must be held.
func (c *Conn) wakeLocked() {
	c.SetReadDeadline(past)
	if c.pausing != nil {
		close(c.pausing)
		c.pausing = nil
	}
}

// clearDeadlines makes reads and writes wait again. Conn.mu must be held.
func (c *Conn) clearDeadlines() {
	if c.deadline.Swap(false) {
		c.Conn.SetDeadline(time.Time{})
	}
}

// pause blocks until the client hangs up, the goroutine is woken, or the limit is over (0: no limit). It reports
// whether the client has hung up. On a system that cannot show a hang-up behind unread bytes, it does not notice one.
func (c *Conn) pause(limit time.Duration) (hungUp bool) {
	c.mu.Lock()
	if c.woken || c.pending == nil {
		c.mu.Unlock()
		return false
	}
	if !c.watches() {
		return c.pauseUnlock(limit)
	}
	if limit > 0 {
		c.SetReadDeadline(time.Now().Add(limit))
	}
	c.mu.Unlock()
	err := c.awaitHangUp()
	if limit > 0 {
		c.mu.Lock()
		if !c.woken {
			c.Conn.SetReadDeadline(time.Time{})
		}
		c.mu.Unlock()
	}
	return err == nil || !errors.Is(err, os.ErrDeadlineExceeded)
}

// pauseUnlock is pause for a connection whose hang-up cannot be seen. It unlocks Conn.mu.
func (c *Conn) pauseUnlock(limit time.Duration) (hungUp bool) {
	woken := make(chan struct{})
	c.pausing = woken
	c.mu.Unlock()
	var over <-chan time.Time
	if limit > 0 {
		over = time.After(limit)
	}
	select {
	case <-woken:
	case <-over:
		c.mu.Lock()
		c.pausing = nil
		c.mu.Unlock()
	}
	return false
}
