//go:build linux

package soak

import (
	"database/sql"
	"time"
)

// After each round its history is checked, and the memory and descriptors of the server.

// check compares the notes of a round with the log.
func (s *soakRun) check(notes []*note, v *services, t *topics) {
	s.t.Helper()
	h := s.readHistory(notes)
	for _, i := range invariants {
		i.check(h, func(format string, args ...any) { s.findings.add(i.name, format, args...) })
	}
	db := s.openLog()
	defer db.Close()
	v.check(db, h, func(format string, args ...any) { s.findings.add("services", format, args...) })
	t.check(db, h, func(format string, args ...any) { s.findings.add("topics", format, args...) })
	s.exchanges += len(h.exchanges)
	for _, delay := range h.delays {
		s.late += delay.over.Sub(delay.began)
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
	// spareDescriptors is how many descriptors a process may have more than at its start, apart from pipes. SQLite keeps some
	// open, and so does Go's runtime.
	spareDescriptors = 16
	// mostPipes is how many descriptors of pipes a process may have. Go keeps those of splice(2) for the next streams until a
	// second garbage collection, which an idle server does not make: two for each stream that ran at the same time.
	mostPipes = 2 * soakClients
	// spareMemory is how much memory a process may have more than after its first round.
	spareMemory = 24 << 20
	// mostMemory is how much memory it may have after any round.
	mostMemory = 160 << 20
)

// checkLeaks: when all clients have left, the server uses no more than before they came.
func (s *soakRun) checkLeaks() {
	process := s.relay.current()
	most := s.relay.processes[0].descriptors + spareDescriptors
	open, pipes := process.openDescriptors()
	for start := time.Now(); (open > most || pipes > mostPipes) && time.Since(start) < 10*time.Second; {
		open, pipes = process.openDescriptors()
	}
	if open > most || pipes > mostPipes {
		s.findings.add("leaks", "%d descriptors and %d of pipes are open, and at most %d and %d should be: %v, %v",
			open, pipes, most, mostPipes, process, process.openFiles())
	}
	memory := process.memory()
	s.memories = append(s.memories, memory)
	if memory > mostMemory || memory > s.memories[0]+spareMemory {
		s.findings.add("leaks", "%d MB of memory in the end, after the rounds before %v: %v", memory>>20, s.memories, process)
	}
	s.t.Logf("round %d: %d requests, %d exchanges so far; %d descriptors (%d at the start) and %d of pipes, %d MB of memory, %d violations",
		s.rounds+1, s.requests.Load(), s.exchanges, open, s.relay.processes[0].descriptors, pipes, memory>>20, len(s.findings.count))
}

// checkEnd: the log is sound, and its runs are the processes that ran.
func (s *soakRun) checkEnd() {
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
		if n < len(s.relay.processes) {
			if process := s.relay.processes[n]; (clean == 0) != process.killed || lost != 0 {
				s.findings.add("runs", "clean is %d, and %d rows are lost: %v", clean, lost, process)
			}
		}
		n++
		return err
	})
	if n != len(s.relay.processes) {
		s.findings.add("runs", "%d runs in the log, and there were %d", n, len(s.relay.processes))
	}
	for _, process := range s.relay.processes {
		if !process.killed && process.err != nil || len(process.complaints) > 0 {
			s.findings.add("runs", "it ended with %v, and said %q: %v", process.err, process.complaints, process)
		}
	}
}
