//go:build unix

package store

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// lock takes the lock that keeps other servers from the file, and returns false if one of them has it. The lock goes with the
// last descriptor, so a killed process leaves none behind.
//
// On Linux it is on the audit log itself: flock and the fcntl locks by which SQLite coordinates its readers and writers do
// not see each other there. Elsewhere they collide, and the lock is on a file beside it.
func lock(file *os.File) (locked bool, side *os.File, err error) {
	if runtime.GOOS != "linux" {
		side, err = os.OpenFile(file.Name()+"-lock", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return false, nil, err
		}
		file = side
	}
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil:
		return true, side, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return false, side, nil
	default:
		return false, side, &os.PathError{Op: "flock", Path: file.Name(), Err: err}
	}
}

// writableDir returns an error if no files can be made in the directory of path: SQLite needs two beside the log.
func writableDir(path string) error {
	return unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK)
}
