package store

import "golang.org/x/sys/unix"

// stat returns the state of the file at path; flags are those of fstatat. It does not ask for the times of the file: since Linux
// 6.13, the first write after somebody has asked for them gives the file a time that is finer than the 4 ms of the kernel's clock.
// Then each fsync has to write the inode too.
func stat(path string, flags int) (fileState, error) {
	var s unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, flags, unix.STATX_INO|unix.STATX_SIZE, &s)
	if err == unix.ENOSYS { // before Linux 4.11
		return fstatat(path, flags)
	}
	return fileState{unix.Mkdev(s.Dev_major, s.Dev_minor), s.Ino, int64(s.Size)}, err
}
