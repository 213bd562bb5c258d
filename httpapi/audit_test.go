package httpapi

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/store"
	"httpipe/test/rawhttp"
)

// What goes into the audit log, and what does not happen without it.

// An audited relay has an audit log.
type audited struct {
	*testServer
	path string
	db   *sql.DB // the log's file, as another program opens it
}

func startAudited(t *testing.T, changes ...func(*Config)) *audited {
	t.Helper()
	a := &audited{path: filepath.Join(t.TempDir(), "audit.db")}
	quiet := &rawhttp.Journal{} // of the outages that the test makes
	var log *store.Log
	open := func(c *Config) {
		var err error
		log, err = store.Open(store.Config{Path: a.path, Logger: slog.New(quiet)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { log.Close() })
		c.Log = log
	}
	a.testServer = start(t, append(changes, open)...)
	var err error
	if a.db, err = sql.Open("sqlite3", "file:"+a.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.db.Close() })
	return a
}

// rows returns what a query finds, a line each, as soon as there are n.
func (a *audited) rows(n int, query string) []string {
	a.t.Helper()
	var lines []string
	eventually(a.t, patience, fmt.Sprintf("%d rows of %s", n, query), func() bool {
		var err error
		if lines, err = read(a.db, query); err != nil {
			a.t.Fatal(err)
		}
		return len(lines) == n
	})
	return lines
}

func read(db *sql.DB, query string) (lines []string, err error) {
	rows, err := db.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	for rows.Next() {
		values := make([]any, len(columns))
		pointers := make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			return nil, err
		}
		line := fmt.Sprintln(values...)
		lines = append(lines, line[:len(line)-1])
	}
	return lines, rows.Err()
}

// lock keeps all others from writing to the log, until unlock.
func (a *audited) lock() (unlock func()) {
	a.t.Helper()
	conn, err := a.db.Conn(context.Background())
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := conn.ExecContext(context.Background(), "PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE"); err != nil {
		a.t.Fatal(err)
	}
	return func() {
		conn.ExecContext(context.Background(), "ROLLBACK")
		conn.Close()
	}
}

// fail takes the log away, until recover or the end of the test.
func (a *audited) fail() {
	a.t.Helper()
	if err := os.Rename(a.path, a.path+".away"); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { os.Rename(a.path+".away", a.path) })
	eventually(a.t, patience, "the log fails", func() bool { return a.config.Log.Err() != nil })
}

func (a *audited) recover() {
	a.t.Helper()
	if err := os.Rename(a.path+".away", a.path); err != nil {
		a.t.Fatal(err)
	}
	eventually(a.t, patience, "the log is well", func() bool { return a.config.Log.Err() == nil })
}

func TestTheRecordComesBeforeThe200(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	unlock := r.lock()
	p := r.dial().Post(here, "hello", "Accept: application/json", "User-Agent: sender/1", "Content-Type: text/x")
	r.Waiting(1, 0)
	r.dial().Get(here, "User-Agent: taker/2").Answer().Got("hello") // a consumer never waits for a commit
	p.Unanswered()
	unlock()
	a := p.Answer().Is(200)
	// It is there already.
	got, err := read(r.db, `SELECT id, namespace, channel, outcome, bytes, content_type, matched_at, ended_at, duration_ms >= 0,
		producer_wait_ms >= 0, consumer_wait_ms >= 0, producer_addr, consumer_addr, producer_agent, consumer_agent FROM exchanges`)
	var receipt reply.Receipt
	if err := json.Unmarshal([]byte(a.Text), &receipt); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%s n c delivered 5 text/x %s %s 1 1 1 127.0.0.1 127.0.0.1 sender/1 taker/2",
		a.Header.Get(reply.HeaderExchange), receipt.MatchedAt, *receipt.EndedAt)
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("the record is %q, %v, want\n%q", got, err, want)
	}
	if got := r.rows(1, "SELECT namespace, channel, reason, exchanges, bytes FROM channels WHERE closed_at NOT NULL"); got[0] != "n c idle 1 5" {
		t.Errorf("the channel's record is %q", got)
	}
}

// A commit that takes too long counts as failed: there is no 200, and no `delivered` on record either.
func TestUnrecorded(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	unlock := r.lock()
	p := r.dial().Post(here, "hello")
	began := time.Now()
	r.dial().Get(here).Answer().Got("hello")
	a := p.Answer().Failed(503, "audit_unavailable")
	if took := time.Since(began); took < 4*time.Second || took > 7*time.Second {
		t.Errorf("it took %v", took)
	}
	if a.Header.Get("Retry-After") == "" || a.Header.Get(reply.HeaderExchange) == "" {
		t.Errorf("the producer is told %v", a.Header)
	}
	unlock()
	r.rows(1, "SELECT id FROM exchanges WHERE outcome = 'unrecorded' AND bytes = 5")
	r.Ended(pipe.Unrecorded)
}

// Without a log that can be written there is no service. It comes back by itself.
func TestNoRecordNoService(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	r.fail()
	r.dial().Post(here, "hello").Answer().Failed(503, "audit_unavailable")
	uploads[0].send(r.dial(), here).Answer().Failed(503, "audit_unavailable")
	a := r.dial().Get(here).Answer().Failed(503, "audit_unavailable")
	if a.Text != "" || a.Header.Get("Retry-After") != "1" {
		t.Errorf("the consumer is told %q, Retry-After %q", a.Text, a.Header.Get("Retry-After"))
	}
	if a := r.dial().Get("/healthz").Answer().Failed(503, "audit_unavailable"); !strings.Contains(a.Text, r.path) {
		t.Errorf("the server's health is %q", a.Text)
	}
	r.Vanished()
	r.recover()
	r.dial().Get("/healthz").Answer().Is(200)
	p := r.dial().Post(here, "hello")
	r.dial().Get(here).Answer().Got("hello")
	p.Answer().Is(200)
}

