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

// sideFiles are what SQLite may keep beside a database.
var sideFiles = []string{"-wal", "-shm", "-journal"}

// copying are the constants of Backup in a form that tests can change.
type copyParams struct {
	pages     int    // that are copied between two fsyncs
	walGrowth int64  // bytes by which the log's WAL may grow meanwhile
	spare     int64  // bytes that stay free on the disk of the log
	between   func() // called after each fsync but the last
}

var standardCopyParams = copyParams{
	pages:     1024, // 4 MiB, so that a server's own fsync never waits for more than that
	walGrowth: 512 << 20,
	spare:     64 << 20,
	between:   func() {},
}

// Backup writes the audit log at path, as it is at one moment after the call, to a new file, and returns what that holds. Of an
// exchange that was on disk before the call nothing is missing. A server may write to the log meanwhile, and nothing in the log is
// changed. Whoever opens the log anew from the copy goes on from that moment: what ran then has ended as Interrupted.
//
// The copy has only its owner for a reader, has no side files, and gets its name when it is complete, has been found sound, and is
// on disk. A file that is already there is never touched. If Backup fails, or ctx ends it, nothing is left.
//
// It copies pages from one snapshot, by SQLite's backup: that is all of the file as it is, it can be paced, and it needs no memory.
// (VACUUM INTO would make all rows anew at a speed of its own.) A snapshot keeps the server from emptying its WAL, so it lasts for
// the copying only, and is given up when the WAL has grown too far. After every few megabytes the copy is synced, because the
// server's commits would else wait for all of it.
func Backup(ctx context.Context, path, target string) (Report, error) {
	return backup(ctx, path, target, standardCopyParams)
}

func backup(ctx context.Context, path, target string, how copyParams) (report Report, err error) {
	source, err := openReader(path)
	if err != nil {
		return Report{}, err
	}
	defer source.close()
	if err := checkVacant(target); err != nil {
		return Report{}, err
	}
	// The name says whose it is, if the machine dies before it has a better one.
	file, err := os.CreateTemp(filepath.Dir(target), filepath.Base(target)+".*.part")
	if err != nil {
		return Report{}, fmt.Errorf("backup %s: cannot be made: %w", target, err)
	}
	defer func() {
		file.Close()
		for _, suffix := range append(sideFiles, "") {
			os.Remove(file.Name() + suffix)
		}
	}()
	if err := source.copyTo(ctx, file, how); err != nil {
		return Report{}, fmt.Errorf("backup %s: %w", target, err)
	}
	if err := source.checkUnchanged(); err != nil {
		return Report{}, fmt.Errorf("backup %s: %w", target, err)
	}
	source.close() // the server may empty its WAL again
	if report, err = inspectCopy(ctx, file.Name()); err != nil {
		return Report{}, fmt.Errorf("backup %s: %w", target, err)
	}
	report.Path = target
	return report, publish(file, target)
}

// vacant returns an error unless nothing is at the path. A WAL that was left there would become a part of the copy.
func checkVacant(target string) error {
	for _, suffix := range append([]string{""}, sideFiles...) {
		_, err := os.Lstat(target + suffix)
		switch {
		case err == nil:
			return fmt.Errorf("backup %s: %s is already there; choose another name, or remove it", target, target+suffix)
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("backup %s: %w", target, err)
		}
	}
	return nil
}

// copyTo copies the log into an empty file, and returns when it is on disk.
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
	if _, err := to.ExecContext(ctx, "PRAGMA journal_mode=OFF"); err != nil { // there is nothing to go back to
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
	// The copy says of itself that it has a WAL, as the log has. Without that, readers need no side files for it.
	if _, err := to.ExecContext(ctx, "PRAGMA journal_mode=DELETE"); err != nil {
		return err
	}
	if err := errors.Join(to.Close(), db.Close()); err != nil {
		return err
	}
	return file.Sync()
}

// copyPages copies page after page, and waits for the disk now and then.
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
			return fmt.Errorf("the log grew by %d MB while it was copied; choose a faster disk for the copy, or a quieter time", grown>>20)
		}
		if err := r.checkSpace(int64(pages.Remaining())*pageSize, file, how.spare); err != nil {
			return err
		}
	}
}

// roomFor returns an error if the copy does not fit. A server that finds its disk full serves nobody, so on the log's own
// disk something has to be left for that.
func (r *reader) checkSpace(size int64, file *os.File, spare int64) error {
	var disk unix.Statfs_t
	var log, there unix.Stat_t
	if err := errors.Join(unix.Fstatfs(int(file.Fd()), &disk), unix.Stat(r.path, &log), unix.Fstat(int(file.Fd()), &there)); err != nil {
		return fmt.Errorf("cannot find out how much space there is: %w", err)
	}
	if log.Dev == there.Dev {
		size += spare
	}
	if free := int64(disk.Bavail) * int64(disk.Bsize); free < size {
		return fmt.Errorf("needs %d MB of free space, and there are %d MB", size>>20+1, free>>20)
	}
	return nil
}

// inspectCopy returns what the copy holds, or an error if it is not sound.
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
		return Report{}, fmt.Errorf("the copy is not sound, so neither is the log: %s (httpipe audit check tells all)", strings.Join(report.Problems[:1], "; "))
	}
	return report, r.count(ctx, &report)
}

// publish gives the file its name, unless that is taken, and returns when that is on disk.
func publish(file *os.File, target string) error {
	if err := os.Link(file.Name(), target); errors.Is(err, fs.ErrExist) {
		return checkVacant(target)
	} else if err != nil {
		return fmt.Errorf("backup %s: cannot be given its name: %w", target, err)
	}
	dir, err := os.Open(filepath.Dir(target))
	if err != nil {
		return fmt.Errorf("backup %s: %w", target, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("backup %s: its name may not be on disk: %w", target, err)
	}
	return nil
}
