//go:build !linux

package relay

import "httpipe/pipe"

// Other systems do not tell: what Read shows is left, and a client that hangs up behind unread bytes is not seen.

func (c *Conn) watches() bool { return false }

func (c *Conn) awaitHangUp() error { return nil }

func (c *Conn) alive() bool { return true }

func findAll(subscribers []pipe.Subscriber) {
	for _, s := range subscribers {
		s := s.(*subscriber)
		s.found = s.conn.peek()
	}
}

func (c *Conn) writable() bool { return true }

func (c *Conn) clogged() bool { return false }

func (c *Conn) acknowledged() (n int64, all, ok bool) { return 0, false, false }
