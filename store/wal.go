package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// A WAL belongs to the file that it was written for, but nothing in it says which that is. SQLite applies the WAL that it finds. Put
// beside the WAL of a crash, a backup would become what was there before, or a mixture.

// ownWAL returns an error if the file with that header cannot be the one that its WAL was written for. A backup says of itself that it
// has no WAL, and a log says that it has one, on disk, before the first record is in the WAL.
func (l *logFile) checkWAL(header []byte) error {
	if l.walSize() > 0 && !hasWALFlag(header) {
		return l.wrongWAL("the file is a backup, and what its -wal holds would undo that")
	}
	return nil
}

// begun returns an error if the file, which is empty, once was not: a log has content before it has a WAL.
func (l *logFile) checkNeverUsed() error {
	if _, err := os.Lstat(l.path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	base := filepath.Base(l.path)
	return fileErrorf("audit log %s: the file is empty, and has a -wal: another program has truncated it; nothing was changed; "+
		"move %s, %s-wal and %s-shm away, and put a backup in the place of the first, or start without one to begin a new log", l.path, base, base, base)
}

// soundAlone reports whether the file is sound without its WAL.
func (l *logFile) soundWithoutWAL() bool {
	db, err := sql.Open("sqlite3", dsn(l.path, "ro", 0)+"&immutable=1")
	if err != nil {
		return false
	}
	defer db.Close()
	var verdict string
	return db.QueryRowContext(context.Background(), "PRAGMA quick_check(1)").Scan(&verdict) == nil && verdict == "ok"
}

// ownRuns returns an error if the log has rows of a run that it does not have. A run is in the file itself before anything else of it
// is in the WAL, so these rows come from a WAL that was written for another state of the file.
func (l *logFile) checkRuns(db *sql.DB) error {
	var strange bool
	err := db.QueryRowContext(context.Background(), `SELECT max(
		coalesce((SELECT max(id) >> 32 FROM life), 0),
		coalesce((SELECT max(id) >> 32 FROM request), 0),
		coalesce((SELECT max(id) FROM run_end), 0)) > coalesce((SELECT max(id) FROM run), 0)`).Scan(&strange)
	if err != nil {
		return l.explain("cannot be read", err)
	}
	if strange {
		return l.wrongWAL("the -wal holds what a run has recorded that the file does not know")
	}
	return nil
}

// strangeWAL explains that the file was put beside the WAL of another.
func (l *logFile) wrongWAL(why string) error {
	base := filepath.Base(l.path)
	return fileErrorf("audit log %s: it lies beside the -wal of another state of the log (%s); nothing was changed; "+
		"if %s was put back from a backup, move %s-wal and %s-shm away; if not, move all three away and put a backup in the place of the first",
		l.path, why, base, base, base)
}
