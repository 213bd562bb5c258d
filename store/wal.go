package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// A WAL belongs to the file for which it was written, but does not say which that is. SQLite applies any WAL
// that lies beside a file. If a backup were restored beside the WAL of a crash, the result would be the state
// before the restore, or a mixture of both.

// checkWAL returns an error if the WAL cannot belong to the file with this header. The header of a backup says
// that there is no WAL, and the header of a log says that there is one before the first record is in the WAL.
func (l *logFile) checkWAL(header []byte) error {
	if l.walSize() > 0 && !hasWALFlag(header) {
		return l.wrongWAL("the file is a backup, and the -wal would undo the restore")
	}
	return nil
}

// checkNeverUsed returns an error if the file is empty but has a WAL: a log has content before it has a WAL.
func (l *logFile) checkNeverUsed() error {
	if _, err := os.Lstat(l.path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	base := filepath.Base(l.path)
	return fileErrorf("audit log %s: the file is empty but has a -wal: another program has truncated it; nothing was changed; "+
		"move %s, %s-wal and %s-shm away, then restore a backup, or start without one to begin a new log", l.path, base, base, base)
}

// checkNotDeleted returns an error if the file does not exist but has a WAL, before it is created: a new log must not begin
// beside the WAL of an old one.
func (l *logFile) checkNotDeleted() error {
	if _, err := os.Stat(l.path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(l.path + "-wal"); err != nil {
		return nil
	}
	base := filepath.Base(l.path)
	return fileErrorf("audit log %s: the file is missing but has a -wal: the file was deleted or renamed; nothing was changed; "+
		"put it back, or move %s-wal and %s-shm away to begin a new log", l.path, base, base)
}

// soundWithoutWAL reports whether the file is sound if its WAL is ignored.
func (l *logFile) soundWithoutWAL() bool {
	db, err := sql.Open("sqlite3", dsn(l.path, "ro", 0)+"&immutable=1")
	if err != nil {
		return false
	}
	defer db.Close()
	var verdict string
	return db.QueryRowContext(context.Background(), "PRAGMA quick_check(1)").Scan(&verdict) == nil && verdict == "ok"
}

// checkRuns returns an error if the log has rows of a run that it does not know. A run is written to the file
// itself before its rows are in the WAL, so such rows come from a WAL that belongs to another state of the
// file.
func (l *logFile) checkRuns(db *sql.DB) error {
	var unknown bool
	err := db.QueryRowContext(context.Background(), `SELECT max(
		coalesce((SELECT max(id) >> 32 FROM life), 0),
		coalesce((SELECT life >> 32 FROM exchange ORDER BY id DESC LIMIT 1), 0), -- a life of one exchange has no row of its own
		coalesce((SELECT max(id) >> 32 FROM request), 0),
		coalesce((SELECT max(id) FROM run_end), 0)) > coalesce((SELECT max(id) FROM run), 0)`).Scan(&unknown)
	if err != nil {
		return l.explain("cannot be read", err)
	}
	if unknown {
		return l.wrongWAL("the -wal has rows of a run that the file does not know")
	}
	return nil
}

// rewriteWAL writes the content of the WAL again and syncs it. After a failed fsync the kernel may have dropped
// pages that it still shows as written. SQLite would regard them as committed, append to them and copy them
// into the file, and a power cut would remove them again. So rewriteWAL runs before SQLite opens the file: at
// the start, because the last run may have met a failing disk, and after an I/O error.
//
// No other process may write to the log meanwhile. The lock keeps out other servers, and all other commands
// only read.
func (f *lockedFile) rewriteWAL() error {
	wal, err := os.OpenFile(f.path+"-wal", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer wal.Close()
	buf := make([]byte, 64<<10)
	for offset := int64(0); ; {
		n, err := wal.ReadAt(buf, offset)
		if err != nil && err != io.EOF {
			return err
		}
		if n == 0 {
			return wal.Sync()
		}
		if _, err := wal.WriteAt(buf[:n], offset); err != nil {
			return err
		}
		offset += int64(n)
	}
}

// keepWAL makes SQLite keep the WAL when it closes the session's connections. Checkpoints that do not reach the
// end of the WAL do not sync the main file, but count as copied. If the next sync fails, what they copied may
// be missing on disk. So after an I/O error the next session must copy the whole WAL again, which it does when no
// connection is left that knows how much of it was copied.
func (s *session) keepWAL() error {
	if err := s.exec("PRAGMA journal_size_limit=-1"); err != nil { // a limit would empty the WAL all the same
		return err
	}
	return s.conn.Raw(func(conn any) error {
		return conn.(*sqlite3.SQLiteConn).SetFileControlInt("main", sqlite3.SQLITE_FCNTL_PERSIST_WAL, 1)
	})
}

// wholeFrames returns how many frames at the beginning of the WAL belong to its current round: they are complete,
// and have the salts of the WAL's header.
func (l *logFile) wholeFrames() (n int64, err error) {
	wal, err := os.Open(l.path + "-wal")
	if err != nil {
		return 0, err
	}
	defer wal.Close()
	info, err := wal.Stat()
	if err != nil {
		return 0, err
	}
	var header [walHeader]byte
	var frame [walFrame]byte
	if _, err := wal.ReadAt(header[:], 0); err != nil {
		return 0, ignoreEOF(err)
	}
	for ; walHeader+(n+1)*frameSize <= info.Size(); n++ {
		if _, err := wal.ReadAt(frame[:], walHeader+n*frameSize); err != nil {
			return n, ignoreEOF(err)
		}
		if !bytes.Equal(frame[8:16], header[16:24]) {
			break
		}
	}
	return n, nil
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// syncDir syncs the names of the file and its WAL. SQLite does the same, but ignores errors.
func (f *lockedFile) syncDir() error {
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// walSize returns the size of the WAL in bytes, or 0 if there is none.
func (l *logFile) walSize() int64 {
	info, err := os.Stat(l.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// hasWALFlag reports whether the header says that the file has a WAL.
func hasWALFlag(header []byte) bool { return header[18] == 2 && header[19] == 2 }
