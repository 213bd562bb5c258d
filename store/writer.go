package store

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"
)

// runWriter is the writer: the one goroutine that writes to the file. It returns when the log is closed.
func (l *Log) runWriter() {
	defer close(l.finished)
	defer l.file.release()
	tick := time.NewTicker(l.limits.idleInterval)
	defer tick.Stop()
	backoff := l.limits.backoffMin
	for {
		if err := l.work(); err != nil {
			l.fail(err)
			select {
			case <-time.After(backoff):
			case <-l.closing:
				l.finish()
				return
			}
			backoff = min(2*backoff, l.limits.backoffMax)
			continue
		}
		backoff = l.limits.backoffMin
		select {
		case <-l.wake:
			// The goroutine that handed in the row has just written to a client, and the writer usually runs next on the
			// same thread. A client on this machine may need that thread's processor: let it read before the commit.
			yieldProcessor()
		case <-tick.C:
		case <-l.closing:
			l.finish()
			return
		}
	}
}

// work does one round of the writer's work: it commits the queue or tries to end an outage, builds blocks,
// prunes, bounds the WAL, and checks that the files are unchanged. If it returns an error, it has ended
// the session; rows that were not committed stay in memory.
func (l *Log) work() (err error) {
	defer func() {
		if code, _ := sqliteCode(err); code == sqlite3.ErrIoErr {
			l.walSuspect = true
		}
		if err != nil && l.session != nil {
			l.endSession(err)
		}
	}()
	if l.session == nil {
		return l.resume()
	}
	for checked := false; ; {
		wrote, err := l.commit(false)
		if err != nil {
			return err
		}
		checked = checked || wrote // the last commit of this round was followed by a check
		moreBlocks, err := l.session.blocks.step(l.session)
		if err != nil {
			return err
		}
		moreOld, err := l.retention.step(l.session, time.Now(), l.cfg.Logger)
		if err != nil {
			return err
		}
		if !checked {
			if err := l.session.checkFiles(); err != nil {
				return err
			}
		}
		if err := l.session.boundWAL(l.limits, l.cfg.Logger); err != nil {
			return err
		}
		if !wrote && (!moreBlocks && !moreOld || l.isClosing()) {
			return nil // the next run continues with what remains
		}
	}
}

// endSession ends a session that has failed because of cause. It closes the history's connections too: they
// share the wal-index with the session, and the next session may have another WAL.
func (l *Log) endSession(cause error) {
	l.history.pause(func() {
		if err := l.session.end(cause, l.limits.busyTimeout); err != nil {
			l.cfg.Logger.Warn("the audit log could not be closed", "error", err, "file", l.file.path)
		}
	})
	l.session = nil
}

func (l *Log) isClosing() bool {
	select {
	case <-l.closing:
		return true
	default:
		return false
	}
}

// resume tries to end an outage. It begins a new session and commits all rows in memory, or makes an empty
// commit as a test if there are none. It waits only briefly for locks, because the writer soon tries again.
func (l *Log) resume() error {
	if err := l.file.checkContent(); err != nil {
		return err
	}
	if l.walSuspect {
		if err := l.file.rewriteWAL(); err != nil {
			return err
		}
	}
	s, err := openSession(l.file, l.limits, l.limits.outageBusyTimeout, l.cfg.Logger)
	if err != nil {
		return err
	}
	l.session = s
	// A WAL that may be incomplete must be emptied before any commit depends on it.
	switch err := s.tryTruncateWAL(); {
	case err == nil:
		l.walSuspect = false
	case l.walSuspect || !errors.Is(err, errReaderActive):
		return err
	}
	wrote, err := l.commit(true)
	if err != nil {
		return err
	}
	if !wrote {
		if err := s.probe(); err != nil {
			return err
		}
		if err := s.checkFiles(); err != nil {
			return err
		}
		l.settle()
	}
	return s.setBusyTimeout(l.limits.busyTimeout)
}

// commit writes all pending rows as one transaction and settles them. It returns false if there were none. If
// recheck is set, some of them may already be in the file.
func (l *Log) commit(recheck bool) (wrote bool, err error) {
	if !l.pending() {
		return false, nil
	}
	// Let the goroutines run first that the last commit has woken: their rows, if they have some by then, share this
	// commit. When the processors are idle this takes no time.
	runtime.Gosched()
	for committed := false; !committed; {
		if committed, err = l.attempt(recheck); err != nil {
			return false, err
		}
	}
	// Do not acknowledge rows in a file that is no longer at its path.
	if err := l.session.checkFiles(); err != nil {
		return false, err
	}
	l.settle()
	l.session.lastCommit = time.Now()
	return true, nil
}

