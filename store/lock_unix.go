//go:build unix

package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// lock locks the file against other servers, and returns false if another server holds the lock. The lock ends
// with the last descriptor, so a killed process leaves none behind.
//
// On Linux the lock is on the audit log itself, where flock does not interfere with the fcntl locks by which
// SQLite coordinates readers and writers. On other systems it does, and the lock is on a separate file, which
// lock returns.
func lock(file *os.File) (locked bool, side *os.File, err error) {
	if !lockOnLog {
		side, err = os.OpenFile(file.Name()+sideLock, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return false, nil, err
		}
		file = side
	}
	for try := 0; ; try++ { // inUse holds the lock for a moment
		locked, err = flock(file, unix.LOCK_EX)
		if locked || err != nil || try == 10 {
			return locked, side, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

const (
	lockOnLog = runtime.GOOS == "linux"
	sideLock  = "-lock"
)

// inUse reports whether a server has the log at path open. It must not be called in the server's process,
// because it closes a descriptor of the file.
func inUse(path string) (bool, error) {
	if !lockOnLog {
		path += sideLock
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	free, err := flock(file, unix.LOCK_SH)
	return !free, err
}

// flock tries to take a lock of that kind, and returns false if another process holds one.
func flock(file *os.File, kind int) (bool, error) {
	switch err := unix.Flock(int(file.Fd()), kind|unix.LOCK_NB); {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return false, nil
	default:
		return false, &os.PathError{Op: "flock", Path: file.Name(), Err: err}
	}
}

// writableDir returns an error if this process cannot create files in the directory of path. SQLite needs two
// beside the log.
func writableDir(path string) error {
	return unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK)
}
