package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

// call records a request to a service, delivered at that time, and returns its id.
func (f fixture) call(t *testing.T, at time.Time) (id string) {
	t.Helper()
	m := match(idAt(at))
	m.At, m.Life, m.Method = at, 0, "PATCH"
	f.ExchangeMatched(m)
	wait(t, f.ExchangeEnded(store.ExchangeEnd{ID: m.ID, At: at.Add(time.Second), Outcome: store.Delivered}))
	return m.ID
}

// TestCalls: a call is on record from its request to the end of its answer, in one view, and so are its exchanges.
func TestCalls(t *testing.T) {
	f := open(t)
	id := f.call(t, noon)
	wantOne(t, f.path, "v1|work|PATCH|open|NULL|2026-02-03T11:59:58.623Z|2026-02-03T12:00:00.123Z|NULL|NULL",
		"SELECT namespace, service, method, outcome, status, called_at, taken_at, answered_at, ended_at FROM calls WHERE id = ?", id)

	answer := match(idAt(noon.Add(3 * time.Second)))
	answer.ReplyTo = id
	f.ExchangeMatched(answer)
	f.ExchangeEnded(end(answer.ID, "delivered"))
	f.CallEnded(store.CallEnd{ID: id, At: noon.Add(4 * time.Second), Outcome: "answered", Status: 404, AnsweredAt: noon.Add(3 * time.Second)})
	unanswered := f.call(t, noon)
	f.CallEnded(store.CallEnd{ID: unanswered, At: noon.Add(time.Minute), Outcome: "unanswered"})
	channel, commit := f.exchange("delivered")
	wait(t, commit)
	wantOne(t, f.path, "answered|404|2026-02-03T12:00:03.123Z|2026-02-03T12:00:04.123Z|192.0.2.1|2001:db8::1",
		"SELECT outcome, status, answered_at, ended_at, caller_addr, worker_addr FROM calls WHERE id = ?", id)
	wantOne(t, f.path, "unanswered|NULL|NULL", "SELECT outcome, status, answered_at FROM calls WHERE id = ?", unanswered)
	for _, test := range [][2]string{{id, "service|NULL"}, {answer.ID, "service|" + id}, {channel, "channel|NULL"}} {
		wantOne(t, f.path, test[1], "SELECT shape, reply_to FROM exchanges WHERE id = ?", test[0])
	}
	wantOne(t, f.path, "2", "SELECT count(*) FROM calls")
	mustClose(t, f)
	report, err := store.Check(t.Context(), f.path)
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("the log has problems: %q, %v", report.Problems, err)
	}
}

// TestCallsInterrupted: the next start ends the calls that a crash left open, also those whose request had been delivered.
func TestCallsInterrupted(t *testing.T) {
	f := open(t)
	delivered := f.call(t, time.Now())
	sent := match(newID())
	sent.Method, sent.Life = "GET", 0
	wait(t, f.ExchangeMatched(sent))
	ended := f.call(t, time.Now())
	f.CallEnded(store.CallEnd{ID: ended, At: time.Now(), Outcome: "left"})
	_, commit := f.exchange("delivered")
	wait(t, commit)
	mustClose(t, f) // records as interrupted what is open, as the start after a crash does
	wantOne(t, f.path, "3", "SELECT count(*) FROM calls WHERE ended_at IS NOT NULL")
	for id, want := range map[string]string{delivered: "interrupted|delivered", sent.ID: "interrupted|interrupted", ended: "left|delivered"} {
		wantOne(t, f.path, want, "SELECT c.outcome, e.outcome FROM calls c JOIN exchanges e USING (id) WHERE id = ?", id)
	}
}

// TestCallsRetention: a request is kept as long as its call.
func TestCallsRetention(t *testing.T) {
	path := tempPath(t)
	now := time.Now()
	old := now.Add(-100 * 24 * time.Hour)
	f := start(t, path, store.Config{}, store.Limits{})
	gone, long := f.call(t, old), f.call(t, old)
	f.CallEnded(store.CallEnd{ID: gone, At: old.Add(time.Minute), Outcome: "unanswered"})
	f.CallEnded(store.CallEnd{ID: long, At: now, Outcome: "answered", Status: 200, AnsweredAt: old})
	_, commit := f.exchange("delivered")
	wait(t, commit)
	mustClose(t, f)
	f = start(t, path, store.Config{Retention: 90 * 24 * time.Hour}, store.Limits{})
	eventually(t, "old rows are removed", func() bool { return strings.Contains(f.logged.String(), "removed old rows") })
	wantOne(t, path, long, "SELECT id FROM calls")
	wantOne(t, path, "1", "SELECT count(*) FROM call")
}

// TestCallsAppendOnly: the end of a call is recorded once, for a request that is there, and is deleted with it alone.
func TestCallsAppendOnly(t *testing.T) {
	f := open(t)
	id := f.call(t, noon)
	open := f.call(t, noon)
	f.CallEnded(store.CallEnd{ID: id, At: noon, Outcome: "unanswered"})
	channel, commit := f.exchange("delivered")
	wait(t, commit)
	mustClose(t, f)
	execute(t, f.path, fmt.Sprintf("INSERT INTO cutoff VALUES (%d, 0)", noon.Add(time.Hour).UnixMilli()))
	other := db(t, f.path)
	for _, statement := range []string{
		"UPDATE call SET outcome = 'answered'",
		"DELETE FROM call",
		"INSERT OR REPLACE INTO call SELECT * FROM call",
		"INSERT OR IGNORE INTO call SELECT * FROM call",
		"INSERT INTO call VALUES ('nothing', 'left', NULL, NULL, 1)",
		"INSERT INTO call VALUES ('" + channel + "', 'left', NULL, NULL, 1)",
		"INSERT INTO call VALUES ('" + open + "', 'left', 200, NULL, 1)",
		"DELETE FROM exchange WHERE id = '" + open + "'", // ended at Close, behind the cutoff
	} {
		if _, err := other.Exec(statement); !rejected(err) {
			t.Errorf("error %v, want a rejection by the schema: %s", err, statement)
		}
	}
	execute(t, f.path, "DELETE FROM exchange WHERE id = '"+id+"'")
	wantOne(t, f.path, "0", "SELECT count(*) FROM call WHERE id = ?", id)
}

// TestCallsLost: if the beginning of a call is lost, its end is lost too, and counted.
func TestCallsLost(t *testing.T) {
	f := start(t, tempPath(t), store.Config{}, store.Limits{Queued: 2})
	release := holdLock(t, f.path)
	f.RequestUnmatched(store.Request{Role: "consumer", Outcome: "left", Arrived: noon, Ended: noon})
	f.ExchangeMatched(match(newID())) // fills the room
	lost := match(newID())
	lost.Method = "GET"
	if err := f.ExchangeMatched(lost).Wait(); err == nil {
		t.Fatal("there is room for more rows than allowed")
	}
	release()
	eventually(t, "the rows are written", func() bool { return f.Sync() == nil })
	before := f.Lost()
	f.ExchangeEnded(end(lost.ID, "delivered"))
	f.CallEnded(store.CallEnd{ID: lost.ID, At: noon, Outcome: "unanswered"})
	if got := f.Lost() - before; got != 2 {
		t.Errorf("%d rows more are lost, want 2", got)
	}
	_, commit := f.exchange("delivered")
	wait(t, commit)
	wantOne(t, f.path, "0", "SELECT count(*) FROM call")
}
