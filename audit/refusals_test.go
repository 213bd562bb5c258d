package audit

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"httpipe/store"
)

// Many refusals of one client become few rows, and each is counted.
func TestManyRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards rows and sum
		rows, sum := map[string]int{}, map[string]int64{}
		f := &refusals{record: func(r store.Request) {
			mu.Lock()
			defer mu.Unlock()
			rows[r.Client.Addr]++
			sum[r.Client.Addr] += r.Count
		}}
		want := func(client string, wantRows int, wantSum int64) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if rows[client] != wantRows || sum[client] != wantSum {
				t.Errorf("%s has %d rows for %d refusals, want %d for %d", client, rows[client], sum[client], wantRows, wantSum)
			}
		}
		refuse := func(addr string, n int) {
			for range n {
				f.add(addr, store.Request{Client: store.Client{Addr: addr}, Count: 1})
			}
		}
		refuse("a", 1000)
		refuse("b", maxRowsEach)
		want("a", maxRowsEach, maxRowsEach)
		want("b", maxRowsEach, maxRowsEach)
		time.Sleep(time.Minute)
		synctest.Wait()
		want("a", maxRowsEach+1, 1000)
		want("b", maxRowsEach, maxRowsEach)
		refuse("a", 20)
		f.flush()
		want("a", 2*maxRowsEach+2, 1020)
		for i := range maxRefusedClients + 5 {
			refuse(fmt.Sprint("many ", i), 1)
		}
		if n := len(f.clients); n > maxRefusedClients+1 {
			t.Errorf("%d clients are counted separately", n)
		}
		f.flush()
	})
}

// A row for several refusals states only what is true of all of them.
func TestMergedRefusals(t *testing.T) {
	var rows []store.Request
	f := &refusals{record: func(r store.Request) { rows = append(rows, r) }}
	refusal := func(channel, reason, subject string) {
		f.add("a", store.Request{Namespace: "n", Channel: channel, Role: "consumer", Outcome: "refused", Reason: reason,
			Client: store.Client{Addr: "192.0.2.1", Subject: subject}, Count: 1})
	}
	for range maxRowsEach {
		refusal("c", "consume: expired", "first")
	}
	refusal("x", "consume: expired", "one")
	refusal("y", "consume: expired", "two")
	refusal("x", "consume: expired", "two")
	f.flush()
	want := store.Request{Namespace: "n", Role: "consumer", Outcome: "refused", Reason: "consume: expired",
		Client: store.Client{Addr: "192.0.2.1"}, Count: 3}
	if got := rows[len(rows)-1]; len(rows) != maxRowsEach+1 || got != want {
		t.Errorf("%d rows, the last %+v, want %+v", len(rows), got, want)
	}
}
