package store_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"httpipe/migrations"
	"httpipe/store"
)

// The columns that are promised to users, in order.
const (
	exchangeColumns = "id, namespace, channel, outcome, bytes, content_type, matched_at, ended_at, duration_ms, producer_wait_ms, consumer_wait_ms, producer_addr, consumer_addr, producer_agent, consumer_agent"
	requestColumns  = "namespace, channel, role, outcome, arrived_at, ended_at, wait_ms, addr, agent"
	channelColumns  = "namespace, channel, opened_at, closed_at, reason, exchanges, bytes"
	runColumns      = "started_at, stopped_at, clean, version"
)

const whoWas = "1500|20|192.0.2.1|2001:db8::1|curl/8|wget"

func TestExchange(t *testing.T) {
	f := open(t)
	id := newID()
	wait(t, f.ExchangeMatched(match(id)))
	wantOne(t, f.path, id+"|v1|work|open|NULL|text/plain|2026-02-03T12:00:00.123Z|NULL|NULL|"+whoWas, "SELECT "+exchangeColumns+" FROM exchanges")

	wait(t, f.ExchangeEnded(end(id, "delivered")))
	wantOne(t, f.path, id+"|v1|work|delivered|42|text/plain|2026-02-03T12:00:00.123Z|2026-02-03T12:00:00.373Z|250|"+whoWas, "SELECT "+exchangeColumns+" FROM exchanges")
	wantOne(t, f.path, "1", "SELECT count(*) FROM exchange_end")
}

func TestExchangeOfOneBatchIsOneRow(t *testing.T) {
	f := open(t)
	id, commit := f.exchange("delivered")
	other := newID()
	f.ExchangeMatched(match(other))
	wait(t, commit)
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	wantOne(t, f.path, id+"|v1|work|delivered|42|text/plain|2026-02-03T12:00:00.123Z|2026-02-03T12:00:00.373Z|250|"+whoWas, "SELECT "+exchangeColumns+" FROM exchanges WHERE id = ?", id)
	wantOne(t, f.path, "open", "SELECT outcome FROM exchanges WHERE id = ?", other)
	wantOne(t, f.path, "0", "SELECT count(*) FROM exchange_end")
}

