package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"httpipe/migrations"
)

const (
	// readers is how many connections a History reads through. One that exports everything leaves one for the others.
	readers = 2
	// readerIdle is how long a connection stays open that nobody uses.
	readerIdle = time.Minute
	// readPatience bounds what one question may take, the wait for a connection included. It is far more than any should
	// take, and keeps a disk that has stopped answering from holding everybody who asks.
	readPatience = 10 * time.Second
)

// A History answers questions about what is on record. It has connections of its own, which cannot write, and reads in
// transactions of some milliseconds, so that it neither holds up the writer nor keeps the WAL from being emptied. Its
// methods may be called from any goroutine.
type History struct {
	file    *logFile
	check   func() error // returns an error if what the file says is not to be believed; called before and after each question
	db      *sql.DB
	asking  sync.RWMutex    // held for reading while a connection is in use
	running func() []string // the ids of the exchanges that run; nil if that can only be found out by looking
	close   func() error
	pace    pace
}

// History returns the history of this log, as far as it is committed. It is usable until Close, also in an outage as long as
// the file is there.
func (l *Log) History() *History { return l.history }

// newHistory returns the history of a log that this process writes. It opens nothing before it is asked.
func newHistory(h *held, running func() []string) (*History, error) {
	db, err := sql.Open("sqlite3", dsn(h.path, "ro", standardLimits.busy)+"&_query_only=1")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	db.SetConnMaxIdleTime(readerIdle)
	return &History{file: &h.logFile, check: h.readable, db: db, running: running, close: db.Close, pace: standardPace}, nil
}

// pause waits for the questions that are being answered, closes all connections, and calls f before the next question.
func (h *History) pause(f func()) {
	h.asking.Lock()
	defer h.asking.Unlock()
	h.db.SetMaxIdleConns(0)
	h.db.SetMaxIdleConns(readers)
	f()
}

// OpenHistory opens the log at path, which may be one that a server writes at the same time. It must not be called in that
// server's process: see Open. Its errors name the file and say what to do.
func OpenHistory(path string) (*History, error) {
	r, err := openReader(path)
	if err != nil {
		return nil, err
	}
	var version int
	if err := r.row(always, "PRAGMA user_version", &version); err != nil {
		r.close()
		return nil, err
	}
	if known := len(migrations.Steps()); version < known {
		r.close()
		return nil, fmt.Errorf("audit log %s: made by an older httpipe (schema %d, this one knows %d); start this one on it, or use that version",
			r.path, version, known)
	}
	// The connection that has looked at the file stays the only one: a log that was made on the spot has its side files for as
	// long as there is one.
	if err := r.conn.Close(); err != nil {
		r.close()
		return nil, r.explain("cannot be read", err)
	}
	r.conn = nil
	return &History{file: &r.logFile, check: r.unchanged, db: r.db, close: r.close, pace: standardPace}, nil
}

// Close ends the reading of a history that was opened by OpenHistory.
func (h *History) Close() error { return h.close() }

// with calls f with a connection, and explains its error.
func (h *History) with(ctx context.Context, f func(ctx context.Context, conn *sql.Conn) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readPatience, fmt.Errorf("no answer within %v", readPatience))
	defer cancel()
	err := h.check()
	if err == nil {
		err = h.withConn(ctx, f)
	}
	if changed := h.check(); changed != nil {
		err = changed
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = context.Cause(ctx) // and not that SQLite was interrupted
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return h.file.explain("cannot be read", err)
}

func (h *History) withConn(ctx context.Context, f func(ctx context.Context, conn *sql.Conn) error) error {
	h.asking.RLock()
	defer h.asking.RUnlock()
	conn, err := h.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(ctx, conn)
}

// A Page is some of what was asked for, the newest first.
type Page struct {
	Columns []string
	Rows    [][]any // each a string, an int64 or nil for each column
	Next    string  // the cursor of the next page; empty if there is none
}

// Value returns what row i has in a column, which must be one of the Columns.
func (p Page) Value(i int, column string) any { return p.Rows[i][indexOf(p.Columns, column)] }

// add appends the rows that a query finds.
func (p *Page) add(ctx context.Context, conn *sql.Conn, query string, args ...any) error {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if p.Columns, err = rows.Columns(); err != nil {
		return err
	}
	into := make([]any, len(p.Columns))
	for rows.Next() {
		row := make([]any, len(p.Columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		p.Rows = append(p.Rows, row)
	}
	return rows.Err()
}

// Exchange returns the exchange with that id as a page of one row, or of none.
func (h *History) Exchange(ctx context.Context, id string) (page Page, err error) {
	err = h.with(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return page.add(ctx, conn, "SELECT * FROM exchanges WHERE id = ?", id)
	})
	return page, err
}

// idBeginning is what the id of an exchange can begin with.
var idBeginning = regexp.MustCompile(`^[0-9a-f-]+$`)

// ExchangesWith returns exchanges whose ids begin with prefix, at most limit, newest first.
func (h *History) ExchangesWith(ctx context.Context, prefix string, limit int) (page Page, err error) {
	if !idBeginning.MatchString(prefix) {
		return page, nil
	}
	err = h.with(ctx, func(ctx context.Context, conn *sql.Conn) error {
		// g is behind all that can follow in an id.
		return page.add(ctx, conn, "SELECT * FROM exchanges WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id DESC LIMIT ?2", prefix, limit)
	})
	return page, err
}
