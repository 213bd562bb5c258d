package relay

import (
	"testing"

	"httpipe/test/rawhttp"
)

// A client has acknowledged all that was sent to it, or not: that tells one that does not read from a server that is slow.
func TestAcknowledged(t *testing.T) {
	s := start(t)
	client := s.dial().Get(topicHere, "Accept: text/event-stream")
	client.Head()
	one := s.commented(1)
	rawhttp.Eventually(t, patience, "the stream is idle", one.lock.try)
	defer one.unlock()
	rawhttp.Eventually(t, patience, "all is acknowledged", func() bool {
		n, all, ok := one.conn.acknowledged()
		return n > 0 && all && ok
	})
	go one.conn.Conn.Write(make([]byte, 32<<20)) // more than the kernels take
	rawhttp.Eventually(t, patience, "something is not acknowledged", func() bool {
		_, all, ok := one.conn.acknowledged()
		return !all && ok
	})
}
