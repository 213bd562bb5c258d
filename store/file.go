package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/mattn/go-sqlite3"

	"httpipe/migrations"
)

const (
	// applicationID marks an SQLite file as an audit log of httpipe: "htpp".
	applicationID = 0x68747070

	// magic is how every SQLite file begins.
	magic = "SQLite format 3\x00"

	// minLibrary is SQLite 3.51.3, the first without the bug that could corrupt a WAL when two connections reset it at once.
	minLibrary = 3051003

	// headerSize is how long an SQLite file's header is.
	headerSize = 100

	// bigFile is the size from which on the check at start takes long enough to be announced.
	bigFile = 256 << 20
)

func checkLibrary() error {
	version, number, _ := sqlite3.Version()
	if number < minLibrary {
		return fmt.Errorf("audit log: this program was built with SQLite %s, which can corrupt its files; build it with 3.51.3 or newer", version)
	}
	return nil
}

// logFile says which file is meant, and what is wrong with it.
type logFile struct {
	path string      // absolute and free of symbolic links, as SQLite forms the names of its side files
	info fs.FileInfo // which file that was when it was opened
}

// held is the audit log's file, opened and locked by this process from before SQLite first sees it until after SQLite has closed it.
// No other descriptor of the file may be closed in between: that would drop SQLite's locks.
type lockedFile struct {
	logFile
	file     *os.File // locked; closed after SQLite has closed the file
	lockFile *os.File // has the lock where file cannot; else nil

	lastSeen      fingerprint               // owned by the writer; empty before the first session
	lastSize      atomic.Int64              // of seen
	checkpointing atomic.Bool               // a checkpoint beside the writer is changing the file
	run           run                       // the current one; empty until it is recorded
	damage        atomic.Pointer[fileError] // what another program did to the content; nil while it did nothing
}

// hold opens the file, creating it empty if it is not there, and locks it.
func openLocked(path string) (_ *lockedFile, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("audit log %s: %w", path, err)
	}
	file, err := os.OpenFile(abs, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explainOpen(abs, err)
	}
	f := &lockedFile{logFile: logFile{path: abs}, file: file}
	defer func() {
		if err != nil {
			f.release()
		}
	}()
	if f.path, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, fmt.Errorf("audit log %s: %w", abs, err)
	}
	if f.info, err = file.Stat(); err != nil {
		return nil, fmt.Errorf("audit log %s: %w", abs, err)
	}
	if !f.info.Mode().IsRegular() {
		return nil, fmt.Errorf("audit log %s: not a regular file; give the path of a file", abs)
	}
	if err := writableDir(f.path); err != nil {
		return nil, fmt.Errorf("audit log %s: SQLite must be able to make files beside it, and %s is not writable (%w); allow it, or choose another directory", abs, filepath.Dir(f.path), err)
	}
	locked, side, err := lock(file)
	f.lockFile = side
	if err != nil {
		return nil, fmt.Errorf("audit log %s: cannot be locked: %w", abs, err)
	}
	if !locked {
		return nil, fmt.Errorf("audit log %s: another httpipe is using it; stop that one, or give this one a file of its own", abs)
	}
	return f, nil
}

// openingError explains why a file could not be opened for reading and writing.
func explainOpen(path string, err error) error {
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err // the rest of it is said below
	}
	info, statErr := os.Stat(path)
	switch {
	case statErr == nil && info.IsDir():
		return fmt.Errorf("audit log %s: is a directory; give the path of a file in it", path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("audit log %s: there is no directory %s; create it, or choose another path", path, filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission):
		what := path
		if statErr != nil { // so it is about making the file
			what = filepath.Dir(path)
		}
		return fmt.Errorf("audit log %s: user %d may not read and write %s; change its owner or mode, or choose another path", path, os.Geteuid(), what)
	default:
		return fmt.Errorf("audit log %s: cannot be opened: %w; choose another path", path, err)
	}
}

// release closes the file, which unlocks it.
func (f *lockedFile) release() {
	f.file.Close()
	if f.lockFile != nil {
		f.lockFile.Close()
	}
}

// inspect looks at the file without changing it, and returns an error unless it is empty or a sound audit log that this
// program can use. A foreign file never gets as far as SQLite.
func (f *lockedFile) checkBeforeOpen(logger *slog.Logger) error {
	header, err := f.readHeader(f.file)
	switch {
	case err != nil:
		return err
	case len(header) == 0:
		return f.checkNeverUsed()
	case f.hasJournal() && bytes.Equal(header, make([]byte, headerSize)):
		return f.checkThroughSQLite() // the power failed during the first commit ever, and only its later pages are there
	}
	if err := f.checkHeader(header); err != nil {
		return err
	}
	if err := f.checkWAL(header); err != nil {
		return err
	}
	if f.info.Size() > bigFile {
		logger.Info("checking the audit log; this takes a while", "file", f.path, "megabytes", f.info.Size()>>20)
	}
	return f.checkThroughSQLite()
}

// header reads the first bytes of the file, fewer than headerSize if it has no more.
func (l *logFile) readHeader(file io.ReaderAt) ([]byte, error) {
	header := make([]byte, headerSize)
	n, err := io.ReadFull(io.NewSectionReader(file, 0, headerSize), header)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("audit log %s: cannot be read: %w", l.path, err)
	}
	return header[:n], nil
}

// recognise returns an error unless the header is that of an audit log whose version this program knows.
func (l *logFile) checkHeader(header []byte) error {
	if len(header) < headerSize || string(header[:len(magic)]) != magic {
		return l.notALog("it is not an SQLite file")
	}
	// A newer header than this one may be in the WAL, but an audit log has its application id from its first commit on,
	// which is made before it has a WAL.
	if id := binary.BigEndian.Uint32(header[68:]); id != applicationID {
		return l.notALog(fmt.Sprintf("it is an SQLite file of another program (application id %#x)", id))
	}
	if version := int(binary.BigEndian.Uint32(header[60:])); version > len(migrations.Steps()) {
		return l.newer(version)
	}
	return nil
}

// check looks at the file through SQLite, which sees what the WAL adds. It uses a connection that cannot write: one that
// can would fold the WAL into the file on closing, and a file that is refused has to stay as it is.
func (f *lockedFile) checkThroughSQLite() error {
	mode := "ro"
	if f.hasJournal() {
		mode = "rw" // it has to be rolled back before anything can be read
	}
	db, err := sql.Open("sqlite3", dsn(f.path, mode, standardLimits.busyTimeout))
	if err != nil {
		return f.explain("cannot be opened", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)

	var version int
	if err := db.QueryRowContext(context.Background(), "PRAGMA user_version").Scan(&version); err != nil {
		return f.explain("cannot be read", err)
	}
	if version > len(migrations.Steps()) {
		return f.newer(version)
	}
	var verdict string
	if err := db.QueryRowContext(context.Background(), "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return f.explain("cannot be read", err)
	}
	if verdict != "ok" {
		if f.walSize() > 0 && f.soundWithoutWAL() {
			return f.wrongWAL("the file is sound, and with its -wal it is corrupt")
		}
		return f.corrupt(joinLines(verdict))
	}
	if version > 0 && f.walSize() > 0 {
		return f.checkRuns(db)
	}
	return nil
}
