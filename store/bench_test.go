package store_test

import (
	"sync"
	"testing"

	"httpipe/store"
)

// mostAllocations is what the record of an exchange may cost of them when its commit is shared by as many as here, the test's own
// included. Who needs more should have a reason.
const mostAllocations = 31

func TestAllocationsPerExchange(t *testing.T) {
	const together = 100
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: store.StandardBlock})
	n := testing.AllocsPerRun(20, func() {
		var last *store.Commit
		for range together {
			_, last = f.exchange("delivered")
		}
		wait(t, last)
	})
	if n /= together; n > mostAllocations {
		t.Errorf("%.1f allocations for an exchange; at most %d were needed so far", n, mostAllocations)
	}
}

// BenchmarkExchange is 64 producers who wait for their commits.
func BenchmarkExchange(b *testing.B) {
	f := start(b, tempPath(b), store.Config{}, store.Limits{WALCheck: 4 << 20, WALReset: 64 << 20, Block: store.StandardBlock})
	work := make(chan struct{}, 64)
	var workers sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range 64 {
		workers.Go(func() {
			for range work {
				if _, commit := f.exchange("delivered"); commit.Wait() != nil {
					b.Error("a commit failed")
				}
			}
		})
	}
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	workers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
}
