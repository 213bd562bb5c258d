//go:build unix && !linux

package store

// stat is statFile without what is the same on all systems.
func stat(path string, flags int) (fileState, error) { return fstatat(path, flags) }
