package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

// sideFiles are the suffixes of the files that SQLite may keep beside a database.
var sideFiles = []string{"-wal", "-shm", "-journal"}

// allFiles are the suffixes of a database and its side files.
var allFiles = append([]string{""}, sideFiles...)

// copyParams are the parameters of Backup, so that tests can change them.
type copyParams struct {
	pages     int    // copied between two fsyncs
	walGrowth int64  // how many bytes the WAL of the log may grow meanwhile
	spare     int64  // bytes to leave free if the copy is on the same disk as the log
	between   func() // called after each fsync but the last
}

var standardCopyParams = copyParams{
	pages:     1024, // 4 MiB, so that the server's own fsync does not have to wait for more
	walGrowth: 512 << 20,
	spare:     64 << 20,
	between:   func() {},
}

// Backup writes a copy of the audit log at path to a new file, target, and returns what the copy contains. The
// copy is the state of the log at one moment after the call, and contains every exchange that was durable
// before it. A server may write to the log meanwhile, and the log is not changed. A server that is started on
// the copy continues from that moment, and records what was open then as Interrupted.
//
// Only the file's owner may read the copy; that is the user of this process or, if that is root, the owner of the
// directory. The copy has no side files, and gets its name only when it is complete,
// checked and synced. Backup does not overwrite an existing file. If it fails or ctx is cancelled, it leaves
// nothing behind.
//
// Backup copies the pages of one snapshot with SQLite's backup interface, which needs little memory and can be
// paced. (VACUUM INTO cannot be paced.) A snapshot keeps the server from emptying its WAL, so it is held only
// while copying, and Backup gives up if the WAL grows too much. It syncs the copy every few megabytes, because
// otherwise the server's commits would have to wait for a long fsync.
func Backup(ctx context.Context, path, target string) (Report, error) {
	return backup(ctx, path, target, standardCopyParams)
}

func backup(ctx context.Context, path, target string, how copyParams) (report Report, err error) {
	source, err := openReader(path)
	if err != nil {
		return Report{}, err
	}
	defer source.close()
	if err := checkVacant("backup", target, allFiles); err != nil {
		return Report{}, err
	}
	file, err := createPart("backup", target)
	if err != nil {
		return Report{}, err
	}
	defer removePart(file)
	if err := source.copyTo(ctx, file, how); err != nil {
		return Report{}, fmt.Errorf("backup %s: %w", target, err)
	}
	if err := source.checkUnchanged(); err != nil {
		return Report{}, fmt.Errorf("backup %s: %w", target, err)
	}
	source.close() // let the server empty its WAL
	if report, err = inspectCopy(ctx, file.Name()); err != nil {
		return Report{}, fmt.Errorf("backup %s: %w", target, err)
	}
	report.Path = target
	return report, publish("backup", file, target)
}

// createPart creates the file that becomes target. If the machine crashes, its name shows what it is. what is the command, for
// the error.
func createPart(what, target string) (*os.File, error) {
	if target == "" {
		return nil, fmt.Errorf("%s: the file name must not be empty", what)
	}
	dir := filepath.Dir(target)
	file, err := os.CreateTemp(dir, filepath.Base(target)+".*.part")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s %s: cannot be created: there is no directory %s; create it first", what, target, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: cannot be created: %w", what, target, withoutPath(err))
	}
	return file, nil
}

// giveToOwner makes the owner of the directory the owner of a file that root has created. Beside the log that owner is the
// server's user, which must be able to read the file.
func giveToOwner(file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var dir unix.Stat_t
	if err := unix.Stat(filepath.Dir(file.Name()), &dir); err != nil {
		return err
	}
	return file.Chown(int(dir.Uid), int(dir.Gid))
}

// checkVacant returns an error if target with one of the suffixes exists. SQLite would apply a leftover WAL to the copy.
// what is the command, for the error.
func checkVacant(what, target string, suffixes []string) error {
	for _, suffix := range suffixes {
		_, err := os.Lstat(target + suffix)
		switch {
		case err == nil:
			return fmt.Errorf("%s %s: %s already exists; choose another name, or remove it", what, target, target+suffix)
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s %s: %w", what, target, err)
		}
	}
	return nil
}

