package store

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/mattn/go-sqlite3"
)

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
		}
		// Do not copy into a file that was truncated: it would grow again, and the writer would not notice.
		if info, err := os.Stat(s.file.path); err != nil || info.Size() < s.file.lastSize.Load() {
			continue
		}
		if s.file.walSize() >= limits.walCheckpointSize {
			// Ignore errors: if the cause persists, the WAL grows and the writer meets the same error.
			s.file.checkpointing.Store(true)
			s.checkpointer.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)")
			s.file.checkpointing.Store(false)
		}
	}
}

// stopCheckpointer stops the checkpointer and waits for it.
func (s *session) stopCheckpointer() {
	if s.stop != nil {
		close(s.stop)
		<-s.stopped
		s.stop = nil
	}
}

// truncateWAL empties the WAL when it has become large: under constant load, the checkpointer alone never gets
// the chance. A reader in a long query prevents it; then truncateWAL tries again a second later.
func (s *session) truncateWAL(limits limits, logger *slog.Logger) error {
	now := time.Now()
	if now.Sub(s.walLastTry) < limits.idleInterval {
		return nil
	}
	s.walLastTry = now
	if err := s.setBusyTimeout(0); err != nil {
		return err
	}
	err := s.tryTruncateWAL()
	switch {
	case err == nil:
		s.walBlockedSince = time.Time{}
	case s.walBlockedSince.IsZero():
		s.walBlockedSince = now // the checkpointer may be the cause
	case now.Sub(s.walBlockedSince) >= 10*limits.idleInterval && now.Sub(s.walLastWarning) >= time.Minute:
		s.walLastWarning = now
		logger.Warn("the audit log's WAL is growing, because it cannot be emptied", "error", err, "file", s.file.path+"-wal", "megabytes", s.walSize>>20)
	}
	// A reader or a full disk is no reason to end the session as long as commits work.
	if code, _ := sqliteCode(err); err != nil && code != sqlite3.ErrFull && !errors.Is(err, errReaderActive) {
		return err
	}
	return s.setBusyTimeout(limits.busyTimeout)
}

// errReaderActive is returned when the WAL cannot be emptied because a reader uses an earlier state of the log.
var errReaderActive = errors.New("a process reads the log in a long transaction; end that transaction")

// tryTruncateWAL copies the whole WAL into the file and empties it. It returns errReaderActive if another
// connection prevents that.
func (s *session) tryTruncateWAL() error {
	var busy bool
	var frames, done int
	err := s.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done)
	if err == nil && busy {
		return errReaderActive
	}
	return err
}
