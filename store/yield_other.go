//go:build !linux

package store

// yieldProcessor does nothing: not every system has a call for it in package syscall.
func yieldProcessor() {}
