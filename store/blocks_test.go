package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// wantBlocks waits until there are n blocks, which must be the most possible, and checks that they contain
// exactly the exchanges up to the end of the last one, each in the right block.
func wantBlocks(t *testing.T, path string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("there are %d blocks", n), func() bool { return one(t, path, "SELECT count(*) FROM block") == fmt.Sprint(n) })
	want := query(t, path, `SELECT (SELECT b.id FROM block b WHERE b.last >= e.id ORDER BY b.last LIMIT 1), namespace, channel, id
		FROM exchange e WHERE id <= (SELECT max(last) FROM block) ORDER BY 1, 2, 3, 4`)
	if got := query(t, path, "SELECT * FROM block_entry ORDER BY 1, 2, 3, 4"); !slices.Equal(got, want) {
		t.Errorf("the blocks contain\n%q\nwant\n%q", got, want)
	}
}

// ofChannel returns the ids of a channel's exchanges according to the History, newest first.
func ofChannel(t *testing.T, h *store.History, namespace, channel string) (ids []string) {
	t.Helper()
	err := h.Each(t.Context(), store.Exchanges, store.Filter{Namespace: namespace, Channel: channel}, "", 0, func(page store.Page) error {
		for i := range page.Rows {
			ids = append(ids, page.Value(i, "id").(string))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// recordExchanges records n exchanges on each of three channels, one second apart, beginning at the given time.
func recordExchanges(t *testing.T, f fixture, at time.Time, n int) {
	t.Helper()
	for i := range n {
		m := match(idAt(at.Add(time.Duration(i) * time.Second)))
		m.Channel = fmt.Sprint("channel", i%3)
		f.ExchangeMatched(m)
		f.ExchangeEnded(end(m.ID, store.Delivered))
		if i%5 == 0 {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

// wantFound checks that the History returns all exchanges of each channel.
func wantFound(t *testing.T, f fixture) {
	t.Helper()
	for _, channel := range []string{"channel0", "channel1", "channel2"} {
		want := query(t, f.path, "SELECT id FROM exchange WHERE namespace = 'v1' AND channel = '"+channel+"' ORDER BY id DESC")
		if got := ofChannel(t, f.History(), "v1", channel); len(got) == 0 || !slices.Equal(got, want) {
			t.Errorf("the history of %s has\n%q\nwant\n%q", channel, got, want)
		}
		got := query(t, f.path, "SELECT id FROM exchanges_by_channel WHERE namespace = 'v1' AND channel = '"+channel+"' ORDER BY id DESC")
		if !slices.Equal(got, want) {
			t.Errorf("the view of %s has\n%q\nwant\n%q", channel, got, want)
		}
	}
}

// TestBlocks checks that blocks are built while exchanges are recorded, after a restart, and for older
// exchanges that are in none; and that each exchange is found by its channel wherever it is.
func TestBlocks(t *testing.T) {
	dawn := time.Now().Add(-time.Hour)
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: 1000})
	recordExchanges(t, f, dawn, 50)
	wantBlocks(t, f.path, 0)
	wantFound(t, f)
	mustClose(t, f)

	f = start(t, f.path, store.Config{}, store.Limits{Block: 16})
	wantBlocks(t, f.path, 3)
	wantFound(t, f)
	recordExchanges(t, f, dawn.Add(time.Minute), 50) // 2 were in no block
	wantBlocks(t, f.path, 6)
	wantFound(t, f)
	mustClose(t, f)
}

// TestBlocksAndClocks checks that an exchange whose time is before the end of the last block is entered into an
// older block.
func TestBlocksAndClocks(t *testing.T) {
	begin := time.Now().Add(-time.Hour)
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: 16})
	recordExchanges(t, f, begin, 40)
	wantBlocks(t, f.path, 2)
	recordExchanges(t, f, begin.Add(-10*time.Minute), 100)
	wantBlocks(t, f.path, 2) // the two from before
	wantFound(t, f)
	recordExchanges(t, f, begin.Add(time.Minute), 40)
	wantBlocks(t, f.path, 5)
	wantFound(t, f)
}

// TestBlocksAndRetention checks that deleted exchanges and empty blocks leave the index.
func TestBlocksAndRetention(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: 16})
	recordExchanges(t, f, noon, 60) // all of them end at noon
	wantBlocks(t, f.path, 3)
	late := match(idAt(noon.Add(20500 * time.Millisecond))) // in the second block
	f.ExchangeMatched(late)
	wait(t, f.ExchangeEnded(store.ExchangeEnd{ID: late.ID, At: time.Now(), Outcome: store.Delivered}))
	wantBlocks(t, f.path, 3)
	mustClose(t, f)

	f = start(t, f.path, store.Config{Retention: time.Hour}, store.Limits{Block: 16})
	eventually(t, "the old rows are removed", func() bool { return strings.Contains(f.logged.String(), "removed old rows") })
	if got := query(t, f.path, "SELECT exchange FROM block_entry"); !slices.Equal(got, []string{late.ID}) {
		t.Errorf("the blocks contain %q, want only the exchange that ended later", got)
	}
	if got := ofChannel(t, f.History(), late.Namespace, late.Channel); !slices.Equal(got, []string{late.ID}) {
		t.Errorf("the history has %q", got)
	}
	if got := query(t, f.path, "SELECT id FROM block"); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("the remaining blocks are %q, want the nonempty one and the newest", got)
	}
}

// TestBlocksAfterAnOutage checks that rows that were in memory during an outage are in blocks too.
func TestBlocksAfterAnOutage(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: 16, Busy: time.Millisecond})
	recordExchanges(t, f, time.Now().Add(-time.Hour), 10)
	release := holdLock(t, f.path)
	at := time.Now().Add(-time.Minute)
	for i := range 30 {
		m := match(idAt(at.Add(time.Duration(i) * time.Second)))
		f.ExchangeMatched(m)
		f.ExchangeEnded(end(m.ID, "stalled"))
	}
	eventually(t, "the log is failing", func() bool { return f.Err() != nil })
	release()
	wantBlocks(t, f.path, 2)
	wantFound(t, f)
}

// TestBlocksAreAppendOnly checks what the triggers reject.
func TestBlocksAreAppendOnly(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: 16})
	recordExchanges(t, f, time.Now().Add(-time.Hour), 40)
	wantBlocks(t, f.path, 2)
	mustClose(t, f)
	other := db(t, f.path)
	for _, statement := range []string{
		"UPDATE block SET last = 'x'",
		"UPDATE block_entry SET channel = 'x'",
		"DELETE FROM block",
		"DELETE FROM block WHERE id = 1",
		"DELETE FROM block_entry",
		"REPLACE INTO block VALUES (2, 'x')",
		"INSERT INTO block VALUES (3, '0')",
		"INSERT INTO block VALUES (0, 'x')",
	} {
		if _, err := other.Exec(statement); !rejected(err) {
			t.Errorf("error %v, want a rejection by the schema: %s", err, statement)
		}
	}
	wantBlocks(t, f.path, 2)
}
