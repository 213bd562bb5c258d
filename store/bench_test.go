package store_test

import (
	"sync"
	"testing"

	"httpipe/store"
)

// BenchmarkExchange is 64 producers who wait for their commits.
func BenchmarkExchange(b *testing.B) {
	f := start(b, tempPath(b), store.Config{}, store.Limits{WALCheck: 4 << 20, WALReset: 64 << 20})
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
