package relay

import (
	"sync/atomic"
	"time"

	"httpipe/pipe"
)

// checksPerTimeout is how often a stallClock checks the connection within the timeout.
const checksPerTimeout = 8

// A stallClock ends an exchange whose consumer has stopped reading: while there are bytes to send, the consumer's kernel
// acknowledges none for the whole timeout. A write deadline cannot do this: a blocked writer is woken only when a large
// part of a buffer of megabytes is free, and a slow consumer may read for longer until then.
type stallClock struct {
	writing atomic.Bool // the relay is in Write or Flush, so there are bytes to send
	stopped atomic.Bool // the next check does nothing and is the last

	// Set by start.
	exchange *pipe.Exchange
	conn     *Conn
	timeout  time.Duration
	timer    *time.Timer // of the first check; nil: no limit

	// Owned by check. One check runs at a time.
	progress int64 // bytes that had been acknowledged at the last check
	idle     int   // checks in a row without progress; a time would also pass while this process is stopped
}

// start starts the clock, which runs until stop. A timeout of 0 means no limit.
func (s *stallClock) start(x *pipe.Exchange, c *Conn, timeout time.Duration) {
	if timeout <= 0 {
		return
	}
	s.exchange, s.conn, s.timeout = x, c, timeout
	s.timer = time.AfterFunc(timeout/checksPerTimeout, s.check)
}

func (s *stallClock) stop() {
	s.stopped.Store(true)
	if s.timer != nil {
		s.timer.Stop()
	}
}

func (s *stallClock) check() {
	if s.stopped.Load() {
		return
	}
	progress, all := s.acknowledged()
	s.idle++
	if !s.writing.Load() || all || progress != s.progress {
		s.progress, s.idle = progress, 0
	}
	if s.idle >= checksPerTimeout {
		s.exchange.Cut(pipe.Stalled)
		return
	}
	time.AfterFunc(s.timeout/checksPerTimeout, s.check)
}

// acknowledged returns how many bytes the consumer's kernel has acknowledged, or, where this system does not know, how
// many our kernel has accepted. all says that nothing is left to acknowledge: then it is this process that is slow.
func (s *stallClock) acknowledged() (n int64, all bool) {
	if n, all, ok := s.conn.acknowledged(); ok {
		return n, all
	}
	return s.exchange.Written(), false
}

// stallDeadline is the deadline of a few bytes that are written without a stallClock.
func (l *Relay) stallDeadline() time.Time {
	if l.config.StallTimeout <= 0 {
		return noDeadline
	}
	return time.Now().Add(l.config.StallTimeout)
}
