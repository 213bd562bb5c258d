package store

import "time"

// Commit is a row on its way to the disk.
type Commit struct {
	log      *Log
	deadline time.Time // when it counts as failed; see watchdog

	// Guarded by log.mu until settled; never changed after that.
	settled bool
	err     error
	done    chan struct{} // closed when settled; made by the first who waits, since for most rows nobody does
}

// Wait blocks until the row is durable and returns nil, or until that has failed and returns why; at the latest 5 s after the row
// was handed in. During an outage it returns at once. A row whose Wait failed may still reach the disk, but an
// ending then says OutcomeIfFailed (see the package documentation).
func (c *Commit) Wait() error {
	c.log.mu.Lock()
	if !c.settled && c.done == nil {
		c.done = make(chan struct{})
	}
	settled, done := c.settled, c.done
	c.log.mu.Unlock()
	if !settled {
		<-done
	}
	return c.err
}

// settleLocked says once and for all what became of the row; the first word counts. The caller holds log.mu.
func (c *Commit) settleLocked(err error) {
	if c.settled {
		return
	}
	c.settled, c.err = true, err
	if c.done != nil {
		close(c.done)
	}
}
