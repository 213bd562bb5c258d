package store_test

import (
	"slices"
	"testing"
	"time"

	"httpipe/store"
)

// TestPagesAfterAClockWasSetBack checks that rows recorded after the clock was set back are found by their
// time.
func TestPagesAfterAClockWasSetBack(t *testing.T) {
	f := open(t)
	hours := []int{-200, -150, -101, -78, -100, -99, -50, -49, -26, -48, -47, -5, 1, -3, -2} // set back twice by 22 h, and once by 4 h
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i, h := range hours {
		at := now.Add(time.Duration(h) * time.Hour)
		f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "a", Role: "producer", Outcome: "left", Arrived: at, Ended: at})
		f.ChannelOpened(store.Life{ID: int64(i + 1), Namespace: "v1", Channel: "a", At: at})
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	for _, k := range []*store.Kind{store.Requests, store.Channels} {
		for _, h := range hours {
			at := now.Add(time.Duration(h) * time.Hour)
			for _, filter := range []store.Filter{{From: at}, {To: at}, {From: at, To: at.Add(30 * time.Hour)}} {
				if got, want := collect(t, f.History(), k, filter, 2), naive(t, f.path, k, filter); !slices.Equal(got, want) {
					t.Errorf("%s %+v: %q, want %q", k.Name, filter, got, want)
				}
			}
		}
	}
}