func TestRequest(t *testing.T) {
	f := open(t)
	f.RequestUnmatched(store.Request{
		Namespace: "v1", Channel: "work", Role: "consumer", Outcome: "timed_out",
		Arrived: noon, Ended: noon.Add(25 * time.Second), Client: store.Client{Addr: "192.0.2.1", Agent: "curl/8"},
	})
	f.RequestUnmatched(store.Request{Namespace: "v1", Channel: "work", Role: "producer", Outcome: "left", Arrived: noon, Ended: noon})
	mustClose(t, f)
	got := query(t, f.path, "SELECT "+requestColumns+" FROM requests ORDER BY id")
	want := []string{
		"v1|work|consumer|timed_out|2026-02-03T12:00:00.123Z|2026-02-03T12:00:25.123Z|25000|192.0.2.1|curl/8",
		"v1|work|producer|left|2026-02-03T12:00:00.123Z|2026-02-03T12:00:00.123Z|0||",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("requests:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRequestIDsAndCount(t *testing.T) {
	f := open(t)
	m := match(newID())
	m.Producer.RequestID, m.Consumer.RequestID = "01J-fra", "abc"
	f.RequestUnmatched(store.Request{Role: "producer", Outcome: "refused", Arrived: noon, Ended: noon, Count: 17, Client: store.Client{RequestID: "02J-fra"}})
	wait(t, f.ExchangeMatched(m))
	wantOne(t, f.path, "01J-fra|abc", "SELECT producer_request_id, consumer_request_id FROM exchanges")
	wantOne(t, f.path, "02J-fra|17", "SELECT request_id, count FROM requests")
}

func TestSubjectsAndReason(t *testing.T) {
	f := open(t)
	m := match(newID())
	m.Producer.Subject, m.Consumer.Subject = "ci\xff", strings.Repeat("x", 300)
	f.RequestUnmatched(store.Request{Outcome: "refused", Reason: "look: expired", Arrived: noon, Ended: noon, Client: store.Client{Subject: "me"}})
	wait(t, f.ExchangeMatched(m))
	wantOne(t, f.path, "ci\uFFFD|256", "SELECT producer_subject, length(consumer_subject) FROM exchanges")
	wantOne(t, f.path, "|look: expired|me", "SELECT role, reason, subject FROM requests")
}

// emptyLog returns the path of a log of that version without rows.
func emptyLog(t *testing.T, version int) string {
	t.Helper()
	path := tempPath(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range migrations.Steps()[:version] {
		execute(t, path, step.SQL)
	}
	execute(t, path, fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", store.ApplicationID, version))
	return path
}

// TestUpgrade checks that a log of every earlier version is migrated without loss.
func TestUpgrade(t *testing.T) {
	for version := 1; version < len(migrations.Steps()); version++ {
		path := emptyLog(t, version)
		execute(t, path, `
			INSERT INTO run (id, started_at, version) VALUES (1, 0, 'old'); INSERT INTO run_end VALUES (1, 5, 0);
			INSERT INTO exchange (id, life, namespace, channel, content_type, matched_at, producer_wait_ms, consumer_wait_ms,
				producer_addr, consumer_addr, producer_agent, consumer_agent, outcome, bytes, ended_at)
				VALUES ('old', 1, 'v1', 'work', '', 0, 0, 0, '', '', '', '', 'delivered', 7, 1);
			INSERT INTO request (id, namespace, channel, role, outcome, arrived_at, ended_at, addr, agent)
				VALUES (1, 'v1', 'work', 'consumer', 'left', 0, 0, '', '')`)
		f := start(t, path, store.Config{}, store.Limits{})
		_, commit := f.exchange("delivered")
		wait(t, commit)
		wantOne(t, path, "delivered|7||", "SELECT outcome, bytes, producer_request_id, consumer_subject FROM exchanges WHERE id = 'old'")
		wantOne(t, path, "left||1||", "SELECT outcome, request_id, count, subject, reason FROM requests")
		wantOne(t, path, "2", "SELECT count(*) FROM exchanges")
	}
}

func TestChannel(t *testing.T) {
	f := open(t)
	opened := time.Now().UTC().Truncate(time.Millisecond)
	text := opened.Format("2006-01-02T15:04:05.000Z")

	// The counts of an open life come from its exchanges, one of which has ended.
	f.ChannelOpened(store.Life{ID: 1, Namespace: "v1", Channel: "work", At: opened})
	_, commit := f.exchange("delivered")
	wait(t, commit)
	wait(t, f.ExchangeMatched(match(newID())))
	wantOne(t, f.path, "v1|work|"+text+"|NULL|NULL|2|42", "SELECT "+channelColumns+" FROM channels")

	f.ChannelClosed(store.LifeEnd{ID: 1, At: opened.Add(time.Second), Reason: "deleted", Exchanges: 7, Bytes: 99})
	later := opened.Add(time.Second).Format("2006-01-02T15:04:05.000Z")
	wait(t, f.ExchangeMatched(match(newID()))) // rows are written in order, so the closing is in the file too
	wantOne(t, f.path, "v1|work|"+text+"|"+later+"|deleted|7|99", "SELECT "+channelColumns+" FROM channels")
	wantOne(t, f.path, "1", "SELECT count(*) FROM life_end")

	release := holdLock(t, f.path)
	f.ChannelOpened(store.Life{ID: 2, Namespace: "v1", Channel: "brief", At: opened})
	f.ChannelClosed(store.LifeEnd{ID: 2, At: opened.Add(time.Second), Reason: "idle", Exchanges: 0, Bytes: 0})
	last := f.ExchangeMatched(match(newID()))
	release()
	wait(t, last)
	wantOne(t, f.path, "v1|brief|"+text+"|"+later+"|idle|0|0", "SELECT "+channelColumns+" FROM channels WHERE channel = 'brief'")
	wantOne(t, f.path, "1", "SELECT count(*) FROM life_end")
}

func TestRuns(t *testing.T) {
	f := open(t)
	wantOne(t, f.path, "1|NULL|NULL|v1.2.3", "SELECT started_at GLOB '20??-??-??T??:??:??.???Z', stopped_at, clean, version FROM runs")
	mustClose(t, f)
	wantOne(t, f.path, "1|1|v1.2.3|0", "SELECT stopped_at >= started_at, clean, version, lost FROM runs")
	mustClose(t, f) // a second time

	f = start(t, f.path, store.Config{}, store.Limits{})
	mustClose(t, f)
	wantOne(t, f.path, "2|2|2", "SELECT count(*), sum(clean), max(id) FROM runs")
	wantOne(t, f.path, "0", "SELECT count(*) FROM cutoffs")
}

func TestViewsHaveThePromisedColumnsFirst(t *testing.T) {
	f := open(t)
	for view, want := range map[string]string{"exchanges": exchangeColumns, "requests": requestColumns, "channels": channelColumns, "runs": runColumns} {
		got := query(t, f.path, "SELECT name FROM pragma_table_info(?)", view)
		if !strings.HasPrefix(strings.Join(got, ", "), want) {
			t.Errorf("%s has the columns %q, want %q first", view, got, want)
		}
	}
}

func TestTextIsMadeValidAndShort(t *testing.T) {
	f := open(t)
	m := match(newID())
	m.Producer.Agent = strings.Repeat("x", 255) + "é" // the limit is inside the last character
	m.Consumer.Agent = "bad \xff byte"
	m.ContentType = strings.Repeat("y", 10_000)
	wait(t, f.ExchangeMatched(m))
	wantOne(t, f.path, strings.Repeat("x", 255)+"|bad \uFFFD byte|"+strings.Repeat("y", 256), "SELECT producer_agent, consumer_agent, content_type FROM exchanges")
}

// Queries for one exchange or the newest ones must be quick, however large the log is.
func TestViewsUseThePrimaryKeys(t *testing.T) {
	f := open(t)
	for _, q := range []string{
		"SELECT * FROM exchanges WHERE id = 'x'",
		"SELECT * FROM exchanges ORDER BY id DESC LIMIT 10",
		"SELECT * FROM requests ORDER BY id DESC LIMIT 10",
		"SELECT * FROM lives_with_row ORDER BY id DESC LIMIT 10",
		"SELECT * FROM lives_in_exchange ORDER BY exchange DESC LIMIT 10",
		"SELECT * FROM runs ORDER BY id DESC LIMIT 10",
	} {
		plan := strings.Join(query(t, f.path, "EXPLAIN QUERY PLAN "+q), "\n")
		if strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "MATERIALIZE") || strings.Contains(plan, "AUTOMATIC") ||
			strings.Contains(q, "WHERE") && strings.Contains(plan, "SCAN") {
			t.Errorf("%s does not use the primary key:\n%s", q, plan)
		}
	}
}

func TestAfterClose(t *testing.T) {
	f := open(t)
	mustClose(t, f)
	_, commit := f.exchange("delivered")
	if err := commit.Wait(); err == nil {
		t.Error("Wait returned nil on a closed log")
	}
	if f.Err() == nil {
		t.Error("Err is nil on a closed log")
	}
	if f.Lost() != 2 {
		t.Errorf("Lost is %d, want 2", f.Lost())
	}
	wantOne(t, f.path, "0", "SELECT count(*) FROM exchanges")
}

// Close records an ending for every beginning, even if the caller did not.
func TestCloseLeavesNothingOpen(t *testing.T) {
	f := open(t)
	f.ChannelOpened(store.Life{ID: 1, Namespace: "v1", Channel: "work", At: time.Now()})
	f.ExchangeMatched(match(newID()))
	mustClose(t, f)
	wantOne(t, f.path, "interrupted", "SELECT outcome FROM exchanges")
	wantOne(t, f.path, "interrupted|1|0", "SELECT reason, exchanges, bytes FROM channels")
}
