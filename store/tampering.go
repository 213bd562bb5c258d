package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-sqlite3"
)

// SQLite does not notice what other programs do to its files. It goes on writing to a file that was deleted, and copies pages into
// one that was truncated or overwritten. So the writer looks at the files around each commit, and once a second when idle.

const (
	// pageSize is SQLite's default, which every log has.
	pageSize = 4096

	// walHeader and walFrame are what a WAL adds to the pages that it holds: at its beginning, and before each page.
	walHeader, walFrame = 32, 24
)

var (
	errDeleted  = errors.New("the file was deleted or renamed; put it back, or restart to begin a new one")
	errReplaced = errors.New("the file was replaced by another; put it back, or restart to use the other one")
)

// A sighting is what the file was like when the writer last looked at it.
type fingerprint struct {
	size   int64
	mtime  time.Time
	header []byte
}

// stat returns an error unless the file is still at its path.
func (l *logFile) checkPath() (fs.FileInfo, error) {
	info, err := os.Lstat(l.path) // a link to the file would have its side files elsewhere
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errDeleted
	case err != nil:
		return nil, err
	case !os.SameFile(info, l.info):
		return nil, errReplaced
	}
	return info, nil
}

// same returns an error unless the file is still at its path, and its content is still SQLite's alone.
func (f *lockedFile) checkContent() error {
	if err := f.damaged(); err != nil {
		return err
	}
	info, err := f.checkPath()
	if err != nil || f.lastSeen.header == nil {
		return err
	}
	if info.Size() == f.lastSeen.size && info.ModTime().Equal(f.lastSeen.mtime) {
		return nil
	}
	now, err := f.currentFingerprint()
	if err != nil {
		return err
	}
	if !now.follows(f.lastSeen) {
		time.Sleep(10 * time.Millisecond) // a checkpoint may be writing that page right now
		if now, err = f.currentFingerprint(); err != nil {
			return err
		}
		if !now.follows(f.lastSeen) {
			return f.markOverwritten(now.size)
		}
	}
	if f.checkpointing.Load() {
		return nil // until the checkpoint is over
	}
	if err := f.checkRun(); err != nil {
		return err
	}
	f.remember(now)
	return nil
}

// knowsRun returns an error if another log, whose header looks like a later one of this log, has been copied over the file. It asks on
// a connection of its own, because the others remember what they have read.
func (f *lockedFile) checkRun() error {
	if f.run == (run{}) {
		return nil // that is yet to be recorded
	}
	db, err := sql.Open("sqlite3", dsn(f.path, "ro", 0)+"&_query_only=1")
	if err != nil {
		return err
	}
	defer db.Close()
	var started int64
	err = db.QueryRowContext(context.Background(), "SELECT started_at FROM run WHERE id = ?", f.run.id).Scan(&started)
	switch code, _ := sqliteCode(err); {
	case err == nil && started == f.run.started:
		return nil
	case err == nil, errors.Is(err, sql.ErrNoRows), code == sqlite3.ErrCorrupt, code == sqlite3.ErrNotADB:
		return f.markOverwritten(f.lastSeen.size)
	default:
		return err
	}
}

// sight looks at the file.
func (f *lockedFile) currentFingerprint() (fingerprint, error) {
	info, err := f.file.Stat()
	if err != nil {
		return fingerprint{}, err
	}
	header, err := f.readHeader(f.file)
	return fingerprint{info.Size(), info.ModTime(), header}, err
}

// see remembers what the file was like.
func (f *lockedFile) remember(now fingerprint) {
	f.lastSeen = now
	f.lastSize.Store(now.size)
}

// follows reports whether checkpoints alone can have made the file what it is. They leave the header as it is, or bring a later one. A
// file becomes smaller only by VACUUM, and then has as many pages as its header says.
func (s fingerprint) follows(before fingerprint) bool {
	return len(s.header) == headerSize && hasWALFlag(s.header) && s.id() == before.id() &&
		int32(s.counter()-before.counter()) >= 0 && (s.size >= before.size || s.size == s.pages()*pageSize)
}

