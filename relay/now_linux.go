//go:build !race && !386

package relay

import (
	"syscall"
	"unsafe"
)

// The system calls for a small exchange are made without telling Go's scheduler: that is for calls that may block, and these
// sockets do not block. Otherwise, whenever the system suspends a thread in one of these calls, the scheduler would give the
// thread's processor to another thread, which costs more than the call.

// readNow reads the bytes that have arrived. n is negative after an error.
func readNow(fd uintptr, b []byte) (n int, err syscall.Errno) {
	r, _, err := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
	return int(r), err
}

// writeNow writes as much as the kernel accepts at once. n is negative after an error.
func writeNow(fd uintptr, b []byte) (n int, err syscall.Errno) {
	r, _, err := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_NOSIGNAL, 0, 0)
	return int(r), err
}
