package store_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"httpipe/store"
)

// wantUnrecorded checks that a failed exchange is in the file once, and not as delivered.
func wantUnrecorded(t *testing.T, f fixture, id string) {
	t.Helper()
	wantOne(t, f.path, "unrecorded", "SELECT outcome FROM exchanges WHERE id = ?", id)
}

func wantFailed(t *testing.T, commit *store.Commit) {
	t.Helper()
	if commit.Wait() == nil {
		t.Error("a row was acknowledged that is not on disk")
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
		t.Errorf("it took %v to notice", took)
	}
	if err := f.Err(); err == nil || !strings.Contains(err.Error(), f.path) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("Err is %v, want one that names the file and the reason", err)
	}
	// What comes during the outage fails at once, whatever the outcome, and is kept.
	began = time.Now()
	second, commit := f.exchange("delivered")
	wantFailed(t, commit)
	third, commit := f.exchange("consumer_left")
	wantFailed(t, commit)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v to say what was known already", took)
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

// A short lock is waited for, and nobody notices.
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

// Wait gives up before the writer does. What the file says later must not be what the producer was not told.
func TestGivenUpRowIsNotDelivered(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Commit: 50 * time.Millisecond, Busy: time.Minute})
	release := holdLock(t, f.path)
	id, commit := f.exchange("delivered")
	began := time.Now()
	err := commit.Wait()
	if err == nil || !strings.Contains(err.Error(), "took over 50ms") {
		t.Errorf("Wait returned %v, want that it took too long", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Wait took %v", took)
	}
	if f.Err() == nil {
		t.Error("Err does not say that commits take too long")
	}
	release()
	f.waitUntilWritable(t) // by the commit that was under way
	wantUnrecorded(t, f, id)
	if again := commit.Wait(); again != err {
		t.Errorf("a second Wait returned %v, the first %v", again, err)
	}
}

// once returns a function that does something the first time it is called after being armed.
func once(do func()) (hook func(), armed *atomic.Bool) {
	armed = new(atomic.Bool)
	return func() {
		if armed.CompareAndSwap(true, false) {
			do()
		}
	}, armed
}

// Rows are given up after they were inserted as delivered: they are inserted again.
func TestGivenUpBeforeCommit(t *testing.T) {
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

// Between two attempts of an outage nobody has to wait for the next one.
func TestOutageIsKnownAtOnce(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Commit: time.Minute, Busy: time.Millisecond, Backoff: time.Hour})
	release := holdLock(t, f.path)
	_, commit := f.exchange("delivered")
	wantFailed(t, commit)
	began := time.Now()
	id, commit := f.exchange("delivered")
	wantFailed(t, commit)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to say that the log is failing", took)
	}
	release()
	mustClose(t, f) // which tries once more
	wantUnrecorded(t, f, id)
}

// Without an OutcomeIfFailed a row keeps its outcome.
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
		t.Errorf("%d requests were lost, want 16: they may have half of the room", lost)
	}
	for range 5 {
		f.ExchangeMatched(match(newID()))
	}
	// There is no room for a beginning any more, and so its ending must not come in later.
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
		t.Error("a row was refused for its content")
	}
	wantOne(t, f.path, "7|4", "SELECT (SELECT count(*) FROM exchanges), (SELECT count(*) FROM requests)")
	mustClose(t, f)
	wantOne(t, f.path, "6|1", "SELECT count(*) FILTER (WHERE outcome = 'interrupted'), count(*) FILTER (WHERE outcome = 'delivered') FROM exchanges")
	wantOne(t, f.path, "20", "SELECT lost FROM runs")
}

// A row that the database refuses takes no other row with it.
func TestRefusedRow(t *testing.T) {
	f := open(t)
	first, commit := f.exchange("delivered")
	wait(t, commit)

	release := holdLock(t, f.path) // so that they all are in one transaction
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
		t.Errorf("Err is %v: a refused row is no outage", f.Err())
	}
	if f.Lost() != 3 {
		t.Errorf("Lost is %d, want 3", f.Lost())
	}
	if n := strings.Count(f.logged.String(), "rejected a row; this is a bug"); n != 3 {
		t.Errorf("%d refused rows were logged, want 3", n)
	}
	for _, id := range []string{first, good, last} {
		wantOne(t, f.path, "delivered", "SELECT outcome FROM exchanges WHERE id = ?", id)
	}
}
