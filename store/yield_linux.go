package store

import "syscall"

// yieldProcessor lets threads that wait for this thread's processor run first. If there are none, it takes almost no time. It
// does not tell Go's scheduler, which would wake another thread.
func yieldProcessor() { syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
