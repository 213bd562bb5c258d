package store_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"httpipe/store"
)

// wantUnrecorded checks that the file has the failed exchange once, and not as delivered.
func wantUnrecorded(t *testing.T, f fixture, id string) {
	t.Helper()
	wantOne(t, f.path, "unrecorded", "SELECT outcome FROM exchanges WHERE id = ?", id)
}

func wantFailed(t *testing.T, commit *store.Commit) {
	t.Helper()
	if commit.Wait() == nil {
		t.Error("Wait returned nil, want an error")
	}
}

func (f fixture) waitUntilWritable(t *testing.T) {
	t.Helper()
	eventually(t, "the log can be written again", func() bool { return f.Err() == nil })
}

func (f fixture) waitUntilFailing(t *testing.T) {
	t.Helper()
	eventually(t, "the log is failing", func() bool { return f.Err() != nil })
}

func TestLockedByAnotherProcess(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Commit: 10 * time.Second, Busy: 100 * time.Millisecond})
	release := holdLock(t, f.path)
	began := time.Now()
	id, commit := f.exchange("delivered")
	wantFailed(t, commit)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the commit failed after %v", took)
	}
	if err := f.Err(); err == nil || !strings.Contains(err.Error(), f.path) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("Err is %v, want one that names the file and the reason", err)
	}
	// Rows that arrive during the outage fail at once, whatever their outcome, and are kept.
	began = time.Now()
	second, commit := f.exchange("delivered")
	wantFailed(t, commit)
	third, commit := f.exchange("consumer_left")
	wantFailed(t, commit)
	if took := time.Since(began); took > time.Second {
		t.Errorf("commits during the outage failed after %v", took)
	}
	release()
	f.waitUntilWritable(t)
	wantUnrecorded(t, f, id)
	wantUnrecorded(t, f, second)
	wantOne(t, f.path, "consumer_left", "SELECT outcome FROM exchanges WHERE id = ?", third)

	fourth, commit := f.exchange("delivered")
	wait(t, commit)
	wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", fourth)
	if f.Lost() != 0 {
		t.Errorf("%d rows were lost, want none", f.Lost())
	}
	for _, line := range []string{"the audit log is failing", "the audit log can be written again"} {
		if n := strings.Count(f.logged.String(), line); n != 1 {
			t.Errorf("%q was logged %d times, want once", line, n)
		}
	}
}

// A short lock only delays the commit.
func TestLockedForAMoment(t *testing.T) {
	f := open(t)
	release := holdLock(t, f.path)
	id, commit := f.exchange("delivered")
	release()
	wait(t, commit)
	wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
	if f.Err() != nil {
		t.Errorf("Err is %v", f.Err())
	}
}

// Wait fails before the commit does. The row must not say later what the producer was not told.
func TestTimedOutRowIsNotDelivered(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Commit: 50 * time.Millisecond, Busy: time.Minute})
	release := holdLock(t, f.path)
	id, commit := f.exchange("delivered")
	began := time.Now()
	err := commit.Wait()
	if err == nil || !strings.Contains(err.Error(), "took over 50ms") {
		t.Errorf("Wait returned %v, want a timeout", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Wait took %v", took)
	}
	if f.Err() == nil {
		t.Error("Err is nil though a commit has timed out")
	}
	release()
	f.waitUntilWritable(t) // ended by the commit that was blocked
	wantUnrecorded(t, f, id)
	if again := commit.Wait(); again != err {
		t.Errorf("a second Wait returned %v, the first %v", again, err)
	}
}

// once returns a function that calls do the first time it is called after armed is set.
func once(do func()) (hook func(), armed *atomic.Bool) {
	armed = new(atomic.Bool)
	return func() {
		if armed.CompareAndSwap(true, false) {
			do()
		}
	}, armed
}

