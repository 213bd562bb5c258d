package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// reservedFiles is how many descriptors the process needs besides the clients': the log and its side files,
	// the listener, epoll, the output.
	reservedFiles = 64
	// MaxAutoWaiting caps --max-waiting=auto: that many waiters take about 250 MB of memory.
	MaxAutoWaiting = 10_000
)

// WaitingLimit returns how many requests may wait: want or, if want is 0, what the limit on open files
// (RLIMIT_NOFILE) allows. Each waiter holds a descriptor, and the request that would match it needs another, so
// WaitingLimit leaves a tenth of the descriptors free, and a quarter if want is 0.
func WaitingLimit(want int) (int, error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return 0, fmt.Errorf("cannot read the limit on open files: %w", err)
	}
	return WaitingLimitOf(want, int64(min(files.Cur, 1<<30)))
}

// WaitingLimitOf is WaitingLimit for a process that may open that many files.
func WaitingLimitOf(want int, files int64) (int, error) {
	usable := files - reservedFiles
	if want == 0 && usable < 2 {
		return 0, fmt.Errorf("this process may open %d files and needs at least %d; raise the limit (ulimit -n)", files, reservedFiles+2)
	}
	if most := usable * 9 / 10; int64(want) > most || most < 1 {
		return 0, fmt.Errorf("--max-waiting %d needs %d open files, and this process may open %d; lower it, or raise the limit (ulimit -n)",
			want, int64(max(want, 1))*10/9+reservedFiles+1, files)
	}
	if want > 0 {
		return want, nil
	}
	return int(min(usable*3/4, MaxAutoWaiting)), nil
}
