package store

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"httpipe/migrations"
)

// A reader looks at an audit log, which a server may have open, and changes nothing in it.
type reader struct {
	logFile
	inUse bool // a server had it when the reader was opened
	db    *sql.DB
	conn  *sql.Conn // the only connection of db
}

// openReader opens the audit log at path. Its errors name the file and say what to do.
func openReader(path string) (_ *reader, err error) {
	r := &reader{}
	if err := r.locate(path); err != nil {
		return nil, err
	}
	if r.inUse, err = inUse(r.path); err != nil {
		return nil, fmt.Errorf("audit log %s: cannot find out whether a server uses it: %w", r.path, err)
	}
	// Without a WAL no server has the log open, or none has read it yet. A connection that may write leaves it that
	// way: it removes at its end the side files that SQLite needs even for reading. With a WAL it must not, because it
	// would fold the WAL of a crash into the file.
	mode := "ro"
	if _, err := os.Stat(r.path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		mode = "rw"
	}
	if r.db, err = sql.Open("sqlite3", dsn(r.path, mode, standardLimits.busy)+"&_query_only=1"); err != nil {
		return nil, r.explain("cannot be opened", err)
	}
	r.db.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.conn, err = r.db.Conn(always); err != nil {
		return nil, r.explain("cannot be opened", err)
	}
	var version int
	if err := r.conn.QueryRowContext(always, "PRAGMA user_version").Scan(&version); err != nil {
		return nil, r.explain("cannot be read", err)
	}
	if version > len(migrations.Steps()) {
		return nil, r.newer(version)
	}
	return r, nil
}

// locate finds the file and makes sure that it is an audit log, before SQLite sees it.
func (r *reader) locate(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("audit log %s: %w", path, err)
	}
	r.path = abs
	if r.info, err = os.Stat(abs); err != nil {
		return readingError(abs, err)
	}
	if !r.info.Mode().IsRegular() { // which includes what would block when it is opened
		return fmt.Errorf("audit log %s: not a regular file; give the path of the log (--audit-db)", abs)
	}
	if r.path, err = filepath.EvalSymlinks(abs); err != nil {
		return fmt.Errorf("audit log %s: %w", abs, err)
	}
	file, err := os.Open(r.path)
	if err != nil {
		return readingError(abs, err)
	}
	defer file.Close()
	header, err := r.header(file)
	if err != nil {
		return err
	}
	if len(header) == 0 || r.hasJournal() {
		return fmt.Errorf("audit log %s: its first start was cut short, and nothing is recorded in it; start the server", r.path)
	}
	return r.recognise(header)
}

// readingError explains why a file could not be opened for reading.
func readingError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("audit log %s: there is no such file; say where the log is (--audit-db)", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("audit log %s: no permission to read it as user %d; do this as the user of the server", path, os.Geteuid())
	default:
		return fmt.Errorf("audit log %s: %w", path, err)
	}
}

// close ends the reading. It may be called twice.
func (r *reader) close() error {
	var errs []error
	if r.conn != nil {
		errs = append(errs, r.conn.Close())
		r.conn = nil
	}
	if r.db != nil {
		errs = append(errs, r.db.Close())
		r.db = nil
	}
	return errors.Join(errs...)
}
