package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// ownFiles is what the process needs for itself: the log and its side files, listener, epoll, output.
	ownFiles = 64
	// mostWaiting is as many as --max-waiting=auto lets wait: they take about 250 MB of memory.
	mostWaiting = 10_000
)

// waitingLimit returns how many requests may wait: want, or what the process may have files for if want
// is 0. Each waiter holds a descriptor, and if they held all of them nobody could come in any more to
// free them; so at least a tenth is left for others, and a quarter unless want says otherwise.
func waitingLimit(want int) (int, error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return 0, fmt.Errorf("cannot find out how many files may be open: %w", err)
	}
	return waitingLimitOf(want, int64(min(files.Cur, 1<<30)))
}

// waitingLimitOf is waitingLimit for a process that may have so many files.
func waitingLimitOf(want int, files int64) (int, error) {
	usable := files - ownFiles
	if want == 0 && usable < 2 {
		return 0, fmt.Errorf("this process may have %d open files and needs %d to serve anybody; raise the limit (ulimit -n)", files, ownFiles+2)
	}
	if most := usable * 9 / 10; int64(want) > most || most < 1 {
		return 0, fmt.Errorf("--max-waiting %d needs %d open files, and this process may have %d; lower it, or raise the limit (ulimit -n)",
			want, int64(max(want, 1))*10/9+ownFiles+1, files)
	}
	if want > 0 {
		return want, nil
	}
	return int(min(usable*3/4, mostWaiting)), nil
}
