package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/mattn/go-sqlite3"
)

// write is the writer: the one goroutine that writes to the file. It runs until the log is closed.
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
		case <-tick.C:
		case <-l.closing:
			l.finish()
			return
		}
	}
}

// work does all there is to do: it writes what is queued, ends an outage, makes blocks, removes what is too old, keeps the WAL
// small, and looks whether the file is still there. After an error the session is over and what was not committed is still in
// memory.
func (l *Log) work() (err error) {
	defer func() {
		if code, _ := sqliteCode(err); code == sqlite3.ErrIoErr {
			l.walSuspect = true
		}
		if err != nil && l.session != nil {
			l.endSession()
		}
	}()
	if l.session == nil {
		return l.resume()
	}
	for {
		wrote, err := l.commit(false)
		if err != nil {
			return err
		}
		blocking, err := l.session.blocks.step(l.session)
		if err != nil {
			return err
		}
		pruning, err := l.retention.step(l.session, time.Now(), l.cfg.Logger)
		if err != nil {
			return err
		}
		if !wrote { // or it has just been looked at
			if err := l.session.checkFiles(); err != nil {
				return err
			}
		}
		if l.session.walSize >= l.limits.walTruncateSize {
			if err := l.session.truncateWAL(l.limits, l.cfg.Logger); err != nil {
				return err
			}
		}
		if !wrote && (!blocking && !pruning || l.isClosing()) {
			return nil // what is left to tidy up, the next run does
		}
	}
}

