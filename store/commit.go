package store

import (
	"fmt"
	"runtime/debug"
)

// Commit is the pending commit of a row. A beginning and an ending that share a row share its Commit.
type Commit struct {
	log *Log

	// Guarded by log.mu until settled, and constant after that.
	taken   bool // the writer has the row in its batch
	settled bool
	err     error
	then    func(error) // called when it is settled; nil: nothing
}

// Then calls f with nil when the row is durable, or with the error when its commit has failed, and exactly once. It
// calls f before it returns if this is known already; otherwise it returns, and f is called on the goroutine that
// settles the commit, in the order of the rows. That is usually the writer, which starts the next commit after f has
// returned. So f must not block, and in particular must not wait for a Commit; it may record further rows. It is called
// without any lock of the log.
//
// The commit is settled at the latest 5 s after the row was handed in, and at once during an outage. A row whose commit
// failed may still reach the disk later, but an ending is then written with OutcomeIfFailed (see the package
// documentation).
func (c *Commit) Then(f func(error)) {
	c.log.mu.Lock()
	settled := c.thenLocked(f)
	c.log.mu.Unlock()
	if settled {
		f(c.err)
	}
}

// thenLocked is Then with log.mu held, except that it does not call f if the commit is settled already, and reports that.
func (c *Commit) thenLocked(f func(error)) (settled bool) {
	if c.settled {
		return true
	}
	if first := c.then; first != nil {
		second := f
		f = func(err error) {
			defer second(err) // even if the first panics
			first(err)
		}
	}
	c.then = f
	if !c.taken {
		c.log.awaited = true
		c.log.wakeWriter()
	}
	return false
}

// Wait blocks until the row is durable, and returns nil, or until its commit has failed, and returns the error; see
// Then.
func (c *Commit) Wait() error {
	done := make(chan error, 1)
	c.Then(func(err error) { done <- err })
	return <-done
}

// settleLocked sets the result of the commit. Only the first call has an effect. It returns callbacks with the function
// that the caller must pass to callBack after it has released log.mu, if there is one. The caller holds log.mu.
func (c *Commit) settleLocked(err error, callbacks []func(error)) []func(error) {
	if c.settled {
		return callbacks
	}
	c.settled, c.err = true, err
	if c.then != nil {
		callbacks = append(callbacks, c.then)
		c.then = nil // it may refer to a connection, and the row may stay in memory for the length of an outage
	}
	return callbacks
}

// callBack calls the functions given to Then of commits that were settled with err. If one panics, the others are called
// nevertheless, and the log goes on.
func (l *Log) callBack(callbacks []func(error), err error) {
	for _, f := range callbacks {
		func() {
			defer func() {
				if p := recover(); p != nil {
					l.cfg.Logger.Error("a function that was called after a commit panicked; this is a bug in httpipe",
						"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				}
			}()
			f(err)
		}()
	}
}
