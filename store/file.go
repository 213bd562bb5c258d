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
	"strings"
	"sync/atomic"

	"github.com/mattn/go-sqlite3"

	"httpipe/migrations"
)

const (
	// applicationID marks an SQLite file as an audit log of httpipe: "htpp".
	applicationID = 0x68747070

	// mergedID marks a log that Merge has made: "htpm".
	mergedID = 0x6874706d

	// magic is the beginning of every SQLite file.
	magic = "SQLite format 3\x00"

	// minLibrary is SQLite 3.51.3, which fixes a bug that could corrupt a WAL when two connections reset it at
	// once.
	minLibrary = 3051003

	// headerSize is the length of an SQLite file's header.
	headerSize = 100

	// bigFile is the size from which the check at the start takes long enough to be logged.
	bigFile = 256 << 20
)

func checkLibrary() error {
	version, number, _ := sqlite3.Version()
	if number < minLibrary {
		return fmt.Errorf("audit log: this program was built with SQLite %s, which can corrupt its files; build it with 3.51.3 or newer", version)
	}
	return nil
}

// logFile identifies the file of an audit log.
type logFile struct {
	path string      // absolute and without symbolic links, because SQLite derives the names of the side files from it
	info fs.FileInfo // identifies the file that was opened
}

// lockedFile is the file of an audit log that this process has open and locked, from before SQLite opens it
// until after SQLite has closed it. In between, no other descriptor of the file may be closed: that would drop
// SQLite's locks.
type lockedFile struct {
	logFile
	file     *os.File // closed after SQLite has closed the file
	lockFile *os.File // holds the lock on systems where file cannot; otherwise nil

	lastSeen      fingerprint               // owned by the writer; zero before the first session
	lastSize      atomic.Int64              // the size in lastSeen
	checkpointing atomic.Bool               // the checkpointer is writing to the file, or syncs it
	run           run                       // the current run; zero until it is recorded
	newest        string                    // the id of the last exchange or publication that is durable; owned by the writer; "": none, or it may be pruned
	damage        atomic.Pointer[fileError] // set when another program has changed the content
}

// openLocked opens the file and locks it. It creates an empty file if there is none.
func openLocked(path string) (_ *lockedFile, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("audit log %s: %w", path, err)
	}
	if last := path[strings.LastIndexByte(path, filepath.Separator)+1:]; last == "" || last == "." {
		return nil, fmt.Errorf("audit log %s: the path names a directory; give the path of a file in it", path) // Abs drops the end
	}
	if err := (&logFile{path: abs}).checkNotDeleted(); err != nil {
		return nil, err
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
		return nil, fmt.Errorf("audit log %s: SQLite must create files beside it, but %s is not writable (%w); make it writable, or choose another directory", abs, filepath.Dir(f.path), err)
	}
	locked, side, err := lock(file)
	f.lockFile = side
	if err != nil {
		return nil, fmt.Errorf("audit log %s: cannot be locked: %w", abs, err)
	}
	if !locked {
		return nil, fmt.Errorf("audit log %s: another httpipe is using it; stop that process, or choose another file", abs)
	}
	return f, nil
}

// explainOpen returns the error for a file that could not be opened for reading and writing.
func explainOpen(path string, err error) error {
	err = withoutPath(err)
	info, statErr := os.Stat(path)
	switch {
	case statErr == nil && info.IsDir():
		return fmt.Errorf("audit log %s: is a directory; give the path of a file in it", path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("audit log %s: directory %s does not exist; create it, or choose another path", path, filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission):
		what := path
		if statErr != nil { // the file does not exist and could not be created
			what = filepath.Dir(path)
		}
		return fmt.Errorf("audit log %s: user %d may not read and write %s; change its owner or mode, or choose another path", path, os.Geteuid(), what)
	default:
		return fmt.Errorf("audit log %s: cannot be opened: %w; choose another path", path, err)
	}
}

// release closes the file and so unlocks it.
func (f *lockedFile) release() {
	f.file.Close()
	if f.lockFile != nil {
		f.lockFile.Close()
	}
}

// checkBeforeOpen returns an error unless the file is empty or a sound audit log that this program can use. It
// does not change the file, and lets SQLite open it only if its header is that of an audit log.
func (f *lockedFile) checkBeforeOpen(logger *slog.Logger) error {
	header, err := f.readHeader(f.file)
	if err == nil {
		err = f.checkJournal(header)
	}
	switch {
	case err != nil:
		return err
	case len(header) == 0:
		return f.checkNeverUsed()
	case f.hasJournal() && bytes.Equal(header, make([]byte, headerSize)):
		return f.checkThroughSQLite() // the power failed during the first commit, and only the later pages were written
	}
	if err := f.checkHeader(header); err != nil {
		return err
	}
	if isMerged(header) {
		return fileErrorf("audit log %s: made by \"httpipe audit merge\", for reading only; --audit read-only shows it; choose another file for the server's own log", f.path)
	}
	if err := f.checkWAL(header); err != nil {
		return err
	}
	if f.info.Size() > bigFile {
		logger.Info("checking the audit log; this takes a while", "file", f.path, "megabytes", f.info.Size()>>20)
		// The check reads the pages in the order of the tables, which takes a disk several times as long as reading the file from
		// its beginning to its end. So also read it in that order: then the check finds most pages in memory. The goroutine ends
		// with the file, or when the file is closed.
		go io.Copy(io.Discard, io.NewSectionReader(f.file, 0, f.info.Size()))
	}
	return f.checkThroughSQLite()
}

// readHeader reads the header of the file, or less if the file is shorter.
func (l *logFile) readHeader(file io.ReaderAt) ([]byte, error) {
	header := make([]byte, headerSize)
	n, err := io.ReadFull(io.NewSectionReader(file, 0, headerSize), header)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("audit log %s: cannot be read: %w", l.path, err)
	}
	return header[:n], nil
}

// checkHeader returns an error unless the header is that of an audit log whose version this program knows.
func (l *logFile) checkHeader(header []byte) error {
	if len(header) < headerSize || string(header[:len(magic)]) != magic {
		return l.notALog("it is not an SQLite file")
	}
	// The WAL may have a newer header. But the first commit, which sets the application id, is made before there
	// is a WAL.
	if id := binary.BigEndian.Uint32(header[68:]); id != applicationID && !isMerged(header) {
		return l.notALog(fmt.Sprintf("it is an SQLite file of another program (application id %#x)", id))
	}
	if version := int(binary.BigEndian.Uint32(header[60:])); version > len(migrations.Steps()) {
		return l.newer(version)
	}
	return nil
}

// isMerged reports whether the header is that of a merged log.
func isMerged(header []byte) bool {
	return len(header) == headerSize && binary.BigEndian.Uint32(header[68:]) == mergedID
}

// checkThroughSQLite checks the file as SQLite sees it, with the WAL. It uses a read-only connection: one that
// can write would checkpoint the WAL into the file when it is closed, and a file that fails the check must stay
// unchanged.
func (f *lockedFile) checkThroughSQLite() error {
	mode := "ro"
	if f.hasJournal() {
		mode = "rw" // SQLite must roll back the journal before it can read
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
			return f.wrongWAL("the file alone is sound, but with its -wal it is corrupt")
		}
		return f.corrupt(joinLines(verdict))
	}
	if version > 0 && f.walSize() > 0 {
		return f.checkRuns(db)
	}
	return nil
}
