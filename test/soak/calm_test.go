//go:build linux

package soak

import (
	"database/sql"
	"time"
)

// In the calm after each round of the soak its history is checked, and what the server has in use.

// check holds the notes of a round against the log.
func (s *storm) check(notes []*note) {
	s.t.Helper()
	h := s.readHistory(notes)
	for _, i := range invariants {
		i.check(h, func(format string, args ...any) { s.findings.add(i.name, format, args...) })
	}
	s.exchanges += len(h.exchanges)
	for _, hiccup := range h.hiccups {
		s.late += hiccup.over.Sub(hiccup.began)
	}
	for _, x := range h.exchanges {
		s.outcomes["exchange "+x.outcome]++
		s.bytes += max(x.bytes, 0)
	}
	for _, r := range h.requests {
		s.outcomes["request "+r.outcome]++
	}
	for _, n := range h.notes {
		switch {
		case n.code == "audit_unavailable":
			s.outcomes["told audit_unavailable"]++
		case len(n.exchanges)+len(n.requests) == 0:
			s.outcomes["not in the log"]++
		}
	}
}

const (
	// spareDescriptors is how many more a process may have than at its start, for what SQLite keeps open.
	spareDescriptors = 6
	// spareMemory is how much more it may hold after a round than after its first.
	spareMemory = 24 << 20
	// mostMemory is how much it may hold after any round.
	mostMemory = 160 << 20
)

// checkLeaks: when all clients have gone, the server has no more in use than before they came.
func (s *storm) checkLeaks() {
	reign := s.relay.reign()
	most := s.relay.reigns[0].descriptors + spareDescriptors
	open := reign.openDescriptors()
	for start := time.Now(); open > most && time.Since(start) < 10*time.Second; {
		open = reign.openDescriptors()
	}
	if open > most {
		s.findings.add("leaks", "%d descriptors are open, and at most %d should be: %v", open, most, reign)
	}
	memory := reign.memory()
	s.memories = append(s.memories, memory)
	if memory > mostMemory || memory > s.memories[0]+spareMemory {
		s.findings.add("leaks", "%d MB of memory in the end, after the rounds before %v: %v", memory>>20, s.memories, reign)
	}
	s.t.Logf("round %d: %d requests, %d exchanges so far; %d descriptors (%d at the start), %d MB of memory, %d violations",
		s.rounds+1, s.requests.Load(), s.exchanges, open, s.relay.reigns[0].descriptors, memory>>20, len(s.findings.count))
}

// checkEnd: the log is sound, and has each process as what it was.
func (s *storm) checkEnd() {
	db := s.openLog()
	defer db.Close()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		s.findings.add("runs", "the log is not sound: %v %s", err, verdict)
	}
	s.checkAccess(db)
	n := 0
	s.rows(db, "SELECT clean, coalesce(lost, 0) FROM runs WHERE id > ? ORDER BY id", 0, func(rows *sql.Rows) error {
		var clean, lost int
		err := rows.Scan(&clean, &lost)
		if n < len(s.relay.reigns) {
			if reign := s.relay.reigns[n]; (clean == 0) != reign.killed || lost != 0 {
				s.findings.add("runs", "clean is %d, and %d rows are lost: %v", clean, lost, reign)
			}
		}
		n++
		return err
	})
	if n != len(s.relay.reigns) {
		s.findings.add("runs", "%d runs in the log, and there were %d", n, len(s.relay.reigns))
	}
	for _, reign := range s.relay.reigns {
		if !reign.killed && reign.err != nil || len(reign.complaints) > 0 {
			s.findings.add("runs", "it ended with %v, and said %q: %v", reign.err, reign.complaints, reign)
		}
	}
}
