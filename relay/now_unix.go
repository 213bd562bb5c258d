//go:build unix && (!linux || race || 386)

package relay

import "syscall"

// See now_linux.go; Linux has other calls on 386. Package syscall tells the race detector that a write to a socket happens
// before the read of its bytes.

func readNow(fd uintptr, b []byte) (int, syscall.Errno)  { return result(syscall.Read(int(fd), b)) }
func writeNow(fd uintptr, b []byte) (int, syscall.Errno) { return result(syscall.Write(int(fd), b)) }

func result(n int, err error) (int, syscall.Errno) {
	errno, _ := err.(syscall.Errno) // the only errors of these calls
	return n, errno
}
