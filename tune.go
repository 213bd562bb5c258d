package main

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// garbagePercent lets as much as four times what is in use pile up before it is collected. A relay keeps
	// little and throws away much: Go's default, once, would take an eighth of its processor time.
	garbagePercent = 400
	// memoryShare is how much of the machine's memory, or of its control group's, may be Go's before garbage
	// is collected more often. SQLite and the sockets' buffers need the rest.
	memoryShare = 0.7
)

// tuneMemory trades memory that is there for processor time. GOGC and GOMEMLIMIT, if set, stay as they are.
func tuneMemory(logger *slog.Logger) {
	provider := memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)
	if _, err := memlimit.Set(memlimit.WithProvider(provider), memlimit.WithRatio(memoryShare)); err != nil {
		logger.Warn("cannot find out how much memory there is, so it is used sparingly", "error", err)
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}

// tuneProcessors lets one thread more than there are processors run Go code at a time, unless GOMAXPROCS says how many.
// One of them is usually in the disk: the one that writes the audit log. Go notices that only after a while, in which
// that processor would relay nothing.
func tuneProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
