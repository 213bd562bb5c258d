//go:build !race && !386

package relay

import (
	"syscall"
	"unsafe"
)

// The system calls for a small exchange are made without telling Go's scheduler: that is for calls that may block, and these
// sockets do not block. Otherwise, whenever the system suspends a thread in one of these calls, the scheduler would give the
// thread's processor to another thread, which costs more than the call.

// readNow reads the bytes that have arrived.
func readNow(fd uintptr, b []byte) (int, error) {
	return result(syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0))
}

// writeNow writes as much as the kernel accepts at once.
func writeNow(fd uintptr, b []byte) (int, error) {
	return result(syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_NOSIGNAL, 0, 0))
}

func result(n, _ uintptr, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EAGAIN:
		return 0, errAgain // an Errno as an error would be an allocation
	}
	return 0, errno
}

var errAgain error = syscall.EAGAIN
