package store

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// slack is how far a clock may have been set back without anything being overlooked that is searched by time.
const slack = 24 * time.Hour

// idFloor returns what is not greater than the id of any exchange that was matched at or after that time.
func idFloor(ms int64) string {
	ms = max(ms, 0)
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff)
}

// A run is what identifies a run of the server: its row in the log.
type run struct {
	id      int64
	started int64 // milliseconds since 1970
}

// startRun closes the books of the last run if that did not do so itself, records that a new one has started, and returns the
// new one.
func (d *disk) startRun(version string, now time.Time, logger *slog.Logger) (run, error) {
	r := run{started: now.UnixMilli()}
	err := d.transaction(func() error {
		var last int64
		var stopped sql.NullInt64
		err := d.conn.QueryRowContext(always, "SELECT r.id, x.stopped_at FROM run r LEFT JOIN run_end x ON x.id = r.id ORDER BY r.id DESC LIMIT 1").Scan(&last, &stopped)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if last != 0 && !stopped.Valid {
			exchanges, lives, err := d.closeBooks(last, now)
			if err != nil {
				return err
			}
			logger.Warn("the last run did not stop in order", "file", d.held.path, "exchanges_interrupted", exchanges, "channels_interrupted", lives)
		}
		r.id = last + 1
		return d.exec("INSERT INTO run VALUES (?, ?, ?)", r.id, r.started, clean(version))
	})
	if err != nil {
		return run{}, err
	}
	// See ownRuns and knowsRun. A reader may be in the way, which costs those checks something, and no record.
	if err := d.fold(); err != nil && !errors.Is(err, errReader) {
		return run{}, err
	}
	return r, nil
}

// endRun records that the run has stopped in order. With loose set, there are beginnings in the file whose ending was lost.
func (d *disk) endRun(run int64, now time.Time, lost int64, loose bool) error {
	return d.transaction(func() error {
		if loose {
			if _, _, err := d.closeBooks(run, now); err != nil {
				return err
			}
		}
		return d.exec("INSERT INTO run_end VALUES (?, ?, ?)", run, now.UnixMilli(), lost)
	})
}

// closeBooks records everything that the run began and did not end as Interrupted, now. It reads all exchanges of the run, and
// finds the first of them by the time in its id.
func (d *disk) closeBooks(run int64, now time.Time) (exchanges, lives int64, err error) {
	var began int64
	err = d.conn.QueryRowContext(always, `
		SELECT min(started_at, coalesce((SELECT min(opened_at) FROM life WHERE id BETWEEN ?2 AND ?3), started_at))
		FROM run WHERE id = ?1`, run, inRun(run, 0), inRun(run+1, 0)-1).Scan(&began)
	if err != nil {
		return 0, 0, err
	}
	args := []any{now.UnixMilli(), Interrupted, idFloor(began - slack.Milliseconds()), inRun(run, 0), inRun(run+1, 0) - 1}

	result, err := d.conn.ExecContext(always, `
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
	result, err = d.conn.ExecContext(always, `
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
	lives, err = result.RowsAffected()
	return exchanges, lives, err
}
