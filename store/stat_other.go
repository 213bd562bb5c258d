//go:build unix && !linux

package store

// stat makes the system call of statFile.
func stat(path string, flags int) (fileState, error) { return fstatat(path, flags) }
