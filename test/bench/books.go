//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// books measures what sustained load does to the audit log: how long commits take, how large the WAL gets, and how much of
// the disk an exchange takes for good.
func (b *bench) books() error {
	t := b.table(titleBooks, "")
	t.note = fmt.Sprintf("%s, for %v in each round.", typical, b.sustained)
	var logged []variant
	for _, v := range b.relays {
		if v.kind == withLog {
			logged = append(logged, v)
		}
	}
	servers, err := b.start(logged)
	if err != nil {
		return err
	}
	defer kill(servers)
	meters, err := newMeters(servers, typical)
	defer closeMeters(meters)
	if err != nil {
		return err
	}
	made := make(map[*meter]int)
	largest := make(map[*meter]int64)
	err = turns(b.rounds, meters, func(round int, m *meter) error {
		watch := watchWAL(filepath.Join(m.dir, logName+"-wal"))
		defer func() { largest[m] = max(largest[m], watch()) }()
		seen, err := m.fleet.run(b.sustained, 0, true)
		if err != nil {
			return err
		}
		made[m] += seen.exchanges
		if round == warmUp {
			return nil
		}
		t.add("exchanges/s", m.name, seen.rate())
		addPercentiles(t, "from the POST to the producer's 200, in µs", m.name, seen.acknowledged)
		addPercentiles(t, "from the consumer's last byte to the producer's 200, in µs", m.name, seen.committed)
		p50, p99 := percentile(seen.committed, 0.5), percentile(seen.committed, 0.99)
		t.add(rowCommitSpread, m.name, float64(p99)/float64(p50))
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range meters {
		t.add(rowWAL, m.name, float64(largest[m])/1e6)
		if err := m.stop(); err != nil {
			return err
		}
		grown, err := m.logGrowth()
		if err != nil {
			return err
		}
		t.add(rowBytes, m.name, float64(grown)/float64(made[m]))
	}
	return nil
}

// logGrowth returns by how many bytes the log has grown since the server was started.
func (m *meter) logGrowth() (int64, error) {
	size, err := fileSize(filepath.Join(m.dir, logName))
	if err != nil || m.from == "" {
		return size, err
	}
	begun, err := fileSize(m.from)
	return size - begun, err
}

// watchWAL looks at the size of a file many times a second, until the function that it returns is called, which returns the
// largest size.
func watchWAL(path string) (stop func() int64) {
	done, largest := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		seen := int64(0)
		for {
			if size, err := fileSize(path); err == nil {
				seen = max(seen, size)
			}
			select {
			case <-done:
				largest <- seen
				return
			case <-tick.C:
			}
		}
	}()
	return func() int64 {
		close(done)
		return <-largest
	}
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
