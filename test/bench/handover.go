//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// idleRate is how many exchanges a second leave a server idle nearly all of the time.
const idleRate = 500

// handOver measures how long a message takes to a consumer that waits, and how long its producer waits for the 200.
// Half load is the same rate for all.
func (b *bench) handOver() error {
	servers, err := b.start(b.relays, floor, naive)
	if err != nil {
		return err
	}
	defer kill(servers)
	half, err := b.halfLoad(servers)
	if err != nil {
		return err
	}
	consumers := b.table(titleHandOver, "load")
	consumers.note = fmt.Sprintf("Idle is %d exchanges per second, half load %.0f: half of what the slowest of these can do.", idleRate, half)
	producers := b.table(titleAcknowledged, "load")
	for _, pace := range []struct {
		name  string
		pairs int
		rate  float64
	}{
		{rowIdle, 1, idleRate},
		{rowHalfLoad, typical.pairs, half},
	} {
		meters, err := newMeters(servers, load{pairs: pace.pairs, size: 5})
		defer closeMeters(meters)
		if err != nil {
			return err
		}
		err = turns(b.rounds, meters, func(round int, m *meter) error {
			seen, err := m.fleet.run(b.paced, pace.rate, true)
			if err != nil || round == warmUp {
				return err
			}
			addPercentiles(consumers, pace.name, m.name, seen.handOver)
			addPercentiles(producers, pace.name, m.name, seen.acknowledged)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// halfLoad returns half of the best rate of the slowest of the servers.
func (b *bench) halfLoad(servers []*server) (float64, error) {
	meters, err := newMeters(servers, typical)
	defer closeMeters(meters)
	if err != nil {
		return 0, err
	}
	best := make(map[string]float64)
	err = turns(2, meters, func(_ int, m *meter) error {
		seen, err := m.fleet.run(b.turn, 0, false)
		if err == nil {
			best[m.name] = max(best[m.name], seen.rate())
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return slices.Min(slices.Collect(maps.Values(best))) / 2, nil
}

// addPercentiles adds the median and the 99th percentile of some times as two rows.
func addPercentiles(t *table, name, column string, times []time.Duration) {
	for _, p := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		t.add(name+", "+p.name, column, float64(percentile(times, p.share).Nanoseconds())/1000)
	}
}
