package process

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// gcPercent lets garbage grow to four times the live heap before a collection. A relay keeps little and
	// discards much: with Go's default of 100, collections take an eighth of its processor time.
	gcPercent = 400
	// memoryShare is the part of the machine's memory, or of its control group's, above which Go collects garbage
	// more often. SQLite and the socket buffers need the rest.
	memoryShare = 0.7
)

// TuneMemory trades free memory for processor time. It respects GOGC and GOMEMLIMIT.
func TuneMemory(logger *slog.Logger) {
	provider := memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)
	if _, err := memlimit.Set(memlimit.WithProvider(provider), memlimit.WithRatio(memoryShare)); err != nil {
		logger.Warn("cannot determine how much memory this machine has; using Go's default garbage collection", "error", err)
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// TuneProcessors adds a thread for Go code beyond the number of processors, unless GOMAXPROCS sets that number. The
// thread that writes the audit log is usually blocked in a disk write, and Go takes a while to notice: until then
// its processor would relay nothing.
func TuneProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
