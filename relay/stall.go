package relay

import (
	"sync/atomic"
	"time"

	"httpipe/pipe"
)

// stallLooks is how often within the time-out a stallClock looks at the connection.
const stallLooks = 8

// A stallClock ends an exchange whose consumer has stopped reading: while bytes are ready for it, its
// kernel acknowledges none for a whole time-out. A write deadline cannot tell: a blocked writer is woken
// only when a good part of a buffer of megabytes is free, and meanwhile a slow consumer is alive.
type stallClock struct {
	writing atomic.Bool // the relay is in Write or Flush, so bytes are ready
	stopped atomic.Bool // the next look does nothing and is the last

	// Set by start.
	exchange *pipe.Exchange
	conn     *Conn // nil if unknown
	timeout  time.Duration
	timer    *time.Timer // of the first look; nil: there is no limit

	// Owned by look, of which one runs at a time.
	progress int64     // what had been acknowledged at the last look
	since    time.Time // when that was last seen to be more than before, or nothing was being written
}

// start lets the clock run until stop. A timeout of 0 is none.
func (s *stallClock) start(x *pipe.Exchange, c *Conn, timeout time.Duration) {
	if timeout <= 0 {
		return
	}
	s.exchange, s.conn, s.timeout, s.since = x, c, timeout, time.Now()
	s.timer = time.AfterFunc(timeout/stallLooks, s.look)
}

func (s *stallClock) stop() {
	s.stopped.Store(true)
	if s.timer != nil {
		s.timer.Stop()
	}
}

func (s *stallClock) look() {
	if s.stopped.Load() {
		return
	}
	progress := s.acknowledged()
	if !s.writing.Load() || progress != s.progress {
		s.progress, s.since = progress, time.Now()
	}
	if time.Since(s.since) >= s.timeout {
		s.exchange.Cut(pipe.Stalled)
		return
	}
	time.AfterFunc(s.timeout/stallLooks, s.look)
}

// acknowledged is how many bytes the consumer's kernel has taken; where the system does not tell, how
// many ours has.
func (s *stallClock) acknowledged() int64 {
	if s.conn != nil {
		if n, ok := s.conn.acknowledged(); ok {
			return n
		}
	}
	return s.exchange.Written()
}
