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
	"golang.org/x/sys/unix"
)

// SQLite does not notice when other programs change its files: it keeps writing to a file that was deleted, and
// copies pages into one that was truncated or overwritten. So the writer checks the files around each commit,
// and once a second when it is idle.

const (
	// pageSize is SQLite's default, which every log has.
	pageSize = 4096

	// walHeader and walFrame are the sizes of the WAL's header, and of the frame header before each page in it.
	walHeader, walFrame = 32, 24

	// headerWrite is longer than a checkpoint takes to write the first page: that is one write of 4 KB into the page cache,
	// which takes microseconds. So a header that was read during that write is whole when it is read again.
	headerWrite = 10 * time.Millisecond
)

var (
	errDeleted  = errors.New("the file was deleted or renamed; put it back; or stop the server, move the -wal and -shm away, and start again to begin a new log")
	errReplaced = errors.New("the file was replaced by another; put it back; or stop the server, move the -wal and -shm away, and start again to use the other one")
)

// fingerprint is the state of the file when the writer last looked at it.
type fingerprint struct {
	size   int64
	mtime  time.Time
	header []byte
}

// checkPath returns an error unless the file is still at its path.
func (l *logFile) checkPath() (fs.FileInfo, error) {
	info, err := os.Lstat(l.path) // Lstat: a symbolic link would mean other side files
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

// checkContent returns an error unless the file is still at its path and nothing but SQLite has changed its
// content.
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
		time.Sleep(headerWrite)
		if now, err = f.currentFingerprint(); err != nil {
			return err
		}
		if !now.follows(f.lastSeen) {
			return f.markOverwritten(now.size)
		}
	}
	if f.checkpointing.Load() {
		return nil // checkRecords has to wait for the end of the checkpoint
	}
	if err := f.checkRecords(); err != nil {
		return err
	}
	f.remember(now)
	return nil
}

// checkRecords returns an error unless the log has this run and the newest record that was acknowledged. They are missing if
// another log, whose header looks like a later state of this one, was copied over the file, or an earlier copy of all files
// over these. It uses a new connection because the others have cached pages.
func (f *lockedFile) checkRecords() error {
	if f.run == (run{}) {
		return nil // not yet recorded
	}
	db, err := sql.Open("sqlite3", dsn(f.path, "ro", 0)+"&_query_only=1")
	if err != nil {
		return err
	}
	defer db.Close()
	var started int64
	var newest bool
	err = db.QueryRowContext(context.Background(), `SELECT started_at, ?2 = '' OR EXISTS (SELECT 1 FROM exchange WHERE id = ?2)
		OR EXISTS (SELECT 1 FROM publication WHERE id = ?2) FROM run WHERE id = ?1`, f.run.id, f.newest).Scan(&started, &newest)
	switch code := sqliteCode(err); {
	case err == nil && started == f.run.started && newest:
		return nil
	case err == nil, errors.Is(err, sql.ErrNoRows), code == sqlite3.ErrCorrupt, code == sqlite3.ErrNotADB, isShortRead(err):
		return f.markOverwritten(f.lastSeen.size)
	default:
		return err
	}
}

// currentFingerprint returns the state of the file.
func (f *lockedFile) currentFingerprint() (fingerprint, error) {
	info, err := f.file.Stat()
	if err != nil {
		return fingerprint{}, err
	}
	header, err := f.readHeader(f.file)
	return fingerprint{info.Size(), info.ModTime(), header}, err
}

// remember stores the state of the file as lastSeen.
func (f *lockedFile) remember(now fingerprint) {
	f.lastSeen = now
	f.lastSize.Store(now.size)
}

// follows reports whether checkpoints alone can have turned one state of the file into the other. A checkpoint
// keeps the header or writes a later one. A file shrinks only by VACUUM, and then its size matches the number
// of pages in its header.
func (p fingerprint) follows(before fingerprint) bool {
	return len(p.header) == headerSize && hasWALFlag(p.header) && p.id() == before.id() &&
		int32(p.counter()-before.counter()) >= 0 && (p.size >= before.size || p.size == p.pages()*pageSize)
}

func (p fingerprint) counter() uint32 { return binary.BigEndian.Uint32(p.header[24:]) }
func (p fingerprint) pages() int64    { return int64(binary.BigEndian.Uint32(p.header[28:])) }
func (p fingerprint) id() uint32      { return binary.BigEndian.Uint32(p.header[68:]) }