// attempt makes one transaction for commit. It returns false and rolls back if rows failed while it inserted
// them, because that changes what must be written.
func (l *Log) attempt(recheck bool) (committed bool, err error) {
	// Take the lock first and the rows after it: rows that arrive during the wait for another process still join
	// this batch.
	if err := l.session.statements.beginTransaction.begin().exec(); err != nil {
		return false, err
	}
	changes, failures := l.take(recheck)
	if err := l.apply(changes, recheck); err != nil {
		return false, err
	}
	l.limits.hook(inserted)
	if l.failedSince(failures) {
		return false, l.session.rollback()
	}
	// commit checks again after COMMIT. This check avoids writing rows with their Outcome when their Commit is
	// about to fail.
	if err := l.session.checkBeforeCommit(); err != nil {
		return false, err
	}
	l.limits.hook(committing)
	return true, l.session.statements.commit.begin().exec()
}

// apply makes the changes in the open transaction, except those that the database rejects because of their
// content.
func (l *Log) apply(changes []change, recheck bool) error {
	for i := range changes {
		c := &changes[i]
		err := l.session.statements.write(c, l.run, recheck)
		switch {
		case err == nil:
		case rejectedForContent(err):
			l.reject(c, err)
		default:
			return err
		}
	}
	return nil
}

// pending reports whether there are rows to write now.
func (l *Log) pending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pendingLocked()
}

// take moves the queue into the batch. It returns the changes that the batch makes to the file, and the number
// of failures so far for failedSince. If recheck is set, each life gets a row, because the file may have a part of it.
func (l *Log) take(recheck bool) (changes []change, failures int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.releaseLocked()
	changes = slices.Grow(l.changes[:0], len(l.batch))
	for _, r := range l.batch {
		r.whole = !recheck && r.isWholeInExchange()
		if !r.whole && (r.begin == nil || r.begin.gone) {
			changes = append(changes, r.change())
		} // otherwise the change of its beginning, or that of the life's only exchange, contains it
	}
	l.changes = changes
	return changes, l.failures
}

// failedSince reports whether rows have been failed since take returned that number of failures.
func (l *Log) failedSince(failures int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures != failures
}

// reject drops the rows of c, which the database has rejected because of their content.
func (l *Log) reject(c *change, err error) {
	err = fmt.Errorf("audit log %s: the database rejected a row: %w", l.file.path, err)
	for _, r := range c.rows {
		if r != nil {
			l.cfg.Logger.Error("the audit log rejected a row; this is a bug in httpipe", "error", err, "row", fmt.Sprintf("%+v", r.entry))
		}
	}
	var callbacks []func(error)
	l.mu.Lock()
	for _, r := range c.rows {
		if r != nil {
			r.gone = true
			callbacks = r.commit.settleLocked(err, callbacks)
			l.lost++
		}
	}
	kept := l.batch[:0]
	for _, r := range l.batch {
		if !r.gone {
			kept = append(kept, r)
		}
	}
	clear(l.batch[len(kept):])
	l.batch = kept
	l.mu.Unlock()
	l.callBack(callbacks, err)
}

// finish ends the run. It writes the remaining rows and retries for up to commitTimeout.
func (l *Log) finish() {
	deadline := time.Now().Add(l.limits.commitTimeout)
	err := l.work()
	for err != nil && l.file.damaged() == nil && time.Now().Before(deadline) {
		l.fail(err)
		time.Sleep(min(l.limits.backoffMin, time.Until(deadline)))
		err = l.work()
	}
	if err == nil {
		err = l.endRun()
	}

	var callbacks []func(error)
	l.mu.Lock()
	left := len(l.batch) + len(l.queue)
	l.lost += int64(left)
	if err != nil {
		_, callbacks = l.failLocked(err)
		l.closeErr = l.file.explain("could not be closed cleanly", err)
		if left > 0 {
			l.closeErr = fmt.Errorf("%w; %d rows are lost", l.closeErr, left)
		}
	}
	l.mu.Unlock()
	l.callBack(callbacks, err)
}

// endRun records that the run stopped cleanly, and ends the session.
func (l *Log) endRun() (err error) {
	s := l.session
	defer func() { l.session = nil; err = errors.Join(err, s.end(err, l.limits.busyTimeout)) }()
	l.mu.Lock()
	lost, open := l.lost, len(l.running) != 0 || len(l.lives) != 0 || len(l.onTopics) != 0 || l.openCalls != 0
	l.mu.Unlock()
	if err := s.endRun(l.run, time.Now(), lost, open || lost > 0); err != nil {
		return err
	}
	s.stopCheckpointer()
	if err := s.setBusyTimeout(l.limits.outageBusyTimeout); err != nil {
		return err
	}
	// A reader may prevent the truncation. That is harmless: the WAL is part of the log.
	if err := s.tryTruncateWAL(); err != nil && !errors.Is(err, errReaderActive) {
		return err
	}
	return nil
}