// Rows that fail after they were inserted as delivered are inserted again.
func TestTimeoutBeforeCommit(t *testing.T) {
	inserting, given := make(chan struct{}), make(chan struct{})
	hook, armed := once(func() { close(inserting); <-given })
	f := start(t, tempPath(t), store.Config{}, store.Limits{Commit: 50 * time.Millisecond, Inserted: hook})
	release := holdLock(t, f.path)
	armed.Store(true)
	id, commit := f.exchange("delivered")
	release()
	<-inserting
	wantFailed(t, commit)
	close(given)
	f.waitUntilWritable(t)
	wantUnrecorded(t, f, id)
}

// Rows that arrive between two attempts of an outage fail at once.
func TestOutageIsKnownAtOnce(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Commit: time.Minute, Busy: time.Millisecond, Backoff: time.Hour})
	release := holdLock(t, f.path)
	_, commit := f.exchange("delivered")
	wantFailed(t, commit)
	began := time.Now()
	id, commit := f.exchange("delivered")
	wantFailed(t, commit)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the commit failed after %v", took)
	}
	release()
	mustClose(t, f) // Close tries once more
	wantUnrecorded(t, f, id)
}

// Rows that arrive while the commit is made that ends an outage are held back no longer than others.
func TestRowsDuringTheLastCommitOfAnOutage(t *testing.T) {
	var f fixture
	var armed atomic.Bool
	f = start(t, tempPath(t), store.Config{}, store.Limits{Busy: time.Millisecond, Idle: time.Hour, Committing: func() {
		if armed.CompareAndSwap(true, false) {
			f.exchange("consumer_left")
		}
	}})
	release := holdLock(t, f.path)
	began := time.Now()
	_, commit := f.exchange("delivered")
	wantFailed(t, commit)
	eventually(t, "the time is over for which the first rows may be held back", func() bool { return time.Since(began) > 200*time.Millisecond })
	armed.Store(true)
	release()
	f.waitUntilWritable(t)
	eventually(t, "both exchanges are in the file", func() bool { return one(t, f.path, "SELECT count(*) FROM exchanges") == "2" })
}

// An exchange that was matched during an outage and ends after it is recorded as delivered: the match has failed, its ending has not.
func TestEndingAfterTheOutageOfItsBeginning(t *testing.T) {
	var f fixture
	id := newID()
	matched := make(chan *store.Commit, 1)
	matchIt, armed := once(func() { matched <- f.ExchangeMatched(match(id)) }) // too late for this commit, which ends the outage
	f = start(t, tempPath(t), store.Config{}, store.Limits{Linger: time.Hour, Busy: time.Millisecond, Idle: time.Hour, Committing: matchIt})
	release := holdLock(t, f.path)
	_, commit := f.exchange("delivered")
	wantFailed(t, commit)
	armed.Store(true)
	release()
	f.waitUntilWritable(t)
	wantFailed(t, <-matched)
	wait(t, f.ExchangeEnded(end(id, "delivered")))
	wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
	if f.Lost() != 0 {
		t.Errorf("%d rows were lost, want none", f.Lost())
	}
}

// Without OutcomeIfFailed a row keeps its outcome.
func TestFailedCommitKeepsOutcome(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Busy: time.Millisecond})
	release := holdLock(t, f.path)
	delivered := func() (id string, commit *store.Commit) {
		id = newID()
		f.ExchangeMatched(match(id))
		return id, f.ExchangeEnded(store.ExchangeEnd{ID: id, At: noon, Outcome: "delivered"})
	}
	id, commit := delivered()
	wantFailed(t, commit)
	late, _ := delivered()
	release()
	f.waitUntilWritable(t)
	wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
	wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", late)
}

