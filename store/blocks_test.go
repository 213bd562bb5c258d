package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// wantBlocks waits until there are so many blocks, as many as can be made, and checks that each exchange up to the last one's end is
// in the one that it belongs to, and nothing else is in any.
func wantBlocks(t *testing.T, path string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("there are %d blocks", n), func() bool { return one(t, path, "SELECT count(*) FROM block") == fmt.Sprint(n) })
	want := query(t, path, `SELECT (SELECT b.id FROM block b WHERE b.last >= e.id ORDER BY b.last LIMIT 1), namespace, channel, id
		FROM exchange e WHERE id <= (SELECT max(last) FROM block) ORDER BY 1, 2, 3, 4`)
	if got := query(t, path, "SELECT * FROM block_entry ORDER BY 1, 2, 3, 4"); !slices.Equal(got, want) {
		t.Errorf("in blocks are\n%q\nwant\n%q", got, want)
	}
}

// ofChannel returns the ids of a channel's exchanges that a History finds, the newest first.
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

// put records n exchanges of one of three channels each, a second apart from that time on.
func put(t *testing.T, f fixture, at time.Time, n int) {
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

// wantFound checks that a History finds what is on record of each channel.
func wantFound(t *testing.T, f fixture) {
	t.Helper()
	for _, channel := range []string{"channel0", "channel1", "channel2"} {
		want := query(t, f.path, "SELECT id FROM exchange WHERE namespace = 'v1' AND channel = '"+channel+"' ORDER BY id DESC")
		if got := ofChannel(t, f.History(), "v1", channel); len(got) == 0 || !slices.Equal(got, want) {
			t.Errorf("of %s were found\n%q\nwant\n%q", channel, got, want)
		}
		got := query(t, f.path, "SELECT id FROM exchanges_by_channel WHERE namespace = 'v1' AND channel = '"+channel+"' ORDER BY id DESC")
		if !slices.Equal(got, want) {
			t.Errorf("of %s the view has\n%q\nwant\n%q", channel, got, want)
		}
	}
}

// TestBlocks: blocks are made while exchanges come, after a restart, and of what came before there were any; and each exchange
// is found by its channel wherever it is.
func TestBlocks(t *testing.T) {
	dawn := time.Now().Add(-time.Hour)
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: 1000})
	put(t, f, dawn, 50)
	wantBlocks(t, f.path, 0)
	wantFound(t, f)
	mustClose(t, f)

	f = start(t, f.path, store.Config{}, store.Limits{Block: 16})
	wantBlocks(t, f.path, 3)
	wantFound(t, f)
	put(t, f, dawn.Add(time.Minute), 50) // 2 were in none
	wantBlocks(t, f.path, 6)
	wantFound(t, f)
	mustClose(t, f)
}

// TestBlocksAndClocks: what is recorded with a time before that of the last block is entered into an old one.
func TestBlocksAndClocks(t *testing.T) {
	begin := time.Now().Add(-time.Hour)
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: 16})
	put(t, f, begin, 40)
	wantBlocks(t, f.path, 2)
	put(t, f, begin.Add(-10*time.Minute), 100)
	wantBlocks(t, f.path, 2) // those from before
	wantFound(t, f)
	put(t, f, begin.Add(time.Minute), 40)
	wantBlocks(t, f.path, 5)
	wantFound(t, f)
}

// TestBlocksAndRetention: what is removed is in no block any more, and blocks that are empty go as well.
func TestBlocksAndRetention(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: 16})
	put(t, f, noon, 60) // all of which end at noon
	wantBlocks(t, f.path, 3)
	late := match(idAt(noon.Add(20500 * time.Millisecond))) // in the second
	f.ExchangeMatched(late)
	wait(t, f.ExchangeEnded(store.ExchangeEnd{ID: late.ID, At: time.Now(), Outcome: store.Delivered}))
	wantBlocks(t, f.path, 3)
	mustClose(t, f)

	f = start(t, f.path, store.Config{Retention: time.Hour}, store.Limits{Block: 16})
	eventually(t, "the old ones are removed", func() bool { return strings.Contains(f.logged.String(), "removed old rows") })
	if got := query(t, f.path, "SELECT exchange FROM block_entry"); !slices.Equal(got, []string{late.ID}) {
		t.Errorf("in blocks are %q, want only the one that ended later", got)
	}
	if got := ofChannel(t, f.History(), late.Namespace, late.Channel); !slices.Equal(got, []string{late.ID}) {
		t.Errorf("found are %q", got)
	}
	if got := query(t, f.path, "SELECT id FROM block"); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("left are blocks %q, want the one that is not empty and the newest", got)
	}
}

// TestBlocksAfterAnOutage: what was kept in memory is in blocks as well.
func TestBlocksAfterAnOutage(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: 16, Commit: 50 * time.Millisecond, Busy: time.Millisecond})
	put(t, f, time.Now().Add(-time.Hour), 10)
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

// TestBlocksAreAppendOnly: what the triggers refuse.
func TestBlocksAreAppendOnly(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Block: 16})
	put(t, f, time.Now().Add(-time.Hour), 40)
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
		if _, err := other.Exec(statement); !refused(err) {
			t.Errorf("%v, want a refusal by the schema: %s", err, statement)
		}
	}
	wantBlocks(t, f.path, 2)
}
