package store_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"httpipe/store"
)

// TestMain runs the server that TestKill kills, if the environment asks for it.
func TestMain(m *testing.M) {
	if path := os.Getenv("HTTPIPE_TEST_CHILD"); path != "" {
		runChild(path)
		return
	}
	os.Exit(m.Run())
}

// noon is a time in the past, with milliseconds.
var noon = time.Date(2026, 2, 3, 12, 0, 0, 123e6, time.UTC)

// output collects log output from any goroutine.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// fixture is an open log and its log output.
type fixture struct {
	*store.Log
	path   string
	logged *output
}

func tempPath(t testing.TB) string {
	return filepath.Join(t.TempDir(), "audit.db")
}

// start opens the log at path and closes it at the end of the test.
func start(t testing.TB, path string, cfg store.Config, limits store.Limits) fixture {
	t.Helper()
	logged := &output{}
	cfg.Path, cfg.Version = path, "v1.2.3"
	cfg.Logger = slog.New(slog.NewTextHandler(logged, nil))
	log, err := store.OpenWith(cfg, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		if t.Failed() {
			t.Logf("logged:\n%s", logged)
		}
	})
	return fixture{log, path, logged}
}

func open(t testing.TB) fixture {
	t.Helper()
	return start(t, tempPath(t), store.Config{}, store.Limits{})
}

// idAt returns a new id for an exchange that is matched at that time.
func idAt(at time.Time) string {
	id := uuid.Must(uuid.NewV7()).String()
	ms := at.UnixMilli()
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff) + id[13:]
}

func newID() string { return idAt(time.Now()) }

// match returns a Match with all fields set.
func match(id string) *store.Match {
	return &store.Match{
		ID: id, Life: 1, Namespace: "v1", Channel: "work", ContentType: "text/plain", At: noon,
		ProducerWait: 1500 * time.Millisecond, ConsumerWait: 20 * time.Millisecond,
		Producer: store.Client{Addr: "192.0.2.1", Agent: "curl/8"}, Consumer: store.Client{Addr: "2001:db8::1", Agent: "wget"},
	}
}

func end(id, outcome string) store.ExchangeEnd {
	end := store.ExchangeEnd{ID: id, At: noon.Add(250 * time.Millisecond), Outcome: outcome, Bytes: 42}
	if outcome == store.Delivered {
		end.OutcomeIfFailed = "unrecorded"
	}
	return end
}

// exchange records a whole exchange, and returns the commit of its ending.
func (f fixture) exchange(outcome string) (id string, commit *store.Commit) {
	id = newID()
	f.ExchangeMatched(match(id))
	return id, f.ExchangeEnded(end(id, outcome))
}

func wait(t testing.TB, commit *store.Commit) {
	t.Helper()
	if err := commit.Wait(); err != nil {
		t.Fatalf("Wait: %v", err)
	}
}

func mustClose(t testing.TB, f fixture) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// eventually polls. It is for conditions that a test cannot wait for in another way.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// db opens a separate connection, like that of another process.
func db(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=rw&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// holdLock keeps all others from writing until release is called.
func holdLock(t testing.TB, path string) (release func()) {
	t.Helper()
	other := db(t, path)
	if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if _, err := other.Exec("ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		other.Close()
	}
}

// query returns the rows as lines, with "|" between the values.
func query(t testing.TB, path, query string, args ...any) []string {
	t.Helper()
	db := db(t, path)
	defer db.Close()
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		var line []string
		for _, v := range values {
			switch v := (*v.(*any)).(type) {
			case nil:
				line = append(line, "NULL")
			default:
				line = append(line, fmt.Sprint(v))
			}
		}
		lines = append(lines, strings.Join(line, "|"))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// one returns the only row of a query.
func one(t testing.TB, path, sql string, args ...any) string {
	t.Helper()
	lines := query(t, path, sql, args...)
	if len(lines) != 1 {
		t.Fatalf("%s: %d rows, want 1: %q", sql, len(lines), lines)
	}
	return lines[0]
}

func wantOne(t testing.TB, path, want, sql string, args ...any) {
	t.Helper()
	if got := one(t, path, sql, args...); got != want {
		t.Errorf("%s\n got %s\nwant %s", sql, got, want)
	}
}

// cli runs a statement in the sqlite3 shell.
func cli(t testing.TB, path, statement string) (string, error) {
	t.Helper()
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("sqlite3 is not installed")
	}
	out, err := exec.Command(shell, path, statement).CombinedOutput()
	return string(out), err
}
