//go:build !linux

package relay

// available returns 0: other systems have no splice(2).
func (c *Conn) available() int64 { return 0 }