func TestMemoryIsBounded(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Busy: time.Millisecond, Queued: 10})
	id := newID()
	wait(t, f.ExchangeMatched(match(id)))
	release := holdLock(t, f.path)
	wantFailed(t, f.ExchangeMatched(match(newID())))
	for range 20 {
		f.RequestUnmatched(store.Request{Namespace: "v1", Role: "producer", Outcome: "refused"})
	}
	if lost := f.Lost(); lost != 16 {
		t.Errorf("%d requests were lost, want 16: they may fill half of the room", lost)
	}
	for range 5 {
		f.ExchangeMatched(match(newID()))
	}
	// There is no room for this beginning, so its ending must not be recorded later.
	dropped := newID()
	wantFailed(t, f.ExchangeMatched(match(dropped)))
	f.ChannelOpened(store.Life{ID: 1})
	release()
	f.waitUntilWritable(t)
	wantFailed(t, f.ExchangeEnded(end(dropped, "delivered")))
	f.ChannelClosed(store.LifeEnd{ID: 1, Reason: "idle"})
	wait(t, f.ExchangeEnded(end(id, "delivered")))
	if lost := f.Lost(); lost != 20 {
		t.Errorf("%d rows were lost, want 20", lost)
	}
	if strings.Contains(f.logged.String(), "bug") {
		t.Error("the database rejected a row")
	}
	wantOne(t, f.path, "7|4", "SELECT (SELECT count(*) FROM exchanges), (SELECT count(*) FROM requests)")
	mustClose(t, f)
	wantOne(t, f.path, "6|1", "SELECT count(*) FILTER (WHERE outcome = 'interrupted'), count(*) FILTER (WHERE outcome = 'delivered') FROM exchanges")
	wantOne(t, f.path, "20", "SELECT lost FROM runs")
}

// If the database rejects a row, the other rows of the transaction are committed.
func TestRejectedRow(t *testing.T) {
	f := open(t)
	first, commit := f.exchange("delivered")
	wait(t, commit)

	release := holdLock(t, f.path) // so that all rows are in one transaction
	good, goodCommit := f.exchange("delivered")
	again := f.ExchangeEnded(end(first, "deleted"))
	double := f.ExchangeMatched(match(good))
	nothing := f.ExchangeEnded(end(newID(), "delivered"))
	last, lastCommit := f.exchange("delivered")
	release()

	wait(t, goodCommit)
	wait(t, lastCommit)
	wantFailed(t, again)
	wantFailed(t, double)
	wantFailed(t, nothing)
	if f.Err() != nil {
		t.Errorf("Err is %v, want nil: a rejected row is no outage", f.Err())
	}
	if f.Lost() != 3 {
		t.Errorf("Lost is %d, want 3", f.Lost())
	}
	if n := strings.Count(f.logged.String(), "rejected a row; this is a bug"); n != 3 {
		t.Errorf("%d rejected rows were logged, want 3", n)
	}
	for _, id := range []string{first, good, last} {
		wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
	}
}

// A row that the database has rejected is lost once, also if the transaction fails after that.
func TestRejectedRowBeforeAnOutage(t *testing.T) {
	f := open(t)
	other := db(t, f.path)
	if _, err := other.Exec("CREATE TRIGGER broken BEFORE INSERT ON request BEGIN SELECT no_such_function(); END"); err != nil {
		t.Fatal(err)
	}
	release := holdLock(t, f.path) // so that both rows are in one transaction
	nothing := f.ExchangeEnded(end(newID(), "delivered"))
	f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "work", Role: "consumer", Outcome: "left", Arrived: noon, Ended: noon})
	release()
	wantFailed(t, nothing)
	f.waitUntilFailing(t)
	if _, err := other.Exec("DROP TRIGGER broken"); err != nil {
		t.Fatal(err)
	}
	f.waitUntilWritable(t)
	if n := strings.Count(f.logged.String(), "rejected a row; this is a bug"); n != 1 || f.Lost() != 1 {
		t.Errorf("%d rejected rows were logged and %d were lost, want 1", n, f.Lost())
	}
	wantOne(t, f.path, "1", "SELECT count(*) FROM requests")
}
