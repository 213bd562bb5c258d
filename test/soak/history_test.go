//go:build linux

package soak

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

// A history is all that is known about a round: the notes of the clients, the faults, and the rows of the log, which is
// read through its views.
type history struct {
	notes     []*note
	exchanges []*exchangeRow
	requests  []*requestRow
	lives     []*lifeRow
	deletions []deletion
	processes []*serverProcess
	outages   []span // times in which the disk was full
	delays    []span // times in which the server or this machine was late
}

// An exchangeRow is a row of the view exchanges.
type exchangeRow struct {
	id, channel, outcome string
	life                 int64
	bytes                int64 // -1: unknown
	matched, ended       time.Time
	wait                 [2]time.Duration // of the producer, of the consumer
	agent                [2]string
	side                 [2]*note
}

// A requestRow is a row of the view requests.
type requestRow struct {
	id                     int64
	channel, role, outcome string
	arrived, ended         time.Time
	agent                  string
	note                   *note
}

// A lifeRow is a row of the view channels.
type lifeRow struct {
	id, exchanges, bytes int64
	channel              string
	opened, closed       time.Time // closed is zero while it is open
	reason               string
}

// A mark is how far the log has been read.
type mark struct {
	exchange      string
	request, life int64
}

func (s *soakRun) openLog() *sql.DB {
	db, err := sql.Open("sqlite3", filepath.Join(s.relay.dir, "httpipe.db")+"?_query_only=true&_busy_timeout=5000")
	if err != nil {
		s.t.Fatal(err)
	}
	return db
}

// readHistory joins the notes with the rows that are new in the log.
func (s *soakRun) readHistory(notes []*note) *history {
	s.t.Helper()
	h := &history{notes: notes, deletions: s.deletions, processes: s.relay.processes, outages: s.relay.outages, delays: s.delays}
	s.deletions, s.delays = nil, nil
	db := s.openLog()
	defer db.Close()
	s.rows(db, `SELECT id, namespace || '/' || channel, outcome, life, coalesce(bytes, -1), matched_at, coalesce(ended_at, ''),
		producer_wait_ms, consumer_wait_ms, producer_agent, consumer_agent
		FROM exchanges WHERE id > ? AND namespace < 'soak-d' ORDER BY id`, s.checked.exchange, func(rows *sql.Rows) error {
		r := new(exchangeRow)
		var matched, ended string
		err := rows.Scan(&r.id, &r.channel, &r.outcome, &r.life, &r.bytes, &matched, &ended, &r.wait[0], &r.wait[1], &r.agent[0], &r.agent[1])
		for side := range r.wait {
			r.wait[side] *= time.Millisecond
		}
		r.matched, r.ended = logTime(matched), logTime(ended)
		h.exchanges = append(h.exchanges, r)
		s.checked.exchange = r.id
		return err
	})
	s.rows(db, `SELECT id, namespace || '/' || channel, role, outcome, arrived_at, ended_at, agent
		FROM requests WHERE id > ? AND namespace < 'soak-d' ORDER BY id`, s.checked.request, func(rows *sql.Rows) error {
		r := new(requestRow)
		var arrived, ended string
		err := rows.Scan(&r.id, &r.channel, &r.role, &r.outcome, &arrived, &ended, &r.agent)
		r.arrived, r.ended = logTime(arrived), logTime(ended)
		h.requests = append(h.requests, r)
		s.checked.request = r.id
		return err
	})
	s.rows(db, `SELECT id, namespace || '/' || channel, exchanges, bytes, opened_at, coalesce(closed_at, ''), coalesce(reason, '')
		FROM channels WHERE id > ? AND namespace < 'soak-d' ORDER BY id`, s.checked.life, func(rows *sql.Rows) error {
		r := new(lifeRow)
		var opened, closed string
		err := rows.Scan(&r.id, &r.channel, &r.exchanges, &r.bytes, &opened, &closed, &r.reason)
		r.opened, r.closed = logTime(opened), logTime(closed)
		h.lives = append(h.lives, r)
		s.checked.life = r.id
		return err
	})
	h.join(s.findings)
	return h
}

func (s *soakRun) rows(db *sql.DB, query string, after any, row func(*sql.Rows) error) {
	s.t.Helper()
	rows, err := db.Query(query, after)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
}

// logTime parses a time of the log; none is the zero time.
func logTime(s string) time.Time {
	t, _ := time.Parse("2006-01-02T15:04:05.000Z", s)
	return t.Local()
}

