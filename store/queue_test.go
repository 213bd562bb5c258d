package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"httpipe/store"
)

// patient opens a log that holds rows back for longer than the test takes.
func patient(t *testing.T) fixture {
	t.Helper()
	return start(t, tempPath(t), store.Config{}, store.Limits{Linger: time.Hour})
}

func (f fixture) sync(t *testing.T) {
	t.Helper()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

func opening(life int64) store.Life {
	return store.Life{ID: life, Namespace: "v1", Channel: "work", At: noon}
}

func closing(life int64) store.LifeEnd {
	return store.LifeEnd{ID: life, At: noon, Reason: "idle", Exchanges: 1, Bytes: 42}
}

const rowsOfEachTable = `SELECT (SELECT count(*) FROM life), (SELECT count(*) FROM life_end),
	(SELECT count(*) FROM exchange), (SELECT count(*) FROM exchange_end), (SELECT count(*) FROM request)`

// A commit leaves out beginnings that no caller waits for. They become one row with their ending.
func TestBeginningsWaitForTheirEnding(t *testing.T) {
	f := patient(t)
	f.ChannelOpened(opening(2))
	id := newID()
	m := match(id)
	m.Life = 2
	f.ExchangeMatched(m)
	_, other := f.exchange("delivered") // of another life
	wait(t, other)
	wantOne(t, f.path, "0|0|1|0|0", rowsOfEachTable)

	commit := f.ExchangeEnded(end(id, "delivered"))
	f.ChannelClosed(closing(2))
	wait(t, commit)
	wantOne(t, f.path, "1|0|2|0|0", rowsOfEachTable)
	wantOne(t, f.path, "idle|1|42", "SELECT reason, exchanges, bytes FROM channels")
}

// With an exchange, the opening of its channel gets into the file, even if the channel stays open.
func TestOpeningComesWithTheExchange(t *testing.T) {
	f := patient(t)
	f.ChannelOpened(opening(1))
	_, commit := f.exchange("delivered")
	wait(t, commit)
	wantOne(t, f.path, "1|0|1|0|0", rowsOfEachTable)
	f.ChannelClosed(closing(1))
	f.sync(t)
	wantOne(t, f.path, "1|1|1|0|0", rowsOfEachTable)
}

// A caller that waits for a beginning (--audit=strict) gets it written, and the opening of its channel too.
func TestBeginningThatACallerWaitsFor(t *testing.T) {
	f := patient(t)
	f.ChannelOpened(opening(1))
	id := newID()
	wait(t, f.ExchangeMatched(match(id)))
	wantOne(t, f.path, "1|0|1|0|0", rowsOfEachTable)
	wait(t, f.ExchangeEnded(end(id, "delivered")))
	wantOne(t, f.path, "1|0|1|1|0", rowsOfEachTable)
}

// Sync and Close hold nothing back.
func TestSyncHoldsNothingBack(t *testing.T) {
	f := patient(t)
	f.ChannelOpened(opening(1))
	f.sync(t)
	wantOne(t, f.path, "1|0|0|0|0", rowsOfEachTable)
	f.ExchangeMatched(match(newID()))
	f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "work", Role: "consumer", Outcome: "left", Arrived: noon, Ended: noon})
	f.sync(t)
	wantOne(t, f.path, "1|0|1|0|1", rowsOfEachTable)
	f.ChannelOpened(opening(2))
	mustClose(t, f)
	wantOne(t, f.path, "2|2|1|1|1", rowsOfEachTable) // Close ends what is open
}

// Sync returns although the opening for which it waits turns out to need no row.
func TestSyncOfALifeThatNeedsNoRow(t *testing.T) {
	f := patient(t)
	release := holdLock(t, f.path)
	f.ChannelOpened(opening(1))
	synced := make(chan error, 1)
	go func() { synced <- f.Sync() }()
	eventually(t, "Sync waits", f.Awaited)
	m := match(idAt(noon))
	f.ExchangeMatched(m)
	ended := end(m.ID, "delivered")
	f.ExchangeEnded(ended)
	f.ChannelClosed(store.LifeEnd{ID: 1, At: ended.At, Reason: "idle", Exchanges: 1, Bytes: ended.Bytes})
	release()
	select {
	case err := <-synced:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Sync does not return")
	}
	wantOne(t, f.path, "1", "SELECT count(*) FROM channels")
}