// An exchange that runs as the log fails is relayed, and its producer told.
func TestTheLogFailsHalfway(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	p, body := r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	r.fail()
	p.Say(chunk("world") + chunk(""))
	reads(t, body, "world")
	if rest, err := io.ReadAll(body); err != nil {
		t.Errorf("the consumer's rest is %q, %v", rest, err)
	}
	p.Answer().Failed(503, "audit_unavailable")
	r.Ended(pipe.Unrecorded)
}

func TestStrict(t *testing.T) {
	t.Parallel()
	r := startAudited(t, func(c *Config) { c.Strict = true })
	unlock := r.lock()
	p := r.dial().Post(here, "hello")
	c := r.dial().Get(here)
	c.Unanswered() // not a byte passes before the match is on disk
	unlock()
	c.Answer().Got("hello")
	p.Answer().Is(200)

	unlock = r.lock()
	defer unlock()
	p = r.dial().Post(here, "hello")
	c = r.dial().Get(here)
	a := c.Answer().Failed(503, "audit_unavailable")
	if a.Text != "" {
		t.Errorf("the consumer is told %q", a.Text)
	}
	p.Answer().Failed(503, "audit_unavailable")
}

func TestBestEffort(t *testing.T) {
	t.Parallel()
	r := startAudited(t, func(c *Config) { c.BestEffort = true })
	r.fail()
	p := r.dial().Post(here, "hello")
	r.dial().Get(here).Answer().Got("hello")
	p.Answer().Is(200)
	r.dial().Get("/healthz").Answer().Is(200)
	r.Ended(pipe.Delivered)
}

// Every request that was let in and never matched has its row; one that was turned away for a mistake has none.
func TestRequestsThatNeverMatched(t *testing.T) {
	t.Parallel()
	r := startAudited(t, maxBody(10), silentFor(50*time.Millisecond))
	c := r.dial().Get(here, "User-Agent: left")
	r.Waiting(0, 1)
	c.HangUp()
	r.Vanished()
	r.dial().Get(here+"?wait=0", "User-Agent: now").Answer()
	r.dial().Post(here+"?wait=1ms", "hello", "User-Agent: late").Answer()
	r.dial().Post(here, "eleven byte", "User-Agent: large").Answer()
	r.dial().Request("POST", here, chunked, "User-Agent: larger").Say(chunk("eleven byte")).Answer()
	r.dial().Request("POST", here, chunked, "User-Agent: broken").Say("zz\r\n").Answer()
	c = r.dial().Get(here, "User-Agent: deleted")
	r.Waiting(0, 1)
	r.dial().Request("POST", here, chunked, "User-Agent: silent").Answer()
	r.dial().Request("DELETE", here).Answer()
	c.Answer()
	r.dial().Get(here+"?wait=x", "User-Agent: mistaken").Answer()
	r.dial().Get(here, "Purpose: prefetch", "User-Agent: mistaken").Answer()
	r.dial().Get("/channels/n/%20", "User-Agent: mistaken").Answer()
	c = r.dial().Post(here, "hello", "User-Agent: stopped")
	r.Waiting(1, 0)
	wait := r.shutDown(patience)
	c.Answer()
	wait()

	got := r.rows(9, "SELECT namespace, channel, role, outcome, addr, agent FROM requests ORDER BY agent")
	want := []string{
		"n c producer producer_left 127.0.0.1 broken",
		"n c consumer deleted 127.0.0.1 deleted",
		"n c producer too_large 127.0.0.1 large",
		"n c producer too_large 127.0.0.1 larger",
		"n c producer timed_out 127.0.0.1 late",
		"n c consumer left 127.0.0.1 left",
		"n c consumer timed_out 127.0.0.1 now",
		"n c producer silent 127.0.0.1 silent",
		"n c producer shut_down 127.0.0.1 stopped",
	}
	if !slices.Equal(got, want) {
		t.Errorf("on record is\n%q, want\n%q", got, want)
	}
	// Those that did not wait have opened no channel.
	if got := r.rows(1, "SELECT count(*) FROM channels"); got[0] != "6" {
		t.Errorf("%s channels were opened, want 6", got[0])
	}
}

// The words that package store decides on are the broker's.
func TestWordsAgree(t *testing.T) {
	for word, want := range map[string]pipe.Outcome{
		store.Delivered:   pipe.Delivered,
		store.Interrupted: pipe.Interrupted,
	} {
		if word != string(want) {
			t.Errorf("store says %q, pipe %q", word, want)
		}
	}
	if store.Interrupted != string(pipe.ClosedInterrupted) {
		t.Errorf("store says %q of a life, pipe %q", store.Interrupted, pipe.ClosedInterrupted)
	}
	if store.Idle != string(pipe.ClosedIdle) {
		t.Errorf("store says %q of a life, pipe %q", store.Idle, pipe.ClosedIdle)
	}
	if slices.Contains(pipe.Outcomes, "open") {
		t.Error("what the log says of a running exchange is an outcome too")
	}
}
