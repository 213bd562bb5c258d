package store

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/mattn/go-sqlite3"
)

// checkpoints copies what is in the WAL into the file, about once a second and beside the writer, so that the writer seldom
// has to stop for it. It runs until stop is closed.
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
		// Into a file that was truncated nothing is copied, or the writer would find it as large as it was.
		if info, err := os.Stat(s.file.path); err != nil || info.Size() < s.file.lastSize.Load() {
			continue
		}
		if s.file.walSize() >= limits.walCheckpointSize {
			// A failure is no news: if it matters, the WAL goes on growing and the writer hits the same problem.
			s.file.checkpointing.Store(true)
			s.checkpointer.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)")
			s.file.checkpointing.Store(false)
		}
	}
}

// stopCheckpoints makes sure that no checkpoint runs beside the writer any more.
func (s *session) stopCheckpointer() {
	if s.stop != nil {
		close(s.stop)
		<-s.stopped
		s.stop = nil
	}
}

// truncate makes a full checkpoint and empties the WAL. It is for the moment when the WAL has become big: while writing goes on,
// checkpoints beside the writer never let it begin anew. A reader in the middle of a query makes that impossible; then it is tried
// again a second later.
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
		s.walBlockedSince = now // this may be our own checkpoint beside the writer
	case now.Sub(s.walBlockedSince) >= 10*limits.idleInterval && now.Sub(s.walLastWarning) >= time.Minute:
		s.walLastWarning = now
		logger.Warn("the audit log's WAL cannot be emptied and grows", "error", err, "file", s.file.path+"-wal", "megabytes", s.walSize>>20)
	}
	// Neither a reader nor a full disk is a reason to stop as long as commits work.
	if code, _ := sqliteCode(err); err != nil && code != sqlite3.ErrFull && !errors.Is(err, errReaderActive) {
		return err
	}
	return s.setBusyTimeout(limits.busyTimeout)
}

// errReader is why a WAL cannot be emptied while somebody looks at an earlier state of the log.
var errReaderActive = errors.New("somebody reads the log in one long transaction; end it")

// fold copies the WAL into the file and empties it. It returns errReader if another connection is in the way.
func (s *session) tryTruncateWAL() error {
	var busy bool
	var frames, done int
	err := s.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done)
	if err == nil && busy {
		return errReaderActive
	}
	return err
}