// markOverwritten marks the log as damaged, because its file has the content of another, and returns the error.
func (f *lockedFile) markOverwritten(size int64) error {
	what := "the file was truncated or overwritten by another program"
	if size != f.lastSeen.size {
		what += fmt.Sprintf(" (it had %d bytes and now has %d)", f.lastSeen.size, size)
	}
	return f.markDamaged(what)
}

// markDamaged marks the log as damaged by another program, and returns the error.
func (f *lockedFile) markDamaged(what string) error {
	base := filepath.Base(f.path)
	why := fileErrorf("audit log %s: %s; stop the server, move %s, %s-wal and %s-shm away, restore a backup, and start again",
		f.path, what, base, base, base)
	f.damage.Store(&why)
	return why
}

// damaged returns an error if another program has changed the content of the log.
func (f *lockedFile) damaged() error {
	if why := f.damage.Load(); why != nil {
		return *why
	}
	return nil
}

// checkReadable returns an error unless the file can be trusted by readers.
func (f *lockedFile) checkReadable() error {
	if err := f.damaged(); err != nil {
		return err
	}
	_, err := f.checkPath()
	return err
}

// sideFileLost is the error for a WAL or wal-index that is no longer at its path. The session still has it
// open.
type sideFileLost string

func (e sideFileLost) Error() string { return string(e) }

// checkFiles returns an error unless the file and its side files are still at their paths, with the content
// that SQLite wrote.
func (s *session) checkFiles() error {
	if err := s.checkBeforeCommit(); err != nil {
		return err
	}
	// Without the wal-index no record is lost. But other programs would create another one, and see an old state
	// of the log.
	_, err := s.checkSideFile("-shm", s.shm)
	return err
}

// checkBeforeCommit is checkFiles for the files that hold records.
func (s *session) checkBeforeCommit() error {
	if err := s.file.checkContent(); err != nil {
		return err
	}
	wal, err := s.checkSideFile("-wal", s.wal)
	if err != nil {
		return err
	}
	if wal.size < s.walSize {
		if err := s.checkShrunkWAL(wal.size); err != nil {
			return err
		}
	}
	s.walSize = wal.size
	return nil
}

// checkSideFile returns an error unless the side file is still at its path.
func (s *session) checkSideFile(suffix string, was fileState) (now fileState, err error) {
	now, err = statFile(s.file.path+suffix, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return now, sideFileLost("its " + suffix + " was deleted or renamed; the server makes a new one")
	case err == nil && !now.isFile(was):
		return now, sideFileLost("its " + suffix + " was replaced by another; the server makes a new one")
	}
	return now, err
}

// checkShrunkWAL returns an error if the WAL, which has become smaller, lacks commits. A checkpoint, even by
// another program, may truncate it. So may another program cut off old frames behind those in use. The size does
// not tell: a commit in between would have made the file grow again, with a hole before it.
//
// The WAL is read before SQLite is asked how much of it is in use: a checkpoint in between leaves nothing in use.
// The question is asked on the checkpointer's connection, because the writer's may be in a transaction.
func (s *session) checkShrunkWAL(size int64) error {
	whole, err := s.file.wholeFrames()
	if err != nil {
		return err
	}
	wal, err := checkpoint(s.checkpointer, "NOOP")
	if err != nil {
		return err
	}
	if wal.frames > whole {
		return s.file.markDamaged(fmt.Sprintf("its -wal was truncated by another program (it had %d bytes and now has %d), and its newest records are lost", s.walSize, size))
	}
	return s.file.checkRecords() // an earlier copy of the wal-index agrees with one of the WAL
}

// end ends a session, because of an error unless cause is nil. It makes sure that what was committed reaches the
// file, unless another program has changed that file. In that case nothing more is written to it, and the
// connections stay open, because SQLite would write on closing them.
func (s *session) end(cause error, busy time.Duration) error {
	_, sideFileIsLost := errors.AsType[sideFileLost](s.checkFiles())
	switch {
	case s.file.damaged() != nil:
		s.rollback()
		s.stopCheckpointer()
		return nil
	case sideFileIsLost:
		// Closing the connections would do this only if no other process had the log open.
		s.rollback()
		s.stopCheckpointer()
		s.setBusyTimeout(busy)
		err := s.tryTruncateWAL()
		return errors.Join(err, s.close())
	}
	var err error
	if sqliteCode(cause) == sqlite3.ErrIoErr {
		err = s.keepWAL()
	}
	return errors.Join(err, s.close())
}
