package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"httpipe/migrations"
)

// A reader looks at an audit log, which a server may have open, and changes nothing in it.
type reader struct {
	logFile
	inUse     bool // a server had it when the reader was opened
	immutable bool // SQLite takes no locks and looks at no WAL; see how
	db        *sql.DB
	conn      *sql.Conn // the only connection of db
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
	how, err := r.chooseDSN()
	if err != nil {
		return nil, err
	}
	if r.db, err = sql.Open("sqlite3", how); err != nil {
		return nil, r.explain("cannot be read", err)
	}
	r.db.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.conn, err = r.db.Conn(context.Background()); err != nil {
		return nil, r.explain("cannot be read", err)
	}
	var version int
	if err := r.conn.QueryRowContext(context.Background(), "PRAGMA user_version").Scan(&version); err != nil {
		return nil, r.explain("cannot be read", err)
	}
	if version > len(migrations.Steps()) {
		return nil, r.newer(version)
	}
	return r, nil
}

// how returns how SQLite is to open the log.
//
// Without a WAL no server has the log open, or none has read it yet. A connection that may write leaves it that way: it removes at its
// end the side files that SQLite needs even for reading. With a WAL it must not, because it would fold the WAL of a crash into the file.
//
// Where no side files can be made, those of a server or of a crash serve, if they can be read. A log that was closed needs none: SQLite
// is told that it does not change, and unchanged looks after that.
func (r *reader) chooseDSN() (string, error) {
	const readOnly = "&_query_only=1"
	_, err := os.Stat(r.path + "-wal")
	hasWAL := !errors.Is(err, fs.ErrNotExist)
	writable := unix.Access(r.path, unix.W_OK) == nil && writableDir(r.path) == nil
	switch {
	case writable && !hasWAL:
		return dsn(r.path, "rw", standardLimits.busyTimeout) + readOnly, nil
	case !writable && !r.inUse && r.walSize() == 0:
		r.immutable = true
		return dsn(r.path, "ro", standardLimits.busyTimeout) + readOnly + "&immutable=1", nil
	case !writable:
		if err := r.checkSideFiles(); err != nil {
			return "", err
		}
	}
	return dsn(r.path, "ro", standardLimits.busyTimeout) + readOnly, nil
}

// sideFiles returns an error if the log cannot be read as it is because one of its side files is missing or cannot be read. What the
// file holds without them is what it was some time ago.
func (r *reader) checkSideFiles() error {
	for _, suffix := range []string{"-wal", "-shm"} {
		err := unix.Access(r.path+suffix, unix.R_OK)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("audit log %s: the newest records are in its -wal, and user %d may not read %s; allow that, or do this as the user of the server",
				r.path, os.Geteuid(), r.path+suffix)
		case r.inUse:
			return fmt.Errorf("audit log %s: a server is starting or failing on it (%s: %w); try again, or look at its log", r.path, r.path+suffix, err)
		default:
			return fmt.Errorf("audit log %s: the newest records are in its -wal, which SQLite cannot read without %s and cannot make that here (%w); "+
				"copy the file and its -wal to a directory that can be written, and read the copy", r.path, r.path+suffix, err)
		}
	}
	return nil
}

// unchanged returns an error unless what was read is what the file says: it is still at its path, and where SQLite has taken no
// locks, no server has begun to write to it.
func (r *reader) checkUnchanged() error {
	info, err := r.checkPath()
	if err != nil || !r.immutable {
		return err
	}
	if info.Size() != r.info.Size() || !info.ModTime().Equal(r.info.ModTime()) || r.walSize() > 0 {
		return fileErrorf("audit log %s: a server has begun to write to it; do this again", r.path)
	}
	return nil
}

// locate finds the file and makes sure that it is an audit log, before SQLite sees it.
func (r *reader) locate(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("audit log %s: %w", path, err)
	}
	r.path = abs
	if r.info, err = os.Stat(abs); err != nil {
		return explainRead(abs, err)
	}
	if !r.info.Mode().IsRegular() { // which includes what would block when it is opened
		return fmt.Errorf("audit log %s: not a regular file; give the path of the log (--audit-db)", abs)
	}
	if r.path, err = filepath.EvalSymlinks(abs); err != nil {
		return fmt.Errorf("audit log %s: %w", abs, err)
	}
	file, err := os.Open(r.path)
	if err != nil {
		return explainRead(abs, err)
	}
	defer file.Close()
	header, err := r.readHeader(file)
	if err != nil {
		return err
	}
	if len(header) == 0 {
		if err := r.checkNeverUsed(); err != nil {
			return err
		}
	}
	if len(header) == 0 || r.hasJournal() {
		return fmt.Errorf("audit log %s: its first start was cut short, and nothing is recorded in it; start the server", r.path)
	}
	if err := r.checkHeader(header); err != nil {
		return err
	}
	return r.checkWAL(header)
}

// readingError explains why a file could not be opened for reading.
func explainRead(path string, err error) error {
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
