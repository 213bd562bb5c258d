package rawhttp

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
)

// Eventually waits until something is so, and fails the test if it is not soon enough.
func Eventually(t *testing.T, soon time.Duration, what string, so func() bool) {
	t.Helper()
	for began := time.Now(); !so(); time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatalf("%s: not after %v", what, soon)
		}
	}
}

// A Journal is a slog.Handler that keeps the outcomes of exchanges, and every other message as a complaint unless it is
// for debugging.
type Journal struct {
	mu         sync.Mutex
	outcomes   []string
	Complaints []string
}

func (j *Journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *Journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *Journal) WithGroup(string) slog.Handler            { return j }

func (j *Journal) Handle(_ context.Context, record slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if record.Message == "publication ended" && record.Level < slog.LevelError {
		return nil
	}
	if record.Message != "exchange ended" {
		if record.Level < slog.LevelInfo {
			return nil
		}
		j.Complaints = append(j.Complaints, record.Message)
		return nil
	}
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "outcome" {
			j.outcomes = append(j.outcomes, a.Value.String())
		}
		return true
	})
	return nil
}

// Next takes the oldest outcome, "" if there is none.
func (j *Journal) Next() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.outcomes) == 0 {
		return ""
	}
	o := j.outcomes[0]
	j.outcomes = j.outcomes[1:]
	return o
}

// Forgive drops the complaints that are equal to the message.
func (j *Journal) Forgive(message string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.Complaints = slices.DeleteFunc(j.Complaints, func(c string) bool { return c == message })
}