func (s fingerprint) counter() uint32 { return binary.BigEndian.Uint32(s.header[24:]) }
func (s fingerprint) pages() int64    { return int64(binary.BigEndian.Uint32(s.header[28:])) }
func (s fingerprint) id() uint32      { return binary.BigEndian.Uint32(s.header[68:]) }

// overwritten notes that the file has the content of another.
func (f *lockedFile) markOverwritten(size int64) error {
	return f.markDamaged(fmt.Sprintf("the file was truncated or overwritten by another program (it had %d bytes, and has %d)", f.lastSeen.size, size))
}

// spoil notes that the log can no longer be trusted, and returns why.
func (f *lockedFile) markDamaged(what string) error {
	base := filepath.Base(f.path)
	why := fileErrorf("audit log %s: %s; stop the server, move %s, %s-wal and %s-shm away, put a backup in the place of the first, and start again",
		f.path, what, base, base, base)
	f.damage.Store(&why)
	return why
}

// unspoiled returns an error once another program has changed the content of the log.
func (f *lockedFile) damaged() error {
	if why := f.damage.Load(); why != nil {
		return *why
	}
	return nil
}

// readable returns an error unless the file may be read.
func (f *lockedFile) checkReadable() error {
	if err := f.damaged(); err != nil {
		return err
	}
	_, err := f.checkPath()
	return err
}

// A walLost is an error about a WAL that is no longer at its path. The session still has it open.
type sideFileLost string

func (w sideFileLost) Error() string { return string(w) }

// intact returns an error unless the file and its side files are still the ones at their paths, with what SQLite wrote to them.
func (s *session) checkFiles() error {
	if err := s.file.checkContent(); err != nil {
		return err
	}
	wal, err := s.checkSideFile("-wal", s.wal)
	if err != nil {
		return err
	}
	if wal.Size() < s.walSize {
		if err := s.checkWALSize(wal.Size()); err != nil {
			return err
		}
	}
	s.walSize = wal.Size()
	// The wal-index costs no record, but other programs would make another, and read the log as it was then.
	_, err = s.checkSideFile("-shm", s.shm)
	return err
}

// sideFile returns an error unless that side file is still at its path.
func (s *session) checkSideFile(suffix string, was fs.FileInfo) (fs.FileInfo, error) {
	info, err := os.Lstat(s.file.path + suffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, sideFileLost("its " + suffix + " was deleted or renamed")
	case err != nil:
		return nil, err
	case !os.SameFile(info, was):
		return nil, sideFileLost("its " + suffix + " was replaced by another")
	}
	return info, nil
}

// wholeWAL returns an error if a WAL that has become smaller lacks what was committed to it. A checkpoint, also another program's,
// may empty it. It asks the connection for checkpoints, because the writer's may be within a transaction.
func (s *session) checkWALSize(size int64) error {
	var busy bool
	var frames, done int64
	if err := s.checkpointer.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &frames, &done); err != nil {
		return err
	}
	if frames > 0 && size < walHeader+frames*(walFrame+pageSize) {
		return s.file.markDamaged(fmt.Sprintf("its -wal was truncated by another program (it had %d bytes, and has %d), and its newest records are lost", s.walSize, size))
	}
	return nil
}

// end ends a session that has failed. What was committed must reach the file, unless another program has changed that: then nothing
// more is written to it, and the connections stay open, because SQLite would do so on closing them.
func (s *session) end(busy time.Duration) error {
	var lost sideFileLost
	switch err := s.checkFiles(); {
	case s.file.damaged() != nil:
		s.rollback()
		s.stopCheckpointer()
		return nil
	case errors.As(err, &lost):
		// Closing would do this, but only if nobody else has the log open.
		s.rollback()
		s.stopCheckpointer()
		s.setBusyTimeout(busy)
		err = s.tryTruncateWAL()
		return errors.Join(err, s.close())
	default:
		return s.close()
	}
}
