package store

import "time"

// Commit is the pending commit of one row.
type Commit struct {
	log      *Log
	deadline time.Time // when it fails; see watchdog

	// Guarded by log.mu until settled, and constant after that.
	settled bool
	err     error
	done    chan struct{} // closed when settled; made by the first Wait, since most rows have none
}

// Wait blocks until the row is durable, and returns nil, or until its commit has failed, and returns the error.
// It returns at the latest 5 s after the row was handed in, and at once during an outage. A row whose Wait
// failed may still reach the disk later, but an ending is then written with OutcomeIfFailed (see the package
// documentation).
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

// settleLocked sets the result of the commit. Only the first call has an effect. The caller holds log.mu.
func (c *Commit) settleLocked(err error) {
	if c.settled {
		return
	}
	c.settled, c.err = true, err
	if c.done != nil {
		close(c.done)
	}
}