// copyTo copies the log into an empty file and syncs it.
func (r *reader) copyTo(ctx context.Context, file *os.File, how copyParams) error {
	if _, err := r.conn.ExecContext(ctx, "BEGIN"); err != nil {
		return r.explain("cannot be read", err)
	}
	var pages, pageSize int64 // reading them begins the snapshot
	if err := r.queryRow(ctx, "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size", &pages, &pageSize); err != nil {
		return err
	}
	if err := r.checkSpace(pages*pageSize, file, how.spare); err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", dsn(file.Name(), "rw", 0))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	to, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := to.ExecContext(ctx, "PRAGMA journal_mode=OFF"); err != nil { // a failed copy is deleted, not rolled back
		return err
	}
	err = to.Raw(func(to any) error {
		return r.conn.Raw(func(from any) error {
			return r.copyPages(ctx, to.(*sqlite3.SQLiteConn), from.(*sqlite3.SQLiteConn), file, pageSize, how)
		})
	})
	if err != nil {
		return err
	}
	// The copied header says that there is a WAL. Change that, so that readers need no side files.
	if _, err := to.ExecContext(ctx, "PRAGMA journal_mode=DELETE"); err != nil {
		return err
	}
	if err := errors.Join(to.Close(), db.Close()); err != nil {
		return err
	}
	return file.Sync()
}

// copyPages copies all pages and syncs the copy every few megabytes.
func (r *reader) copyPages(ctx context.Context, to, from *sqlite3.SQLiteConn, file *os.File, pageSize int64, how copyParams) (err error) {
	pages, err := to.Backup("main", from, "main")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pages.Finish()) }()
	before := r.walSize()
	for left := -1; ; left = pages.Remaining() {
		done, err := pages.Step(how.pages)
		switch {
		case err != nil:
			return err
		case done:
			return nil
		case pages.Remaining() == left:
			return errors.New("the file is locked by another process")
		}
		if err := file.Sync(); err != nil {
			return err
		}
		how.between()
		if err := ctx.Err(); err != nil {
			return err
		}
		if grown := r.walSize() - before; grown > how.walGrowth {
			return fmt.Errorf("the log grew by %d MB during the copy; use a faster disk for the copy, or a quieter time", grown>>20)
		}
		if err := r.checkSpace(int64(pages.Remaining())*pageSize, file, how.spare); err != nil {
			return err
		}
	}
}

// checkSpace returns an error if there is no room for the copy. A server whose disk is full cannot serve, so
// some space must stay free on the disk of the log.
func (r *reader) checkSpace(size int64, file *os.File, spare int64) error {
	var disk unix.Statfs_t
	var log, there unix.Stat_t
	if err := errors.Join(unix.Fstatfs(int(file.Fd()), &disk), unix.Stat(r.path, &log), unix.Fstat(int(file.Fd()), &there)); err != nil {
		return fmt.Errorf("cannot determine the free space: %w", err)
	}
	if log.Dev == there.Dev {
		size += spare
	}
	if free := int64(disk.Bavail) * int64(disk.Bsize); free < size {
		return fmt.Errorf("needs %d MB of free space, but only %d MB are free", size>>20+1, free>>20)
	}
	return nil
}

// inspectCopy checks the copy and returns what it contains.
func inspectCopy(ctx context.Context, path string) (Report, error) {
	r, err := openReader(path)
	if err != nil {
		return Report{}, err
	}
	defer r.close()
	report, err := r.examine(ctx)
	if err != nil {
		return Report{}, err
	}
	if len(report.Problems) > 0 {
		return Report{}, fmt.Errorf("the copy is not sound, so the log is not either: %s (for details, run httpipe audit check)", strings.Join(report.Problems[:1], "; "))
	}
	return report, r.count(ctx, &report)
}

// publish gives the file its final name, unless that is taken, and syncs the directory. what is the command, for the error.
func publish(what string, file *os.File, target string) error {
	if err := giveToOwner(file); err != nil {
		return fmt.Errorf("%s %s: cannot get the owner of its directory: %w", what, target, err)
	}
	if err := os.Link(file.Name(), target); errors.Is(err, fs.ErrExist) {
		return checkVacant(what, target, allFiles)
	} else if err != nil {
		return fmt.Errorf("%s %s: cannot get its final name: %w", what, target, err)
	}
	return syncDirOf(what, target)
}

// syncDirOf syncs the directory of a file that has got its final name.
func syncDirOf(what, target string) error {
	dir, err := os.Open(filepath.Dir(target))
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, target, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("%s %s: cannot sync its directory: %w", what, target, err)
	}
	return nil
}
