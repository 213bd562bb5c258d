//go:build unix && !linux

package store

// stat returns the state of the file at path; flags are those of fstatat.
func stat(path string, flags int) (fileState, error) { return fstatat(path, flags) }
