package store

import (
	"cmp"
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
		if sqliteCode(err) == sqlite3.ErrIoErr {
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
	if err := l.file.checkRecords(); err != nil { // the outage may be due to an earlier copy of the files
		return err
	}
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
	l.file.newest = cmp.Or(newestID(l.batch), l.file.newest)
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
	failures := l.take()
	if err := l.insert(recheck); err != nil {
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

// insert inserts the batch in the open transaction, except the rows that the database rejects because of their content.
func (l *Log) insert(recheck bool) (err error) {
	rejected := false
	for _, r := range l.batch {
		if err = l.session.statements.insert(r, l.run, recheck); rejectedForContent(err) {
			l.reject(r, err)
			rejected, err = true, nil
		}
		if err != nil {
			break
		}
	}
	if rejected { // also after an error: they must not be inserted, and counted, again
		l.mu.Lock()
		l.batch = slices.DeleteFunc(l.batch, func(r *row) bool { return r.rejected })
		l.mu.Unlock()
	}
	return err
}

// pending reports whether there are rows to write now.
func (l *Log) pending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pendingLocked()
}

// take moves the queue into the batch, and notes which rows have failed. It returns the number of failures so far for failedSince.
func (l *Log) take() (failures int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.releaseLocked()
	for _, r := range l.batch {
		r.failed = r.commit.err != nil
	}
	return l.failures
}

// failedSince reports whether rows have been failed since take returned that number of failures.
func (l *Log) failedSince(failures int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures != failures
}

// reject marks the row, which the database has rejected because of its content, and counts it as lost.
func (l *Log) reject(r *row, err error) {
	err = fmt.Errorf("audit log %s: the database rejected a row: %w", l.file.path, err)
	l.cfg.Logger.Error("the audit log rejected a row; this is a bug in httpipe", "error", err, "row", fmt.Sprintf("%+v", r.entry))
	l.mu.Lock()
	r.rejected = true
	l.lost++
	callbacks := r.commit.settleLocked(err, nil)
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
			l.closeErr = fmt.Errorf("%w; rows lost: %d", l.closeErr, left)
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
	lost := l.lost
	open := l.openCalls + int64(len(l.lives.begun)+len(l.exchanges.begun)+len(l.publications.begun)+len(l.subscriptions.begun))
	l.mu.Unlock()
	if err := s.endRun(l.run, time.Now(), lost, open > 0 || lost > 0); err != nil {
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
