package store

import "syscall"

// yieldProcessor lets other threads run first that wait for the processor of the calling one. If there are none, it takes no
// time. Go's scheduler is not told of the call, because that wakes another thread.
func yieldProcessor() { syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
