//go:build !unix

package relay

// Where sockets are not files of the process, connections are read and written by way of the net package alone.
type rawRead struct{}

func (c *Conn) readIdle() error { return c.readFirst() }

func (c *Conn) tryWrite([]byte) (n int, err error) { return 0, nil }

func (c *Conn) peek() unreadState { return unreadNothing }
