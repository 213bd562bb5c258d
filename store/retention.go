package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"
)

// pruneRows is how many rows a step of retention looks at and may delete: few enough that nobody notices the pause.
const pruneBatch = 1000

// retention removes what ended too long ago, in rounds that are made of short steps. It belongs to the writer.
type retention struct {
	retain   time.Duration // 0: everything
	interval time.Duration // between rounds
	due      time.Time     // when the next round begins

	// The round that is going on.
	cutoff  int64 // what ended before goes; 0 if there is no round
	table   int   // which of prunables
	cursor  any   // the last id looked at there; nil before the first
	removed int64
}

// prunable is a table whose rows can be removed. Its rows are in the order of their beginnings, so a walk from the first id on can
// stop where things begin that cannot have ended before the cutoff. Clocks that were set back may stop it too early, and then
// the rows go in a later round.
type prunable struct {
	table  string
	window string // id, began and ended of the next rows after cursor ?1, at most ?2
	first  any    // a cursor before all ids
}

var prunables = []prunable{
	{"exchange", `SELECT m.id, m.matched_at AS began, coalesce(m.ended_at, x.ended_at) AS ended
		FROM exchange m LEFT JOIN exchange_end x ON x.id = m.id WHERE m.id > ?1 ORDER BY m.id LIMIT ?2`, ""},
	{"request", `SELECT m.id, m.arrived_at AS began, m.ended_at AS ended
		FROM request m WHERE m.id > ?1 ORDER BY m.id LIMIT ?2`, int64(-1)},
	{"life", `SELECT m.id, m.opened_at AS began, coalesce(m.closed_at, x.closed_at) AS ended
		FROM life m LEFT JOIN life_end x ON x.id = m.id WHERE m.id > ?1 ORDER BY m.id LIMIT ?2`, int64(-1)},
}

// newRetention returns a retention whose first round is due at once. With every 0 the rounds are a hundredth of the retention
// apart, but at least a minute and at most an hour.
func newRetention(keep, every time.Duration) retention {
	if every == 0 {
		every = min(max(keep/100, time.Minute), time.Hour)
	}
	return retention{retain: keep, interval: every}
}

// step does a little of the work, and returns true if there is more to do at once.
func (r *retention) step(s *session, now time.Time, logger *slog.Logger) (more bool, err error) {
	if r.cutoff == 0 {
		if r.retain <= 0 || now.Before(r.due) {
			return false, nil
		}
		r.due = now.Add(r.interval)
		r.cutoff, r.table, r.cursor, r.removed = now.Add(-r.retain).UnixMilli(), 0, nil, 0
	}
	done, err := r.stepTable(s, prunables[r.table], now)
	if err != nil || !done {
		return !done, err
	}
	if r.table, r.cursor = r.table+1, nil; r.table < len(prunables) {
		return true, nil
	}
	if r.removed > 0 {
		if err := s.blocks.prune(s); err != nil {
			return false, err
		}
		logger.Info("removed old rows from the audit log", "file", s.file.path,
			"ended_before", time.UnixMilli(r.cutoff).UTC().Format(time.RFC3339), "rows", r.removed)
	}
	r.cutoff = 0
	return false, nil
}

// stepTable removes what is too old among the next rows of the table, and returns true if there can be no more.
func (r *retention) stepTable(s *session, p prunable, now time.Time) (done bool, err error) {
	if r.cursor == nil {
		r.cursor = p.first
	}
	var rows, old int64
	var began sql.NullInt64
	var last any
	query := fmt.Sprintf("SELECT count(*), max(id), min(began), coalesce(sum(ended < ?3), 0) FROM (%s)", p.window)
	err = s.conn.QueryRowContext(context.Background(), query, r.cursor, pruneBatch, r.cutoff).Scan(&rows, &last, &began, &old)
	if err != nil {
		return false, err
	}
	if rows == 0 || began.Int64 >= r.cutoff {
		return true, nil
	}
	if old > 0 {
		if err := r.remove(s, p, now); err != nil {
			return false, err
		}
		r.removed += old
	}
	r.cursor = last
	return rows < pruneBatch, nil
}

// remove deletes what is too old among the next rows of the table. The cutoff that allows it goes first, once a round.
func (r *retention) remove(s *session, p prunable, now time.Time) error {
	return s.transaction(func() error {
		err := s.exec(`INSERT INTO cutoff SELECT ?1, ?2 WHERE ?1 > (SELECT coalesce(max(ended_before), 0) FROM cutoff)`, r.cutoff, now.UnixMilli())
		if err != nil {
			return err
		}
		return s.exec(fmt.Sprintf("DELETE FROM %s WHERE id IN (SELECT id FROM (%s) WHERE ended < ?3)", p.table, p.window), r.cursor, pruneBatch, r.cutoff)
	})
}
