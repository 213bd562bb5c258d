package store_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"httpipe/store"
)

// The log of record has historyRows rows of each kind, this far apart, beginning at dawn. What is open must not
// be older than a day.
const historyRows, apart = 80, 15 * time.Minute

var (
	dawn     = time.Now().UTC().Truncate(time.Millisecond).Add(-(historyRows + 1) * apart)
	outcomes = []string{store.Delivered, store.Delivered, store.Delivered, "stalled", "consumer_left", store.StillOpen}
)

// record fills a log with exchanges, requests and lives of several channels.
func record(t testing.TB, f fixture) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(words ...string) string { return words[rng.IntN(len(words))] }
	for i := range historyRows {
		at := dawn.Add(time.Duration(i) * apart)
		m := match(idAt(at))
		m.Namespace, m.Channel, m.At = pick("v1", "v1", "v1", "ci", "rare"), pick("a", "a", "b", "=c"), at
		m.ProducerWait, m.ConsumerWait = time.Duration(rng.IntN(5000))*time.Millisecond, 0
		life := store.Life{ID: int64(i + 1), Namespace: m.Namespace, Channel: m.Channel, At: at}
		alone := i%3 == 1 // the exchange is the whole life of its channel
		if alone {
			life.At, m.Life = at.Add(-20*time.Millisecond), life.ID
			f.ChannelOpened(life)
		}
		f.ExchangeMatched(m)
		if !alone && rng.IntN(2) == 0 {
			if err := f.Sync(); err != nil { // so that the ending is a separate row
				t.Fatal(err)
			}
		}
		if outcome := outcomes[rng.IntN(len(outcomes))]; outcome != store.StillOpen {
			end := store.ExchangeEnd{ID: m.ID, At: at.Add(time.Minute), Outcome: outcome, Bytes: rng.Int64N(1000)}
			f.ExchangeEnded(end)
			if alone {
				f.ChannelClosed(store.LifeEnd{ID: life.ID, At: end.At, Reason: "idle", Exchanges: 1, Bytes: end.Bytes})
			}
		}
		recordOnTopic(f, rng, m.Namespace, m.Channel, at)
		f.RequestUnmatched(store.Request{Namespace: m.Namespace, Channel: m.Channel, Role: pick("producer", "consumer", "consumer"),
			Shape: pick("", "topic"), Outcome: pick("left", "timed_out", "refused"), Arrived: at.Add(-time.Minute), Ended: at})
		if i == 60 { // these are recorded late, after younger ones, like the refusals of a minute
			for range 7 {
				f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "a", Role: "producer", Outcome: "left", Arrived: at, Ended: at.Add(30 * time.Second)})
			}
			f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "a", Role: "producer", Outcome: "stalled", Arrived: at, Ended: at})
		}
		if alone {
			continue
		}
		f.ChannelOpened(life)
		if rng.IntN(2) == 0 {
			f.ChannelClosed(store.LifeEnd{ID: life.ID, At: at.Add(time.Hour), Reason: "idle", Exchanges: 1, Bytes: 7})
		}
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}
