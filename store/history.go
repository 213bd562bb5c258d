package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"httpipe/migrations"
)

const (
	// maxReaders is the number of connections of a History. An export that uses one leaves the other free.
	maxReaders = 2
	// readerIdleTime is how long an unused connection stays open.
	readerIdleTime = time.Minute
	// readTimeout bounds one query, including the wait for a connection. It is much longer than any query should
	// take, and releases callers when the disk does not respond.
	readTimeout = 10 * time.Second
)

// A History answers queries about recorded exchanges, requests and channels. Its connections are read-only, and
// its transactions take milliseconds, so it neither delays the writer nor keeps the WAL from being emptied. Its
// methods may be called from any goroutine.
type History struct {
	file      *logFile
	check     func() error // called before and after each query; returns an error if the file cannot be trusted
	db        *sql.DB
	questions sync.RWMutex    // locked for reading while a connection is in use
	running   func() []string // returns the ids of the running exchanges; nil if only the file says which these are
	indexes   indexSet        // that the log has
	merged    bool
	close     func() error
	pace      pace
}

// History returns the committed history of this log. It can be used until Close, and during an outage as long
// as the file exists.
func (l *Log) History() *History { return l.history }

// newHistory returns the history of a log that this process writes. It opens connections when they are needed.
func newHistory(f *lockedFile, running func() []string) (*History, error) {
	db, err := sql.Open("sqlite3", dsn(f.path, "ro", standardLimits.busyTimeout)+"&_query_only=1")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(maxReaders)
	db.SetMaxIdleConns(maxReaders)
	db.SetConnMaxIdleTime(readerIdleTime)
	return &History{file: &f.logFile, check: f.checkReadable, db: db, running: running, close: db.Close, pace: standardPace}, nil
}

// pause waits for running queries, closes all connections, and calls f before it admits further queries.
func (h *History) pause(f func()) {
	h.questions.Lock()
	defer h.questions.Unlock()
	h.db.SetMaxIdleConns(0)
	h.db.SetMaxIdleConns(maxReaders)
	f()
}

// OpenHistory opens the log at path for reading. The log may be of an older version, and a server may be writing to it.
// OpenHistory must not be called in that server's process: see Open. Its errors name the file and say what to do.
func OpenHistory(path string) (*History, error) {
	r, err := openReader(path)
	if err != nil {
		return nil, err
	}
	var version int
	if err := r.queryRow(context.Background(), "PRAGMA user_version", &version); err != nil {
		r.close()
		return nil, err
	}
	var indexes indexSet
	if version < len(migrations.Steps()) {
		if indexes, err = r.adapt(context.Background()); err != nil {
			r.close()
			return nil, r.explain("cannot be read", err)
		}
	}
	// Return the connection to the pool, which keeps it as the only one. SQLite removes the side files when the
	// last connection is closed, and may be unable to create them again.
	if err := r.conn.Close(); err != nil {
		r.close()
		return nil, r.explain("cannot be read", err)
	}
	r.conn = nil
	return &History{file: &r.logFile, check: r.checkUnchanged, db: r.db, indexes: indexes, merged: r.merged, close: r.close, pace: standardPace}, nil
}

// Merged reports whether the log was made by Merge.
func (h *History) Merged() bool { return h.merged }

// Close closes a History that was opened by OpenHistory.
func (h *History) Close() error { return h.close() }

// with calls f with a connection and adds the file to its error.
func (h *History) with(ctx context.Context, f func(ctx context.Context, conn *sql.Conn) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readTimeout, fmt.Errorf("no answer within %v", readTimeout))
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
		err = context.Cause(ctx) // instead of SQLite's "interrupted"
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return h.file.explain("cannot be read", err)
}

func (h *History) withConn(ctx context.Context, f func(ctx context.Context, conn *sql.Conn) error) error {
	h.questions.RLock()
	defer h.questions.RUnlock()
	conn, err := h.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(ctx, conn)
}

// Row returns the row of a kind with that id as a page of one row, or an empty page.
func (h *History) Row(ctx context.Context, k *Kind, id string) (page Page, err error) {
	err = h.with(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return page.add(ctx, conn, "SELECT "+k.columns+" FROM "+k.Name+" WHERE id = ?", id)
	})
	return page, err
}

// ExchangesByPrefix returns up to limit exchanges whose ids begin with prefix, newest first.
func (h *History) ExchangesByPrefix(ctx context.Context, prefix string, limit int) (page Page, err error) {
	if !idPrefixPattern.MatchString(prefix) {
		return page, nil
	}
	err = h.with(ctx, func(ctx context.Context, conn *sql.Conn) error {
		// "g" sorts after every character of an id.
		return page.add(ctx, conn, "SELECT * FROM exchanges WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id DESC LIMIT ?2", prefix, limit)
	})
	return page, err
}

// Page returns up to limit rows that match the filter, newest first. It continues after cursor, the Next of an
// earlier page; "" begins with the newest row. It stops after about 50 ms, so a page may be short or even
// empty. There are more rows as long as Next is not empty.
func (h *History) Page(ctx context.Context, k *Kind, f Filter, cursor string, limit int) (page Page, err error) {
	err = h.with(ctx, func(ctx context.Context, conn *sql.Conn) error {
		if k == Channels {
			page, err = h.pageOfLives(ctx, conn, f, cursor, limit)
			return err
		}
		sc, err := h.newScan(ctx, conn, k, f, cursor)
		if err != nil {
			return err
		}
		return sc.fill(ctx, &page, limit)
	})
	return page, err
}

// Each calls f with one page after the other until there are no more rows, limit rows have been returned (0: no
// limit), or f returns an error, which Each returns. Between pages it holds no lock and no snapshot.
func (h *History) Each(ctx context.Context, k *Kind, filter Filter, cursor string, limit int, f func(Page) error) error {
	for left := limit; ; {
		want := h.pace.rows
		if limit > 0 {
			want = min(left, want)
		}
		page, err := h.Page(ctx, k, filter, cursor, want)
		if err != nil {
			return err
		}
		if err := f(page); err != nil {
			return err
		}
		left -= len(page.Rows)
		if cursor = page.Next; cursor == "" || limit > 0 && left == 0 {
			return nil
		}
	}
}
