//go:build unix

package store

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// fileState says which file is at a path, and how large it is.
type fileState struct {
	device, inode uint64
	size          int64
}

// isFile reports whether both are states of the same file.
func (s fileState) isFile(other fileState) bool {
	return s.device == other.device && s.inode == other.inode
}

// statFile returns the state of the file at path. The flags are those of the system call: AT_SYMLINK_NOFOLLOW, or 0.
func statFile(path string, flags int) (state fileState, err error) {
	for err = unix.EINTR; err == unix.EINTR; { // some file systems allow signals to interrupt it
		state, err = stat(path, flags)
	}
	if err != nil {
		err = &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return state, err
}

// fstatat is stat with the system call that every Unix has.
func fstatat(path string, flags int) (fileState, error) {
	var s unix.Stat_t
	err := unix.Fstatat(unix.AT_FDCWD, path, &s, flags)
	return fileState{uint64(s.Dev), uint64(s.Ino), s.Size}, err
}
