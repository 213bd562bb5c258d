package store_test

import (
	"os"
	"testing"
	"time"

	"httpipe/store"
)

// life records the life of a channel that has one exchange, after change has changed what is recorded. It returns the commit of
// the exchange's end.
func (f fixture) life(id int64, at time.Time, change func(*store.Life, *store.Match, *store.ExchangeEnd, *store.LifeEnd)) *store.Commit {
	opened := store.Life{ID: id, Namespace: "v1", Channel: "work", At: at}
	m := match(idAt(at))
	m.Life, m.At = id, at.Add(20*time.Millisecond)
	ended := end(m.ID, "delivered")
	ended.At = at.Add(300 * time.Millisecond)
	closed := store.LifeEnd{ID: id, At: ended.At, Reason: "idle", Exchanges: 1, Bytes: ended.Bytes}
	if change != nil {
		change(&opened, m, &ended, &closed)
	}
	f.ChannelOpened(opened)
	f.ExchangeMatched(m)
	commit := f.ExchangeEnded(ended)
	f.ChannelClosed(closed)
	return commit
}

// A life that its only exchange records completely has no row of its own. Any other life has one.
func TestLifeOfOneExchangeHasNoRow(t *testing.T) {
	f := patient(t)
	for id, change := range []func(*store.Life, *store.Match, *store.ExchangeEnd, *store.LifeEnd){
		1: nil,
		2: func(_ *store.Life, _ *store.Match, _ *store.ExchangeEnd, c *store.LifeEnd) { c.Reason = "deleted" },
		3: func(_ *store.Life, _ *store.Match, _ *store.ExchangeEnd, c *store.LifeEnd) {
			c.At = c.At.Add(time.Millisecond)
		},
		4: func(_ *store.Life, _ *store.Match, _ *store.ExchangeEnd, c *store.LifeEnd) { c.Exchanges = 2 },
		5: func(_ *store.Life, _ *store.Match, _ *store.ExchangeEnd, c *store.LifeEnd) { c.Bytes = 0 },
		6: func(l *store.Life, _ *store.Match, _ *store.ExchangeEnd, _ *store.LifeEnd) {
			l.At = l.At.Add(-time.Second)
		},
		7: func(l *store.Life, _ *store.Match, _ *store.ExchangeEnd, _ *store.LifeEnd) {
			l.At = l.At.Add(time.Second)
		},
		8: func(_ *store.Life, m *store.Match, e *store.ExchangeEnd, _ *store.LifeEnd) {
			m.ID = idAt(noon.Add(time.Second)) // the clock was set back in between
			e.ID = m.ID
		},
		9: func(l *store.Life, _ *store.Match, _ *store.ExchangeEnd, _ *store.LifeEnd) { l.Channel = "other" },
	} {
		if id > 0 {
			wait(t, f.life(int64(id), noon, change))
		}
	}
	wantOne(t, f.path, "8|0|9|0|0", rowsOfEachTable)
	wantOne(t, f.path, "v1|work|2026-02-03T12:00:00.123Z|2026-02-03T12:00:00.423Z|idle|1|42|4294967297|NULL", "SELECT * FROM channels WHERE id = 1 << 32 | 1")
	wantOne(t, f.path, "9|9", "SELECT count(*), count(DISTINCT id) FROM channels")
	mustClose(t, f)
	report, err := store.Check(t.Context(), f.path)
	if err != nil || len(report.Problems) > 0 || report.Channels != 9 {
		t.Errorf("%+v, %v", report, err)
	}
}

// The content type of most exchanges is not stored, and the view shows it nevertheless.
func TestUsualContentType(t *testing.T) {
	f := open(t)
	m := match(newID())
	m.ContentType = "application/octet-stream"
	wait(t, f.ExchangeMatched(m))
	wantOne(t, f.path, "|application/octet-stream", "SELECT e.content_type, v.content_type FROM exchange e JOIN exchanges v USING (id)")
}

// After a commit that failed but took effect, no life has two rows and none is missing.
func TestLifeOfOneExchangeAfterAnOutage(t *testing.T) {
	path := tempPath(t)
	hide, armed := once(func() { os.Remove(path + "-shm") }) // COMMIT does not need it, but the check after it does
	f := start(t, path, store.Config{}, store.Limits{Linger: time.Hour, Committing: hide})
	armed.Store(true)
	if err := f.life(1, noon, nil).Wait(); err == nil {
		t.Fatal("the commit has not failed")
	}
	f.life(2, noon, nil) // during the outage
	f.waitUntilWritable(t)
	f.sync(t)
	wantOne(t, path, "0|0|2|0|0", rowsOfEachTable)
	wantOne(t, path, "2|2", "SELECT count(*), count(DISTINCT id) FROM channels WHERE reason = 'idle'")
	wait(t, f.life(3, noon, nil))
	wantOne(t, path, "0|0|3|0|0", rowsOfEachTable)
}

// A page of lives begins with the newest, like all pages, even if a channel that opened later was matched earlier.
func TestPageOfLivesIsInOrder(t *testing.T) {
	f := open(t)
	for id := range int64(4) {
		wait(t, f.life(id+1, noon.Add(time.Duration(id)*time.Millisecond), func(_ *store.Life, m *store.Match, e *store.ExchangeEnd, _ *store.LifeEnd) {
			m.At = noon.Add(time.Duration(200-20*id) * time.Millisecond)
			m.ID = idAt(m.At)
			e.ID = m.ID
		}))
	}
	page, err := f.History().Page(t.Context(), store.Channels, store.Filter{}, "", 10)
	if err != nil || len(page.Rows) != 4 {
		t.Fatal(page, err)
	}
	for i := range page.Rows {
		if got, want := page.Value(i, "id"), int64(1<<32|4-i); got != want {
			t.Errorf("row %d is life %d, want %d", i, got, want)
		}
	}
}
