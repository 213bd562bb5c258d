package store

import (
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
type sighting struct {
	size   int64
	mtime  time.Time
	header []byte
}

// stat returns an error unless the file is still at its path.
func (l *logFile) stat() (fs.FileInfo, error) {
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
func (h *held) same() error {
	if err := h.unspoiled(); err != nil {
		return err
	}
	info, err := h.stat()
	if err != nil || h.seen.header == nil {
		return err
	}
	if info.Size() == h.seen.size && info.ModTime().Equal(h.seen.mtime) {
		return nil
	}
	now, err := h.sight()
	if err != nil {
		return err
	}
	if !now.follows(h.seen) {
		time.Sleep(10 * time.Millisecond) // a checkpoint may be writing that page right now
		if now, err = h.sight(); err != nil {
			return err
		}
		if !now.follows(h.seen) {
			return h.overwritten(now.size)
		}
	}
	if h.copying.Load() {
		return nil // until the checkpoint is over
	}
	if err := h.knowsRun(); err != nil {
		return err
	}
	h.see(now)
	return nil
}

// knowsRun returns an error if another log, whose header looks like a later one of this log, has been copied over the file. It asks on
// a connection of its own, because the others remember what they have read.
func (h *held) knowsRun() error {
	if h.run == (run{}) {
		return nil // that is yet to be recorded
	}
	db, err := sql.Open("sqlite3", dsn(h.path, "ro", 0)+"&_query_only=1")
	if err != nil {
		return err
	}
	defer db.Close()
	var started int64
	err = db.QueryRowContext(always, "SELECT started_at FROM run WHERE id = ?", h.run.id).Scan(&started)
	switch code, _ := sqliteCode(err); {
	case err == nil && started == h.run.started:
		return nil
	case err == nil, errors.Is(err, sql.ErrNoRows), code == sqlite3.ErrCorrupt, code == sqlite3.ErrNotADB:
		return h.overwritten(h.seen.size)
	default:
		return err
	}
}

// sight looks at the file.
func (h *held) sight() (sighting, error) {
	info, err := h.file.Stat()
	if err != nil {
		return sighting{}, err
	}
	header, err := h.header(h.file)
	return sighting{info.Size(), info.ModTime(), header}, err
}

// see remembers what the file was like.
func (h *held) see(now sighting) {
	h.seen = now
	h.size.Store(now.size)
}

// follows reports whether checkpoints alone can have made the file what it is. They leave the header as it is, or bring a later one. A
// file becomes smaller only by VACUUM, and then has as many pages as its header says.
func (s sighting) follows(before sighting) bool {
	return len(s.header) == headerSize && isWAL(s.header) && s.id() == before.id() &&
		int32(s.counter()-before.counter()) >= 0 && (s.size >= before.size || s.size == s.pages()*pageSize)
}

func (s sighting) counter() uint32 { return binary.BigEndian.Uint32(s.header[24:]) }
func (s sighting) pages() int64    { return int64(binary.BigEndian.Uint32(s.header[28:])) }
func (s sighting) id() uint32      { return binary.BigEndian.Uint32(s.header[68:]) }

// isWAL reports whether a header says that the file has a WAL.
func isWAL(header []byte) bool { return header[18] == 2 && header[19] == 2 }

// overwritten notes that the file has the content of another.
func (h *held) overwritten(size int64) error {
	return h.spoil(fmt.Sprintf("the file was truncated or overwritten by another program (it had %d bytes, and has %d)", h.seen.size, size))
}

// spoil notes that the log can no longer be trusted, and returns why.
func (h *held) spoil(what string) error {
	base := filepath.Base(h.path)
	why := refusalf("audit log %s: %s; stop the server, move %s, %s-wal and %s-shm away, put a backup in the place of the first, and start again",
		h.path, what, base, base, base)
	h.spoiled.Store(&why)
	return why
}

// unspoiled returns an error once another program has changed the content of the log.
func (h *held) unspoiled() error {
	if why := h.spoiled.Load(); why != nil {
		return *why
	}
	return nil
}

// readable returns an error unless the file may be read.
func (h *held) readable() error {
	if err := h.unspoiled(); err != nil {
		return err
	}
	_, err := h.stat()
	return err
}

// A walLost is an error about a WAL that is no longer at its path. The session still has it open.
type walLost string

func (w walLost) Error() string { return string(w) }

// intact returns an error unless the file and its side files are still the ones at their paths, with what SQLite wrote to them.
func (d *disk) intact() error {
	if err := d.held.same(); err != nil {
		return err
	}
	wal, err := d.sideFile("-wal", d.wal)
	if err != nil {
		return err
	}
	if wal.Size() < d.walSize {
		if err := d.wholeWAL(wal.Size()); err != nil {
			return err
		}
	}
	d.walSize = wal.Size()
	// The wal-index costs no record, but other programs would make another, and read the log as it was then.
	_, err = d.sideFile("-shm", d.shm)
	return err
}

// sideFile returns an error unless that side file is still at its path.
func (d *disk) sideFile(suffix string, was fs.FileInfo) (fs.FileInfo, error) {
	info, err := os.Lstat(d.held.path + suffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, walLost("its " + suffix + " was deleted or renamed")
	case err != nil:
		return nil, err
	case !os.SameFile(info, was):
		return nil, walLost("its " + suffix + " was replaced by another")
	}
	return info, nil
}

// wholeWAL returns an error if a WAL that has become smaller lacks what was committed to it. A checkpoint, also another program's,
// may empty it. It asks the connection for checkpoints, because the writer's may be within a transaction.
func (d *disk) wholeWAL(size int64) error {
	var busy bool
	var frames, done int64
	if err := d.checkpoint.QueryRowContext(always, "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &frames, &done); err != nil {
		return err
	}
	if frames > 0 && size < walHeader+frames*(walFrame+pageSize) {
		return d.held.spoil(fmt.Sprintf("its -wal was truncated by another program (it had %d bytes, and has %d), and its newest records are lost", d.walSize, size))
	}
	return nil
}

// end ends a session that has failed. What was committed must reach the file, unless another program has changed that: then nothing
// more is written to it, and the connections stay open, because SQLite would do so on closing them.
func (d *disk) end(busy time.Duration) error {
	var lost walLost
	switch err := d.intact(); {
	case d.held.unspoiled() != nil:
		d.rollback()
		d.stopCheckpoints()
		return nil
	case errors.As(err, &lost):
		// Closing would do this, but only if nobody else has the log open.
		d.rollback()
		d.stopCheckpoints()
		d.setBusy(busy)
		err = d.fold()
		return errors.Join(err, d.close())
	default:
		return d.close()
	}
}
