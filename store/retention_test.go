package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// aged records n exchanges, requests and lives that began at that time and ended a second later, and one of
// each that ended just now or has not ended.
func aged(t *testing.T, f fixture, at time.Time, n int) {
	t.Helper()
	var last *store.Commit
	for i := range n {
		life := at.Unix()*10_000 + int64(i)
		life &= 1<<31 - 1
		m := match(idAt(at))
		m.At, m.Life = at, life
		f.ChannelOpened(store.Life{ID: life, Namespace: "v1", Channel: "work", At: at})
		f.ExchangeMatched(m)
		if i%2 == 0 {
			wait(t, f.ExchangeMatched(match(idAt(time.Now())))) // so that some endings are separate rows
		}
		f.ExchangeEnded(store.ExchangeEnd{ID: m.ID, At: at.Add(time.Second), Outcome: "delivered"})
		f.ChannelClosed(store.LifeEnd{ID: life, At: at.Add(time.Second), Reason: "idle"})
		f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "work", Role: "consumer", Outcome: "left", Arrived: at, Ended: at.Add(time.Second)})
		f.life(life+5_000, at, nil) // removed with its exchange
		last = f.ExchangeMatched(match(idAt(time.Now())))
	}
	wait(t, last)
}

func TestRetention(t *testing.T) {
	path := tempPath(t)
	now := time.Now()
	old, recent := now.Add(-100*24*time.Hour), now.Add(-time.Hour)
	f := start(t, path, store.Config{}, store.Limits{})
	// These are older than all others but must be kept, because they ended late or not at all.
	long := match(idAt(old.Add(-time.Hour)))
	long.At = old.Add(-time.Hour)
	f.ExchangeMatched(long)
	f.ChannelOpened(store.Life{ID: 1, Namespace: "v1", Channel: "long", At: long.At})
	f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "long", Role: "producer", Outcome: "left", Arrived: old, Ended: recent})
	aged(t, f, old, 50)
	f.ExchangeEnded(store.ExchangeEnd{ID: long.ID, At: recent, Outcome: "producer_left"})
	aged(t, f, recent, 10)
	mustClose(t, f)

	f = start(t, path, store.Config{Retention: 90 * 24 * time.Hour}, store.Limits{})
	eventually(t, "old rows are removed", func() bool { return strings.Contains(f.logged.String(), "removed old rows") })
	cutoff := now.Add(-90 * 24 * time.Hour).UnixMilli()
	for _, q := range []string{
		"SELECT count(*) FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id WHERE coalesce(e.ended_at, x.ended_at) < ?",
		"SELECT count(*) FROM life l LEFT JOIN life_end x ON x.id = l.id WHERE coalesce(l.closed_at, x.closed_at) < ?",
		"SELECT count(*) FROM request WHERE ended_at < ?",
	} {
		wantOne(t, path, "0", q, cutoff)
	}
	wantOne(t, path, "0", "SELECT count(*) FROM exchange_end WHERE id NOT IN (SELECT id FROM exchange)")
	wantOne(t, path, "0", "SELECT count(*) FROM life_end WHERE id NOT IN (SELECT id FROM life)")
	wantOne(t, path, "1|11|21|1", `SELECT
		(SELECT count(*) FROM exchanges WHERE outcome = 'producer_left'), (SELECT count(*) FROM requests),
		(SELECT count(*) FROM channels), (SELECT count(*) FROM cutoffs)`)
	wantOne(t, path, "20", "SELECT count(*) FROM exchanges WHERE outcome = 'delivered'")
	if want := "rows=200"; !strings.Contains(f.logged.String(), want) {
		t.Errorf("want %s in the log output", want)
	}
	mustClose(t, f)

	// There are no more old rows, so no second cutoff is recorded, with the same or a longer retention.
	for _, keep := range []time.Duration{90 * 24 * time.Hour, 1000 * 24 * time.Hour} {
		f = start(t, path, store.Config{Retention: keep}, store.Limits{})
		mustClose(t, f)
		wantOne(t, path, "1", "SELECT count(*) FROM cutoffs")
	}
}

// A round takes as many steps as it needs.
func TestRetentionInSteps(t *testing.T) {
	f := open(t)
	at := time.Now().Add(-2 * time.Hour)
	for range 2500 {
		f.RequestUnmatched(store.Request{Role: "consumer", Outcome: "left", Arrived: at, Ended: at})
	}
	mustClose(t, f)
	f = start(t, f.path, store.Config{Retention: time.Hour}, store.Limits{})
	eventually(t, "all rows are removed in one round", func() bool { return strings.Contains(f.logged.String(), "rows=2500") })
	wantOne(t, f.path, "0", "SELECT count(*) FROM requests")
}

// Rounds repeat.
func TestRetentionRepeats(t *testing.T) {
	f := start(t, tempPath(t), store.Config{Retention: time.Hour}, store.Limits{PruneEvery: 10 * time.Millisecond})
	at := time.Now().Add(-2 * time.Hour)
	for round := range 3 {
		for range 100 {
			f.RequestUnmatched(store.Request{Namespace: fmt.Sprint(round), Role: "consumer", Outcome: "left", Arrived: at, Ended: at})
		}
		eventually(t, "all requests are removed", func() bool {
			return strings.Contains(f.logged.String(), "removed old rows") && one(t, f.path, "SELECT count(*) FROM requests") == "0"
		})
	}
	if f.Err() != nil || f.Lost() != 0 {
		t.Errorf("Err is %v and Lost %d, want neither", f.Err(), f.Lost())
	}
}
