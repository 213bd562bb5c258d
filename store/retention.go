package store

import (
	"database/sql"
	"fmt"
	"log/slog"
	"time"
)

// pruneBatch is how many rows one step examines and may delete: few enough for the pause to be short.
const pruneBatch = 1000

// retention deletes old rows. It works in rounds, which consist of short steps. It is owned by the writer.
type retention struct {
	retain   time.Duration // how long to keep rows; 0: forever
	interval time.Duration // between rounds
	due      time.Time     // when the next round begins

	// The current round.
	cutoff  int64 // delete rows that ended before, in Unix milliseconds; 0: no round is in progress
	table   int   // index in prunables
	cursor  any   // the last id examined in this table; nil: none yet
	removed int64
}

// prunable is a table whose rows can be deleted. Ids ascend with the time of the beginning, so a scan from the
// first id can stop at the first batch that began after the cutoff. If the clock was set back it may stop too
// early; a later round then deletes the rest.
type prunable struct {
	table  string
	window string // selects id, began and ended of the next rows after cursor ?1, at most ?2
	first  any    // a cursor before all ids
}

var prunables = []prunable{
	{"exchange", `SELECT m.id, m.matched_at AS began, 
		CASE WHEN m.method IS NULL THEN coalesce(m.ended_at, x.ended_at) ELSE (SELECT c.ended_at FROM call c WHERE c.id = m.id) END AS ended
		FROM exchange m LEFT JOIN exchange_end x ON x.id = m.id WHERE m.id > ?1 ORDER BY m.id LIMIT ?2`, ""},
	{"request", `SELECT m.id, m.arrived_at AS began, m.ended_at AS ended
		FROM request m WHERE m.id > ?1 ORDER BY m.id LIMIT ?2`, int64(-1)},
	{"publication", `SELECT m.id, m.published_at AS began, coalesce(m.ended_at, x.ended_at) AS ended
		FROM publication m LEFT JOIN publication_end x ON x.id = m.id WHERE m.id > ?1 ORDER BY m.id LIMIT ?2`, ""},
	{"subscription", `SELECT m.id, m.subscribed_at AS began, coalesce(m.ended_at, x.ended_at) AS ended
		FROM subscription m LEFT JOIN subscription_end x ON x.id = m.id WHERE m.id > ?1 ORDER BY m.id LIMIT ?2`, ""},
	{"life", `SELECT m.id, m.opened_at AS began, coalesce(m.closed_at, x.closed_at) AS ended
		FROM life m LEFT JOIN life_end x ON x.id = m.id WHERE m.id > ?1 ORDER BY m.id LIMIT ?2`, int64(-1)},
}

// newRetention returns a retention whose first round is due at once. If interval is 0, it is a hundredth of
// retain, but at least a minute and at most an hour.
func newRetention(retain, interval time.Duration) retention {
	if interval == 0 {
		interval = min(max(retain/100, time.Minute), time.Hour)
	}
	return retention{retain: retain, interval: interval}
}

// step does a small part of the work, and returns true if it should be called again at once.
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

// stepTable deletes the old rows among the next batch of the table, and returns true at the end of the table.
func (r *retention) stepTable(s *session, p prunable, now time.Time) (done bool, err error) {
	if r.cursor == nil {
		r.cursor = p.first
	}
	var rows, old int64
	var began sql.NullInt64
	var last any
	query := fmt.Sprintf("SELECT count(*), max(id), min(began), coalesce(sum(ended < ?3), 0) FROM (%s)", p.window)
	err = s.queryRow(query, r.cursor, pruneBatch, r.cutoff).Scan(&rows, &last, &began, &old)
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

// remove deletes the old rows among the next batch of the table. It first records the cutoff that permits this,
// once per round.
func (r *retention) remove(s *session, p prunable, now time.Time) error {
	s.file.newest = "" // it may be among them
	return s.transaction(func() error {
		err := s.exec(`INSERT INTO cutoff SELECT ?1, ?2 WHERE ?1 > (SELECT coalesce(max(ended_before), 0) FROM cutoff)`, r.cutoff, now.UnixMilli())
		if err != nil {
			return err
		}
		return s.exec(fmt.Sprintf("DELETE FROM %s WHERE id IN (SELECT id FROM (%s) WHERE ended < ?3)", p.table, p.window), r.cursor, pruneBatch, r.cutoff)
	})
}
