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

// reader reads an audit log, which a server may have open, without changing it.
type reader struct {
	logFile
	inUse     bool // by a server, when the reader was opened
	merged    bool // made by Merge
	immutable bool // SQLite takes no locks and ignores a WAL; see chooseDSN
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
		return nil, fmt.Errorf("audit log %s: cannot determine whether a server uses it: %w", r.path, err)
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

// chooseDSN returns the data source name with which to open the log.
//
// If there is no WAL, either no server has the log open, or nothing has read it yet. A connection that may
// write leaves it that way: when closed, it removes the side files that SQLite needs even for reading. If there
// is a WAL, the connection must be read-only, because otherwise it would checkpoint the WAL of a crashed server
// into the file.
//
// Where no side files can be created, SQLite uses those of a server or of a crash, if they are readable. A log
// that was closed needs none: SQLite is told that the file is immutable, and checkUnchanged verifies that.
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

// checkSideFiles returns an error if a side file is missing or not readable. Without the side files the log
// would appear in an old state.
func (r *reader) checkSideFiles() error {
	for _, suffix := range []string{"-wal", "-shm"} {
		err := unix.Access(r.path+suffix, unix.R_OK)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("audit log %s: the newest records are in its -wal, and user %d may not read %s; allow that, or run this as the server's user",
				r.path, os.Geteuid(), r.path+suffix)
		case r.inUse:
			return fmt.Errorf("audit log %s: a server that uses it is starting or failing (%s: %w); try again, or read the server's messages", r.path, r.path+suffix, err)
		default:
			return fmt.Errorf("audit log %s: the newest records are in its -wal, which SQLite cannot read without %s, and it cannot create that file here (%w); "+
				"copy the file and its -wal to a writable directory, and read the copy", r.path, r.path+suffix, err)
		}
	}
	return nil
}

// checkUnchanged returns an error unless what was read can be trusted: the file is still at its path and, if it
// was opened as immutable, no server has begun to write to it.
func (r *reader) checkUnchanged() error {
	info, err := r.checkPath()
	switch {
	case errors.Is(err, errReplaced):
		return fileErrorf("audit log %s: the file was replaced by another; start again to read the new one", r.path)
	case errors.Is(err, errDeleted):
		return fileErrorf("audit log %s: the file was deleted or renamed; put it back, or start again with another one", r.path)
	case err != nil || !r.immutable:
		return err
	}
	if info.Size() != r.info.Size() || !info.ModTime().Equal(r.info.ModTime()) || r.walSize() > 0 {
		return fileErrorf("audit log %s: a server has begun to write to it; try again", r.path)
	}
	return nil
}

// locate finds the file and checks that it is an audit log, before SQLite opens it.
func (r *reader) locate(path string) error {
	if path == "" {
		return errors.New("audit log: the file name must not be empty")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("audit log %s: %w", path, err)
	}
	r.path = abs
	if r.info, err = os.Stat(abs); err != nil {
		return explainRead(abs, err)
	}
	if !r.info.Mode().IsRegular() { // opening some of the others would block
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
	if err := r.checkJournal(header); err != nil {
		return err
	}
	if len(header) == 0 {
		if err := r.checkNeverUsed(); err != nil {
			return err
		}
		return fmt.Errorf("audit log %s: the file is empty, and nothing is recorded yet; start the server", r.path)
	}
	if r.hasJournal() {
		return fmt.Errorf("audit log %s: a start of the server was interrupted, and its -journal must be rolled back; start the server", r.path)
	}
	if err := r.checkHeader(header); err != nil {
		return err
	}
	r.merged = isMerged(header)
	return r.checkWAL(header)
}

// explainRead returns the error for a file that could not be opened for reading.
func explainRead(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("audit log %s: there is no such file; give the path of the log (--audit-db)", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("audit log %s: user %d may not read it; run this as the server's user", path, os.Geteuid())
	default:
		return fmt.Errorf("audit log %s: %w", path, err)
	}
}

// close closes the connection. It may be called twice.
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
