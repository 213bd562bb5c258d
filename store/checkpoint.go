package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/mattn/go-sqlite3"
)

// SQLite writes the WAL from its beginning again once a checkpoint has copied all of it into the main file. The
// file keeps its size then, with frames of earlier rounds behind the valid ones: overwriting costs half as much
// as growing, which changes the file's size at each fsync. So the writer starts the WAL over when it has become
// large. It shrinks only after a reader has made it grow far beyond that, when the log is idle, and at the end of
// a session.

// frameSize is the size of a frame in the WAL: its header and a page.
const frameSize = walFrame + pageSize

// runCheckpoints is the checkpointer: a goroutine that copies the WAL into the file about once a second, in
// parallel with the writer, so that the writer rarely has to stop for it. It returns when stop is closed.
func (s *session) runCheckpoints(limits limits, stop <-chan struct{}) {
	defer close(s.stopped)
	tick := time.NewTicker(limits.idleInterval)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		case <-s.behind:
		}
		// Do not copy into a file that was truncated: it would grow again, and the writer would not notice.
		if info, err := os.Stat(s.file.path); err != nil || info.Size() < s.file.lastSize.Load() {
			continue
		}
		// Ignore other errors than I/O errors: if the cause persists, the WAL grows and the writer meets it.
		if wal, err := checkpoint(s.checkpointer, "NOOP"); err != nil || wal.uncopied() < limits.walCheckpointSize {
			continue
		}
		s.file.checkpointing.Store(true)
		err := s.copyWAL()
		s.file.checkpointing.Store(false)
		if sqliteCode(err) == sqlite3.ErrIoErr {
			s.ioError.Store(&err)
		}
	}
}

// copyWAL copies what it can of the WAL into the file, and syncs it. SQLite itself does not sync unless it reaches
// the end of the WAL. That would leave up to hundreds of megabytes to the sync of the writer's checkpoint, which
// all commits wait for.
func (s *session) copyWAL() error {
	if _, err := checkpoint(s.checkpointer, "PASSIVE"); err != nil {
		return err
	}
	if err := s.file.file.Sync(); err != nil {
		return fmt.Errorf("%w: %w", sqlite3.Error{Code: sqlite3.ErrIoErr}, err)
	}
	return nil
}

// stopCheckpointer stops the checkpointer and waits for it.
func (s *session) stopCheckpointer() {
	if s.stop != nil {
		close(s.stop)
		<-s.stopped
		s.stop = nil
	}
}

// boundWAL starts the WAL over when it has become large, and truncates it when the log is idle. While the
// checkpointer works, it does nothing, and as long as much of the WAL is not yet copied, it only wakes the
// checkpointer: so the writer does not stop for long. A reader in a long query prevents all this; meanwhile the
// WAL grows.
func (s *session) boundWAL(limits limits, logger *slog.Logger) error {
	if err := s.ioError.Load(); err != nil {
		return *err
	}
	now := time.Now()
	idle := s.walSize >= limits.walCheckpointSize && now.Sub(s.lastCommit) >= limits.walIdle
	if s.walSize < limits.walRestartSize && !idle || now.Sub(s.walLastTry) < limits.walInterval || s.file.checkpointing.Load() {
		return nil
	}
	s.walLastTry = now
	wal, err := checkpoint(s.conn, "NOOP")
	switch {
	case err != nil:
		return err
	case wal.frames*frameSize < limits.walRestartSize && !idle: // what makes the file large are old frames
		if s.walSize > limits.walKeptSize() {
			err = s.limitWAL(limits) // for SQLite, which starts the WAL over whenever the checkpointer has copied all of it
		}
	case wal.uncopied() > limits.walRestartSize/4:
		select {
		case s.behind <- struct{}{}:
		default: // it is awake
		}
		err = errReaderActive // or the checkpointer is slow; the warning is for a state that lasts
	case idle:
		err = s.checkpointNow("TRUNCATE", limits)
	default:
		if err := s.limitWAL(limits); err != nil {
			return err
		}
		err = s.checkpointNow("RESTART", limits)
	}
	switch {
	case err == nil:
		s.walBlockedSince = time.Time{}
	case s.walBlockedSince.IsZero():
		s.walBlockedSince = now
	case now.Sub(s.walBlockedSince) >= 10*limits.idleInterval && now.Sub(s.walLastWarning) >= time.Minute:
		s.walLastWarning = now
		logger.Warn("the audit log's WAL is growing, because it cannot be emptied", "error", err, "file", s.file.path+"-wal", "megabytes", s.walSize>>20)
	}
	// A reader or a full disk is no reason to end the session as long as commits work.
	if sqliteCode(err) == sqlite3.ErrFull || errors.Is(err, errReaderActive) {
		return nil
	}
	return err
}

// limitWAL sets the size beyond which SQLite cuts the WAL off when it next starts it over. A large WAL is cut in steps: to
// truncate hundreds of megabytes at once takes as many milliseconds.
func (s *session) limitWAL(limits limits) error {
	return s.exec(fmt.Sprintf("PRAGMA journal_size_limit=%d", max(limits.walKeptSize(), s.walSize-limits.walRestartSize/4)))
}

// walKeptSize returns the size to which a larger WAL is cut.
func (l *limits) walKeptSize() int64 { return l.walRestartSize * 3 / 2 }

// checkpointNow runs a checkpoint on the writer's connection without waiting for others' locks.
func (s *session) checkpointNow(mode string, limits limits) error {
	if err := s.setBusyTimeout(0); err != nil {
		return err
	}
	if _, err := checkpoint(s.conn, mode); err != nil {
		return errors.Join(err, s.setBusyTimeout(limits.busyTimeout))
	}
	return s.setBusyTimeout(limits.busyTimeout)
}

// errReaderActive is returned when the WAL cannot be emptied because a reader uses an earlier state of the log.
var errReaderActive = errors.New("a process reads the log in a long transaction; end that transaction")

// tryTruncateWAL copies the whole WAL into the file and empties it. It returns errReaderActive if another
// connection prevents that.
func (s *session) tryTruncateWAL() error {
	_, err := checkpoint(s.conn, "TRUNCATE")
	return err
}

// walState is how full the WAL is.
type walState struct {
	frames int64 // in use
	copied int64 // of those, already in the main file
}

// uncopied returns how many bytes of the WAL are not yet in the main file.
func (w walState) uncopied() int64 { return (w.frames - w.copied) * frameSize }

// checkpoint runs a checkpoint in one of SQLite's modes, and returns the state of the WAL after it. NOOP only
// returns the state. The error is errReaderActive if another connection prevents the checkpoint.
func checkpoint(conn interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, mode string) (wal walState, err error) {
	var busy bool
	err = conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &wal.frames, &wal.copied)
	if err == nil && busy {
		err = errReaderActive
	}
	return wal, err
}
