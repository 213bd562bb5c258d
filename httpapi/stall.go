package httpapi

import (
	"math"
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
	stopped atomic.Bool // a look that ran meanwhile may have set the timer once more

	// Set by start.
	exchange *pipe.Exchange
	conn     *conn // nil if unknown
	timeout  time.Duration
	timer    *time.Timer // nil: there is no limit

	// Owned by look, which the timer runs one at a time.
	progress int64     // what had been acknowledged at the last look
	since    time.Time // when that was last seen to be more than before, or nothing was being written
}

// start lets the clock run until stop. A timeout of 0 is none.
func (s *stallClock) start(x *pipe.Exchange, c *conn, timeout time.Duration) {
	if timeout <= 0 {
		return
	}
	s.exchange, s.conn, s.timeout, s.since = x, c, timeout, time.Now()
	// Set before it can fire, since look sets it again.
	s.timer = time.AfterFunc(math.MaxInt64, s.look)
	s.timer.Reset(timeout / stallLooks)
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
	s.timer.Reset(s.timeout / stallLooks)
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