// endSession ends a session that has failed. The history's connections end too, because they share a wal-index with it, which a new
// session must not go on with: the WAL may be another one then.
func (l *Log) endSession() {
	l.history.pause(func() {
		if err := l.session.end(l.limits.busyTimeout); err != nil {
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

// resume tries to end an outage: it begins a new session and writes all that was kept, or makes a trial commit if nothing
// was. Locks of others are not waited for, because this is tried again soon.
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
	// A WAL that was in doubt is emptied too, before anything depends on it.
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

const (
	gatherPerChange = 25 * time.Microsecond
	gatherMin       = 200 * time.Microsecond
	gatherMax       = 2 * time.Millisecond
)

// gather lets time pass since the last commit: gatherEach for every change that it made, up to gatherMost. A commit costs
// hundreds of microseconds of processor time however much is in it, so where many come they do well to share one. Who comes
// with few is not held up: a sleep of less than gatherLeast is not worth it, and takes a millisecond if nothing else goes on.
func (l *Log) gather() {
	pause := min(time.Duration(l.lastChanges)*gatherPerChange, gatherMax) - time.Since(l.lastCommit)
	if pause >= gatherMin {
		time.Sleep(pause)
	}
}

// commit writes what is queued as one transaction and settles it. It returns false if there was nothing. With doubtful set, some
// of it may already be in the file.
func (l *Log) commit(doubtful bool) (wrote bool, err error) {
	if !l.pending() {
		return false, nil
	}
	l.gather()
	for committed := false; !committed; {
		if committed, err = l.attempt(doubtful); err != nil {
			return false, err
		}
	}
	// Nothing is acknowledged that went to a file which nobody can see any more.
	if err := l.session.checkFiles(); err != nil {
		return false, err
	}
	l.settle()
	l.lastCommit = time.Now()
	return true, nil
}

// attempt makes the transaction for commit. It returns false, and has written nothing, if rows were given up while they were
// being inserted: what they say has changed by that.
func (l *Log) attempt(doubtful bool) (committed bool, err error) {
	// The lock first, the rows after it: what comes while another process is waited for is still in time for this batch.
	if err := l.session.exec("BEGIN IMMEDIATE"); err != nil {
		return false, err
	}
	changes, failures := l.take()
	l.lastChanges = len(changes)
	if err := l.apply(changes, doubtful); err != nil {
		return false, err
	}
	l.limits.hook(inserted)
	if l.failedSince(failures) {
		return false, l.session.rollback()
	}
	// commit will look again. This check keeps rows from being written with their Outcome that are about to fail.
	if err := l.session.checkFiles(); err != nil {
		return false, err
	}
	l.limits.hook(committing)
	return true, l.session.exec("COMMIT")
}

// apply inserts the changes within the transaction that is open, and leaves out what is refused for its content.
func (l *Log) apply(changes []change, doubtful bool) error {
	for i := range changes {
		c := &changes[i]
		err := l.session.statements.write(c, l.run, doubtful)
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

// pending reports whether there is anything to write.
func (l *Log) pending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.batch)+len(l.queue) > 0
}

// take moves the queue into the batch, and returns what the batch does to the file and the number of failures so far, to be
// given to failedSince. An ending whose Commit has failed says OutcomeIfFailed.
func (l *Log) take() (changes []change, failures int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.batch == nil {
		l.batch, l.queue = l.queue, nil
	} else {
		l.batch = append(l.batch, l.queue...)
		l.queue = nil
	}
	changes = make([]change, 0, len(l.batch))
	began := make(map[key]int) // where in changes a thing begins
	for _, r := range l.batch {
		c := change{rows: [2]*row{r, nil}}
		switch e := r.entry.(type) {
		case Life:
			began[key{life: e.ID}] = len(changes)
			c.life = &e
		case LifeEnd:
			if i, ok := began[key{life: e.ID}]; ok && changes[i].lifeEnd == nil {
				changes[i].lifeEnd, changes[i].rows[1] = &e, r
				continue
			}
			c.lifeEnd = &e
		case Match:
			began[key{exchange: e.ID}] = len(changes)
			c.match = &e
		case ExchangeEnd:
			if r.commit.err != nil && e.OutcomeIfFailed != "" {
				e.Outcome = e.OutcomeIfFailed
			}
			if i, ok := began[key{exchange: e.ID}]; ok && changes[i].end == nil {
				changes[i].end, changes[i].rows[1] = &e, r
				continue
			}
			c.end = &e
		case numberedRequest:
			c.request = &e
		}
		changes = append(changes, c)
	}
	return changes, l.failures
}

// failedSince reports whether rows have been told that they failed since take returned that number.
func (l *Log) failedSince(failures int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures != failures
}

// refuse gives up the rows of c, which the database refuses for their content.
func (l *Log) reject(c *change, err error) {
	err = fmt.Errorf("audit log %s refused a row: %w", l.file.path, err)
	l.mu.Lock()
	for _, r := range c.rows {
		if r != nil {
			r.rejected = true
			r.commit.settleLocked(err)
			l.lost++
		}
	}
	kept := l.batch[:0]
	for _, r := range l.batch {
		if !r.rejected {
			kept = append(kept, r)
		}
	}
	clear(l.batch[len(kept):])
	l.batch = kept
	l.mu.Unlock()
	for _, r := range c.rows {
		if r != nil {
			l.cfg.Logger.Error("the audit log refused a row, which is a bug in httpipe", "error", err, "row", fmt.Sprintf("%+v", r.entry))
		}
	}
}

// finish ends the run: it writes what is left, with as many attempts as fit into the time of one commit.
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

	l.mu.Lock()
	left := len(l.batch) + len(l.queue)
	l.lost += int64(left)
	if err != nil {
		l.failLocked(err)
		l.closeErr = l.file.explain("could not be closed in order", err)
		if left > 0 {
			l.closeErr = fmt.Errorf("%w; %d rows are lost", l.closeErr, left)
		}
	}
	l.mu.Unlock()
}

// endRun records the clean end of the run, and closes the session.
func (l *Log) endRun() (err error) {
	s := l.session
	defer func() { l.session = nil; err = errors.Join(err, s.end(l.limits.busyTimeout)) }()
	l.mu.Lock()
	lost, open := l.lost, len(l.running) != 0 || l.openLives != 0
	l.mu.Unlock()
	if err := s.endRun(l.run, time.Now(), lost, open || lost > 0); err != nil {
		return err
	}
	s.stopCheckpointer()
	if err := s.setBusyTimeout(l.limits.outageBusyTimeout); err != nil {
		return err
	}
	// A reader makes it impossible to empty the WAL, which does not matter: the WAL is part of the file.
	if err := s.tryTruncateWAL(); err != nil && !errors.Is(err, errReaderActive) {
		return err
	}
	return nil
}
