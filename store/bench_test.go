package store_test

import (
	"sync"
	"testing"
	"time"

	"httpipe/store"
)

// maxAllocations is the number of allocations per exchange that is alone on its channel, those of the test included, when
// as many exchanges as here share a commit (11.4; under -race 12.2). Raise it only for a good reason.
const maxAllocations = 13

func TestAllocationsPerExchange(t *testing.T) {
	const together = 100
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: store.StandardBlock})
	life := int64(0)
	answered := func(error) {}
	n := testing.AllocsPerRun(20, func() {
		var last *store.Commit
		for range together {
			life++
			now := time.Now()
			m, ended, closed := match(newID()), end("", "delivered"), closing(life)
			m.Life, m.At, ended.ID, ended.At, closed.At = life, now, m.ID, now, now
			f.ChannelOpened(store.Life{ID: life, Namespace: "v1", Channel: "work", At: now})
			f.ExchangeMatched(m)
			last = f.ExchangeEnded(ended)
			f.ChannelClosed(closed)
			last.Then(answered)
		}
		wait(t, last)
	})
	if n /= together; n > maxAllocations {
		t.Errorf("%.1f allocations per exchange, want at most %d", n, maxAllocations)
	}
	t.Logf("%.1f allocations per exchange", n)
}

// BenchmarkExchange has 64 producers, each of which waits for its commits.
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
