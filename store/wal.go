package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
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

// rewriteWAL writes the WAL as it is once more, and waits until it is on disk. What an fsync could not write the kernel may
// have dropped, though it shows it as written and says no more of it. SQLite would take that for committed, go on behind
// it, and copy it into the file, and a power cut would take all that away again, or a part. So this comes before SQLite
// opens the file: at the start, because the last run may have met a failing disk, and after an I/O error.
//
// Nobody else must write to the log meanwhile. Other servers are locked out, and whoever else has it open only reads.
func (f *lockedFile) rewriteWAL() error {
	wal, err := os.OpenFile(f.path+"-wal", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer wal.Close()
	part := make([]byte, 64<<10)
	for offset := int64(0); ; {
		n, err := wal.ReadAt(part, offset)
		if err != nil && err != io.EOF {
			return err
		}
		if n == 0 {
			return wal.Sync()
		}
		if _, err := wal.WriteAt(part[:n], offset); err != nil {
			return err
		}
		offset += int64(n)
	}
}

// syncDir waits until the names of the file and its WAL are on disk. SQLite does so too, but takes no notice of a failure.
func (f *lockedFile) syncDir() error {
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// walSize returns the size of the log's WAL, 0 if there is none.
func (l *logFile) walSize() int64 {
	info, err := os.Stat(l.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// isWAL reports whether a header says that the file has a WAL.
func hasWALFlag(header []byte) bool { return header[18] == 2 && header[19] == 2 }

// hasJournal reports whether there is a journal beside the file: then the first commit ever was cut short.
func (l *logFile) hasJournal() bool {
	_, err := os.Stat(l.path + "-journal")
	return err == nil
}
