package kit

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	_ "github.com/mattn/go-sqlite3" // the driver
)

// A Ledger records the exchanges that the clients of a test saw, by the ids in Httpipe-Exchange. Its methods may be called
// from any goroutine.
type Ledger struct {
	mu           sync.Mutex // guards the rest
	acknowledged map[string]Noted
	received     map[string]Noted
	twice        []string // what is wrong already
}

// A Noted is an exchange as a client saw it.
type Noted struct {
	Channel string // namespace/channel
	Bytes   int64
}

// Acknowledged notes that a producer has got 200 for the exchange.
func (l *Ledger) Acknowledged(exchange string, n Noted) {
	l.note(&l.acknowledged, "acknowledged", exchange, n)
}

// Received notes that a consumer has got the whole body of the exchange.
func (l *Ledger) Received(exchange string, n Noted) { l.note(&l.received, "received", exchange, n) }

func (l *Ledger) note(in *map[string]Noted, what, exchange string, n Noted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *in == nil {
		*in = make(map[string]Noted)
	}
	if _, ok := (*in)[exchange]; ok || exchange == "" {
		l.twice = append(l.twice, fmt.Sprintf("exchange %q of %s is %s twice, or has no id", exchange, n.Channel, what))
	}
	(*in)[exchange] = n
}

// Compare returns how the exchanges in an audit log, also a merged one, disagree with the ledger, one line each:
//
//   - What is acknowledged is in the log as delivered, with the same channel and bytes, and was received.
//   - What was received whole has the same channel and bytes in the log, and no other outcome than delivered, unrecorded or
//     interrupted, if it is in the log: a killed server can lose exchanges that it has not acknowledged.
//
// So all consumers must use the ledger, and none may be killed by the test before its producer has its answer.
func (l *Ledger) Compare(t testing.TB, log string) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	recorded := recordedIn(t, log)
	problems := slices.Clone(l.twice)
	for _, id := range slices.Sorted(maps.Keys(l.acknowledged)) {
		switch row, ok := recorded[id]; {
		case !ok:
			problems = append(problems, fmt.Sprintf("acknowledged, but not in the log: %s %+v", id, l.acknowledged[id]))
		case row.outcome != "delivered" || row.Noted != l.acknowledged[id]:
			problems = append(problems, fmt.Sprintf("acknowledged as %+v, but in the log as %+v: %s", l.acknowledged[id], row, id))
		}
		if _, ok := l.received[id]; !ok {
			problems = append(problems, fmt.Sprintf("acknowledged, but not received: %s %+v", id, l.acknowledged[id]))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(recorded)) {
		row := recorded[id]
		noted, ok := l.received[id]
		known := row.outcome == "interrupted" && noted.Channel == row.Channel || noted == row.Noted
		if ok && (!known || !slices.Contains([]string{"delivered", "unrecorded", "interrupted"}, row.outcome)) {
			problems = append(problems, fmt.Sprintf("received as %+v, but in the log as %+v: %s", noted, row, id))
		}
	}
	return problems
}

// A recorded is an exchange in the log.
type recorded struct {
	Noted
	outcome string
}

// recordedIn returns the exchanges of channels in a log.
func recordedIn(t testing.TB, log string) map[string]recorded {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+log+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT id, namespace || '/' || channel, outcome, coalesce(bytes, 0) FROM exchanges WHERE shape = 'channel'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := make(map[string]recorded)
	for rows.Next() {
		var id string
		var r recorded
		if err := rows.Scan(&id, &r.Channel, &r.outcome, &r.Bytes); err != nil {
			t.Fatal(err)
		}
		if _, ok := all[id]; ok {
			t.Errorf("%s has exchange %s twice", log, id)
		}
		all[id] = r
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// Merge merges the audit logs of nodes, each NAME=FILE or FILE, with the binary, and returns the path of the result.
func Merge(t *testing.T, logs ...string) string {
	t.Helper()
	dir := t.TempDir()
	if code, output := Run(t, dir, append([]string{"audit", "merge", "merged.db"}, logs...)...); code != 0 {
		t.Fatalf("httpipe audit merge %q: %s", logs, output)
	}
	return dir + "/merged.db"
}
