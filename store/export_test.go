package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"httpipe/migrations"
)

// Limits are the limits that tests may lower. A zero field keeps the standard value.
type Limits struct {
	Commit, Busy, PruneEvery time.Duration
	Linger, Idle             time.Duration
	Queued, Block            int
	WALCheck, WALReset       int64
	Backoff                  time.Duration // between all attempts
	Inserted, Committing     func()        // called by the writer at these points of a transaction
}

// OpenWith is Open with lower limits and shorter pauses.
func OpenWith(cfg Config, lower Limits) (*Log, error) {
	l := standardLimits
	l.backoffMin, l.backoffMax, l.idleInterval = 5*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	l.walInterval, l.walIdle = 2*time.Millisecond, 200*time.Millisecond
	l.outageBusyTimeout = 10 * time.Millisecond
	l.blockSize = 7 // small enough for each test to have some blocks
	if lower.Commit != 0 {
		l.commitTimeout = lower.Commit
		l.linger = min(l.linger, lower.Commit/4)
	}
	if lower.Linger != 0 {
		l.linger = lower.Linger
	}
	if lower.Idle != 0 {
		l.idleInterval = lower.Idle
	}
	if lower.Busy != 0 {
		l.busyTimeout = lower.Busy
	}
	if lower.PruneEvery != 0 {
		l.pruneEvery = lower.PruneEvery
	}
	if lower.Queued != 0 {
		l.maxRows = lower.Queued
	}
	if lower.Block != 0 {
		l.blockSize = lower.Block
	}
	if lower.WALCheck != 0 {
		l.walCheckpointSize = lower.WALCheck
	}
	if lower.WALReset != 0 {
		l.walRestartSize = lower.WALReset
	}
	if lower.Backoff != 0 {
		l.backoffMin, l.backoffMax = lower.Backoff, lower.Backoff
	}
	l.hook = func(m hookPoint) {
		switch {
		case m == inserted && lower.Inserted != nil:
			lower.Inserted()
		case m == committing && lower.Committing != nil:
			lower.Committing()
		}
	}
	return open(cfg, l)
}

// FailCheckpoint acts as if a checkpoint of the checkpointer had met an I/O error. It must not be called during
// an outage.
func (l *Log) FailCheckpoint() {
	var err error = sqlite3.Error{Code: sqlite3.ErrIoErr}
	l.session.ioError.Store(&err)
}

// Awaited reports whether a caller waits for a row that the writer has not taken.
func (l *Log) Awaited() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.awaited
}

// Begun returns how many things have begun and not ended.
func (l *Log) Begun() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lives.begun) + len(l.exchanges.begun) + len(l.publications.begun) + len(l.subscriptions.begun)
}

// StandardBlock is the standard number of exchanges in a block.
var StandardBlock = standardLimits.blockSize

// Version is the newest version of the schema.
var Version = len(migrations.Steps())

// ApplicationID marks a file as an audit log.
const ApplicationID = applicationID

// BackupWith is Backup with other parameters. It copies page by page, and calls between after each page but the
// last.
func BackupWith(ctx context.Context, path, target string, walGrowth, spare int64, between func()) (Report, error) {
	return backup(ctx, path, target, copyParams{pages: 1, walGrowth: walGrowth, spare: spare, between: between})
}

// MergeWith is Merge with another limit for the growth of a source's WAL.
func MergeWith(ctx context.Context, target string, sources []Source, walGrowth int64) (Merged, error) {
	return mergeWith(ctx, target, sources, walGrowth)
}

// Slow makes the steps of a history as small as possible, and ends each page after one step.
func (h *History) Slow() {
	h.pace = pace{rows: 3, first: 3, last: 3, sample: 5}
}

// Steady makes the steps of a history as small as possible, and never ends a page early.
func (h *History) Steady() {
	h.Slow()
	h.pace.page = time.Hour
}

// Plans returns SQLite's query plans for a filter.
func (h *History) Plans(ctx context.Context, k *Kind, f Filter) (plans []string, err error) {
	if k == Channels {
		if plans, err = h.Plans(ctx, livesInExchange, f); err != nil {
			return nil, err
		}
	}
	err = h.with(ctx, func(ctx context.Context, conn *sql.Conn) error {
		for _, p := range k.plans(&f, h.running, h.indexes) {
			all := span{"", "g"}
			if !k.textID {
				all = span{int64(0), int64(math.MaxInt64)}
			}
			nth, nthArgs := p.nthQuery(all, 10)
			where, args := k.where(&p, &f, all)
			for query, args := range map[string][]any{
				nth: nthArgs,
				"SELECT " + k.columns + " FROM " + cmp.Or(k.view, k.Name) + " WHERE " + where + " ORDER BY " + k.keyColumn() + " DESC LIMIT 10": args,
			} {
				var page Page
				if err := page.add(ctx, conn, "EXPLAIN QUERY PLAN "+query, args...); err != nil {
					return fmt.Errorf("%s: %w", query, err)
				}
				plan := query
				if _, index, ok := strings.Cut(p.query, "INDEXED BY "); ok && !p.listIDs {
					plan = "expects " + strings.Fields(index)[0] + " (\n" + plan
				}
				for i := range page.Rows {
					plan += fmt.Sprintf("\n\t%v", page.Value(i, "detail"))
				}
				plans = append(plans, plan)
			}
		}
		return nil
	})
	return plans, err
}
