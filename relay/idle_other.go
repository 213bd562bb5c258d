//go:build !unix

package relay

// An idleRead is empty where a connection is read with a buffer at all times.
type idleRead struct{}

func (c *Conn) readIdle() error { return c.readMore() }
