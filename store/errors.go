package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/mattn/go-sqlite3"

	"httpipe/migrations"
)

// fileError is an error that already names the file and says what to do.
type fileError string

func (e fileError) Error() string { return string(e) }

func fileErrorf(format string, args ...any) fileError {
	return fileError(fmt.Sprintf(format, args...))
}

func (l *logFile) notALog(why string) error {
	return fileErrorf("audit log %s: not an httpipe audit log: %s; nothing was changed; choose another path", l.path, why)
}

func (l *logFile) newer(version int) error {
	return fileErrorf("audit log %s: made by a newer httpipe (schema %d, this version knows %d); nothing was changed; use that version, or another file",
		l.path, version, len(migrations.Steps()))
}

func (l *logFile) corrupt(detail string) error {
	return fileErrorf("audit log %s: the file is corrupt (%s); nothing was changed; move it, its -wal, -shm and -journal away, then restore a backup", l.path, detail)
}

// wrongWAL returns the error for a file that lies beside the WAL of another file.
func (l *logFile) wrongWAL(why string) error {
	base := filepath.Base(l.path)
	return fileErrorf("audit log %s: its -wal belongs to another state of the log (%s); nothing was changed; "+
		"if %s was restored from a backup, move %s-wal and %s-shm away; otherwise move all three away and restore a backup",
		l.path, why, base, base, base)
}

// explain adds the file and a remedy to an error from SQLite.
func (l *logFile) explain(what string, err error) error {
	if e, ok := errors.AsType[fileError](err); ok {
		return e
	}
	advice := ""
	switch sqliteCode(err) {
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return l.corrupt(err.Error())
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		advice = "; another process holds a lock on it; end its transaction"
	case sqlite3.ErrFull:
		advice = "; free some space"
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen:
		advice = "; make the file and its directory writable"
		if what == "cannot be read" {
			advice = "; let this user read the file, its -wal and its -shm"
		}
	case sqlite3.ErrIoErr:
		advice = "; check the disk"
	}
	return fmt.Errorf("audit log %s: %s: %w%s", l.path, what, err, advice)
}

// joinLines puts SQLite's description of a damaged file on one line.
func joinLines(verdict string) string {
	return strings.ReplaceAll(strings.TrimPrefix(verdict, "*** in database main ***\n"), "\n", "; ")
}

// sqliteCode returns the primary result code of err, or 0 if err does not come from SQLite.
func sqliteCode(err error) sqlite3.ErrNo {
	e, _ := errors.AsType[sqlite3.Error](err)
	return e.Code
}

// isShortRead reports whether err says that a file is shorter than SQLite expects.
func isShortRead(err error) bool {
	e, _ := errors.AsType[sqlite3.Error](err)
	return e.ExtendedCode == sqlite3.ErrIoErrShortRead
}

// withoutPath returns the cause of an error about a file, without the operation and the path, which the caller names itself.
func withoutPath(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}