// Without a caller that waits, rows are written after a short time, and each row in its turn.
func TestRowsAreWrittenWithoutACallerThatWaits(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Linger: 5 * time.Millisecond, Idle: time.Hour})
	wrote := func(want string) {
		t.Helper()
		eventually(t, want, func() bool { return one(t, f.path, rowsOfEachTable) == want })
	}
	f.ChannelOpened(opening(1))
	wrote("1|0|0|0|0")
	f.ExchangeMatched(match(newID()))
	wrote("1|0|1|0|0")
	f.ChannelClosed(closing(1))
	wrote("1|1|1|0|0")
	// A beginning that stays behind in the queue when a commit takes the rest.
	f.ChannelOpened(opening(2))
	_, commit := f.exchange("delivered")
	wait(t, commit)
	wrote("2|1|2|0|0")
}

// Rows that are younger than those that a commit takes get their turn too, even if no other row comes after them.
func TestYoungRowsAreNotForgotten(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Linger: 5 * time.Millisecond, Idle: time.Hour})
	reader := db(t, f.path)
	written := func() (n int64) {
		if err := reader.QueryRow("SELECT count(*) FROM life").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	opened := int64(0)
	for range 20 {
		for before := written(); written() == before; {
			opened++
			f.ChannelOpened(opening(opened))
		}
		eventually(t, "all openings are in the file", func() bool { return written() == opened })
	}
}

// A steady stream of beginnings, as when thousands of clients connect and wait, does not cause one commit after another.
func TestSteadyBeginningsShareCommits(t *testing.T) {
	const linger = 20 * time.Millisecond
	var commits atomic.Int64
	f := start(t, tempPath(t), store.Config{}, store.Limits{Linger: linger, Idle: time.Hour, Inserted: func() { commits.Add(1) }})
	before, began := commits.Load(), time.Now()
	for life := int64(1); time.Since(began) < 5*linger; life++ {
		f.ChannelOpened(opening(life))
		time.Sleep(100 * time.Microsecond)
	}
	made := commits.Load() - before
	if most := int64(2*time.Since(began)/linger) + 1; made == 0 || made > most {
		t.Errorf("%d commits in %v, want 1 to %d", made, time.Since(began), most)
	}
}

// An ending that comes while its beginning is being committed is a row of its own; and the one that comes after a
// rejected beginning is rejected too.
func TestEndingDuringTheCommitOfItsBeginning(t *testing.T) {
	var f fixture
	id := newID()
	ended := make(chan *store.Commit, 1)
	endIt, armed := once(func() {
		f.ChannelClosed(closing(1))
		ended <- f.ExchangeEnded(end(id, "delivered"))
	})
	f = start(t, tempPath(t), store.Config{}, store.Limits{Linger: time.Hour, Inserted: endIt})
	armed.Store(true)
	f.ChannelOpened(opening(1))
	begun := f.ExchangeMatched(match(id))
	wait(t, begun)
	wait(t, <-ended)
	wantOne(t, f.path, "1|1|1|1|0", rowsOfEachTable)
	wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges")

	wantFailed(t, f.ExchangeMatched(match(id)))
	wantFailed(t, f.ExchangeEnded(end(id, "delivered")))
	if f.Lost() != 2 || f.Err() != nil {
		t.Errorf("%d rows were lost, and Err is %v; want 2 and nil", f.Lost(), f.Err())
	}
}

// TestSyncReturnsFailure checks that Sync does not wait for rows that cannot be written.
func TestSyncReturnsFailure(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Busy: time.Millisecond})
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	release := holdLock(t, f.path)
	defer release()
	f.ExchangeMatched(match(newID()))
	if err := f.Sync(); err == nil {
		t.Error("Sync returned nil though nothing can be written")
	}
}

// What has ended is forgotten, whether its ending comes before the writer has taken the beginning, while it writes it, or later.
func TestEndedThingsAreForgotten(t *testing.T) {
	var duringCommit func()
	hook, armed := once(func() { duringCommit() })
	f := start(t, tempPath(t), store.Config{}, store.Limits{Linger: time.Hour, Inserted: hook})
	wait(t, f.life(1, noon, nil))

	f.ChannelOpened(opening(2))
	m := match(newID())
	m.Life = 2
	var ended *store.Commit
	duringCommit = func() {
		ended = f.ExchangeEnded(end(m.ID, "delivered"))
		f.ChannelClosed(closing(2))
	}
	armed.Store(true)
	wait(t, f.ExchangeMatched(m))
	wait(t, ended)

	m = match(newID())
	wait(t, f.ExchangeMatched(m))
	if n := f.Begun(); n != 1 {
		t.Errorf("%d things have begun and not ended, want the last exchange", n)
	}
	wait(t, f.ExchangeEnded(end(m.ID, "delivered")))
	if n := f.Begun(); n != 0 {
		t.Errorf("%d things have begun and not ended, want none", n)
	}
	wantOne(t, f.path, "1|1|3|2|0", rowsOfEachTable)
}