// join matches notes and rows by the number in the user agent.
func (h *history) join(f *findings) {
	byNumber := make(map[int]*note, len(h.notes))
	for _, n := range h.notes {
		byNumber[n.number] = n
	}
	find := func(agent, role, channel string, row any) *note {
		text, ok := strings.CutPrefix(agent, "soak/")
		number, err := strconv.Atoi(text)
		n := byNumber[number]
		if !ok || err != nil || n == nil || n.role != role || n.channel != channel {
			f.add("recorded", "no client made the request of the row %v", row)
			return nil
		}
		return n
	}
	h.exchanges = slices.DeleteFunc(h.exchanges, func(x *exchangeRow) bool {
		x.side[0], x.side[1] = find(x.agent[0], "producer", x.channel, x), find(x.agent[1], "consumer", x.channel, x)
		return x.side[0] == nil || x.side[1] == nil
	})
	for _, x := range h.exchanges {
		for _, n := range x.side {
			n.exchanges = append(n.exchanges, x)
		}
	}
	for _, r := range h.requests {
		if r.note = find(r.agent, r.role, r.channel, r); r.note != nil {
			r.note.requests = append(r.note.requests, r)
		}
	}
	h.requests = slices.DeleteFunc(h.requests, func(r *requestRow) bool { return r.note == nil })
}

// outcome is the outcome of the request in the log; "" if there is none or more than one.
func (n *note) outcome() string {
	switch {
	case len(n.exchanges) == 1 && len(n.requests) == 0:
		return n.exchanges[0].outcome
	case len(n.exchanges) == 0 && len(n.requests) == 1:
		return n.requests[0].outcome
	}
	return ""
}

// arrived and waitedUntil return when the wait of the request began and ended, by the log.
func (n *note) arrived() time.Time {
	if len(n.exchanges) > 0 {
		x := n.exchanges[0]
		if n.role == "producer" {
			return x.matched.Add(-x.wait[0])
		}
		return x.matched.Add(-x.wait[1])
	}
	if len(n.requests) > 0 {
		return n.requests[0].arrived
	}
	return time.Time{}
}

func (n *note) waitedUntil() time.Time {
	if len(n.exchanges) > 0 {
		return n.exchanges[0].matched
	}
	if len(n.requests) > 0 {
		return n.requests[0].ended
	}
	return time.Time{}
}

// killed reports whether the server was killed during the request, or so soon afterwards that its row may not have been
// written.
func (h *history) killed(n *note) bool {
	until := n.done
	if !n.stayed() && n.known.IsZero() && n.how != byReset {
		until = until.Add(waitLimit) // the server may not have noticed that it left
	}
	for _, s := range h.processes {
		if s.killed && n.begun.Before(s.ended) && until.After(s.unsure) {
			return true
		}
	}
	return false
}

// stopping reports whether the server was stopping or down at some time from a to b.
func (h *history) stopping(a, b time.Time) bool {
	for i, s := range h.processes {
		back := time.Now()
		if i+1 < len(h.processes) {
			back = h.processes[i+1].ready
		}
		if !s.stopping.IsZero() && s.stopping.Before(b) && back.After(a) {
			return true
		}
	}
	return false
}

// full reports whether the disk was full at some time from a to b.
func (h *history) full(a, b time.Time) bool {
	return slices.ContainsFunc(h.outages, func(o span) bool { return o.overlaps(a, b) })
}

// late reports whether times between a and b are unreliable because the server or this machine was late.
func (h *history) late(a, b time.Time) bool {
	return slices.ContainsFunc(h.delays, func(o span) bool { return o.overlaps(a.Add(-busy), b.Add(busy)) })
}

// clock formats a time like the log, without the date.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("04:05.000000")
}

func (n *note) String() string {
	text := fmt.Sprintf("%s %d on %s: begun %s asked %s last %s left %s (%s, known %s) response %s done %s, %d of %d sent, got %d %q id %q, %d bytes of message %d (complete %v, wrong %v, %v), plan %+v",
		n.role, n.number, n.channel, clock(n.begun), clock(n.asked), clock(n.last), clock(n.left), n.how, clock(n.known), clock(n.first), clock(n.done),
		n.sent, n.size, n.status, n.code, n.exchange, n.got, n.message, n.complete, n.wrong, n.err, n.plan)
	for _, x := range n.exchanges {
		text += "\n\t\t" + x.String()
	}
	for _, r := range n.requests {
		text += "\n\t\t" + r.String()
	}
	return text
}

func (x *exchangeRow) String() string {
	return fmt.Sprintf("exchange %s on %s (life %d): %s and %s, %s, %d bytes, matched %s ended %s, waited %v", x.id, x.channel, x.life,
		x.agent[0], x.agent[1], x.outcome, x.bytes, clock(x.matched), clock(x.ended), x.wait)
}

func (r *requestRow) String() string {
	return fmt.Sprintf("request row %d on %s: %s %s, %s, arrived %s ended %s", r.id, r.channel, r.role, r.agent, r.outcome, clock(r.arrived), clock(r.ended))
}

func (l *lifeRow) String() string {
	return fmt.Sprintf("life %d of %s: opened %s closed %s (%s), %d exchanges, %d bytes", l.id, l.channel, clock(l.opened), clock(l.closed), l.reason, l.exchanges, l.bytes)
}
