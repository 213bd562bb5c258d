package relay

import "golang.org/x/sys/unix"

// available blocks until there is something to read, and returns how many bytes there are. It returns 0 at the end of
// what the client sends, after an error or the read deadline, and at urgent data, which splice(2) cannot pass. Only the
// goroutine that reads the connection may call it.
func (c *Conn) available() (n int64) {
	c.socket.Read(func(fd uintptr) bool {
		if unread, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ); err == nil && unread > 0 {
			n = int64(unread)
			return true
		}
		// At the end, reading would not block. Go's poller may have reported the end before, and reports it once.
		var one [1]byte
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err != unix.EAGAIN && err != unix.EINTR
	})
	return n
}
