package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"
)

// A run is one run of the server, as recorded in the log.
type run struct {
	id      int64
	started int64 // Unix time in milliseconds
}

// startRun records the start of a new run and returns it. If the last run did not shut down cleanly, startRun
// first records what that run left open as Interrupted.
func (s *session) startRun(version, node string, now time.Time, logger *slog.Logger) (run, error) {
	r := run{started: now.UnixMilli()}
	err := s.transaction(func() error {
		var last int64
		var stopped sql.NullInt64
		err := s.queryRow("SELECT r.id, x.stopped_at FROM run r LEFT JOIN run_end x ON x.id = r.id ORDER BY r.id DESC LIMIT 1").Scan(&last, &stopped)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if last != 0 && !stopped.Valid {
			exchanges, lives, err := s.interruptOpen(last, now)
			if err != nil {
				return err
			}
			logger.Warn("the last run did not shut down cleanly", "file", s.file.path, "exchanges_interrupted", exchanges, "channels_interrupted", lives)
		}
		r.id = last + 1
		return s.exec("INSERT INTO run VALUES (?, ?, ?, ?)", r.id, r.started, validUTF8(version), sql.NullString{String: node, Valid: node != ""})
	})
	if err != nil {
		return run{}, err
	}
	// checkRuns and checkRecords rely on the run being in the file itself. A reader may prevent this; that weakens
	// these checks, but loses no record.
	if err := s.tryTruncateWAL(); err != nil && !errors.Is(err, errReaderActive) {
		return run{}, err
	}
	return r, nil
}

// endRun records that the run has stopped. If hasOpen is set, the file has beginnings whose ending was lost.
func (s *session) endRun(run int64, now time.Time, lost int64, hasOpen bool) error {
	return s.transaction(func() error {
		if hasOpen {
			if _, _, err := s.interruptOpen(run, now); err != nil {
				return err
			}
		}
		return s.exec("INSERT INTO run_end VALUES (?, ?, ?)", run, now.UnixMilli(), lost)
	})
}

// interruptOpen records everything that the run began and did not end as Interrupted, with the time now. It
// reads all exchanges of the run, and finds the first of them by the time in its id.
func (s *session) interruptOpen(run int64, now time.Time) (exchanges, lives int64, err error) {
	var began int64
	err = s.queryRow(`
		SELECT min(started_at, coalesce((SELECT min(opened_at) FROM life WHERE id BETWEEN ?2 AND ?3), started_at))
		FROM run WHERE id = ?1`, run, inRun(run, 0), inRun(run+1, 0)-1).Scan(&began)
	if err != nil {
		return 0, 0, err
	}
	args := []any{now.UnixMilli(), Interrupted, idFloor(began - clockSlack.Milliseconds()), inRun(run, 0), inRun(run+1, 0) - 1}

	result, err := s.conn.ExecContext(context.Background(), `
		INSERT INTO exchange_end (id, outcome, bytes, ended_at)
		SELECT e.id, ?2, NULL, ?1 FROM exchange e
		WHERE e.id >= ?3 AND e.life BETWEEN ?4 AND ?5 AND e.ended_at IS NULL
		  AND NOT EXISTS (SELECT 1 FROM exchange_end x WHERE x.id = e.id)`, args...)
	if err != nil {
		return 0, 0, err
	}
	if exchanges, err = result.RowsAffected(); err != nil {
		return 0, 0, err
	}
	err = s.exec(`
		INSERT INTO call (id, outcome, status, answered_at, ended_at)
		SELECT e.id, ?2, NULL, NULL, ?1 FROM exchange e
		WHERE e.id >= ?3 AND e.life BETWEEN ?4 AND ?5 AND e.method IS NOT NULL
		  AND NOT EXISTS (SELECT 1 FROM call c WHERE c.id = e.id)`, args...)
	if err != nil {
		return 0, 0, err
	}
	result, err = s.conn.ExecContext(context.Background(), `
		INSERT INTO life_end (id, closed_at, reason, exchanges, bytes)
		SELECT l.id, ?1, ?2, coalesce(c.exchanges, 0), coalesce(c.bytes, 0)
		FROM life l LEFT JOIN (
			SELECT e.life, count(*) AS exchanges, sum(coalesce(e.bytes, x.bytes)) AS bytes
			FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id
			WHERE e.id >= ?3 AND e.life BETWEEN ?4 AND ?5
			GROUP BY e.life
		) c ON c.life = l.id
		WHERE l.id BETWEEN ?4 AND ?5 AND l.closed_at IS NULL
		  AND NOT EXISTS (SELECT 1 FROM life_end x WHERE x.id = l.id)`, args...)
	if err != nil {
		return 0, 0, err
	}
	if lives, err = result.RowsAffected(); err != nil {
		return exchanges, lives, err
	}
	return exchanges, lives, s.interruptTopics(run, args...)
}

// interruptTopics is the part of interruptOpen that is about topics. Of args it uses the time now, the outcome, and the
// id from which on the run has rows.
func (s *session) interruptTopics(run int64, args ...any) error {
	args = append(args[:3:3], run)
	for _, statement := range []string{
		`INSERT INTO publication_end (id, outcome, delivered, ended_at)
		SELECT p.id, ?2, NULL, ?1 FROM publication p
		WHERE p.id >= ?3 AND p.run = ?4 AND p.ended_at IS NULL AND NOT EXISTS (SELECT 1 FROM publication_end x WHERE x.id = p.id)`,
		`INSERT INTO subscription_end (id, outcome, messages, bytes, first, last, ended_at)
		SELECT s.id, ?2, NULL, NULL, NULL, NULL, ?1 FROM subscription s
		WHERE s.id >= ?3 AND s.run = ?4 AND s.ended_at IS NULL AND NOT EXISTS (SELECT 1 FROM subscription_end x WHERE x.id = s.id)`,
	} {
		if err := s.exec(statement, args...); err != nil {
			return err
		}
	}
	return nil
}
