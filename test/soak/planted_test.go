//go:build linux

package soak

import (
	"flag"
	"slices"
	"testing"

	"httpipe/test/kit"
)

var plantedFlag = flag.Bool("soak.planted", false, "run TestSoakFindsPlantedBugs, which builds servers with bugs and checks that the soak test finds them")

// A plantedBug is a bug and the invariants that may find it.
type plantedBug struct {
	name    string
	changes []kit.Change
	found   []string
}

var plantedBugs = []plantedBug{
	// Both checks are removed, the one while it waits and the one at the match: each finds almost all that the other would.
	{"LivenessNotChecked", []kit.Change{
		in("relay/parked.go", "	if p != nil {\n		p.owner.HungUp()\n	}\n", "	_ = p\n"),
		in("relay/conn.go", "	return found == unreadNothing || found == unreadBytes && !c.clogged()\n", "	return true\n"),
	}, []string{"gone"}},
	{"HangUpBehindPipelinedBytesNotSeen", []kit.Change{
		in("relay/parked.go", "		return c.readMore()\n",
			"		c.mu.Lock()\n		if c.woken || c.pending == nil {\n			c.mu.Unlock()\n			return nil\n		}\n		c.pauseUnlock(0)\n		return nil\n"),
		in("relay/conn.go", "	return found == unreadNothing ||", "	return c.held || found == unreadNothing ||"),
	}, []string{"gone"}},
	{"IdleAfterTheLastWrite", []kit.Change{
		in("relay/pending.go", "	if last && err == nil && n == len(b) {\n", "	if last && err == nil && n == len(b) {\n		c.mu.Unlock()\n		time.Sleep(200 * time.Microsecond)\n		c.mu.Lock()\n"),
		in("relay/pending.go", "	if c.held {\n		c.wakeLocked()\n	}\n", ""),
	}, []string{"answered"}},
	{"AcknowledgedBeforeCommit", []kit.Change{
		in("pipe/exchange.go", "x.ended.Then(x.recorded)", "x.recorded(nil)"),
	}, []string{"truth"}},
	{"NextPairBeforeLastByteIsWritten", []kit.Change{
		in("pipe/channel.go", "for c.running == nil {", "for c.running == nil || c.running.Producer.body.handedOut.Load() {"),
	}, []string{"single"}},
	{"HalfABodyLooksWhole", []kit.Change{
		in("relay/sink.go", "			c.setResets(false) // every client", "			c.conn.Conn.Write([]byte(http1.LastChunk))\n			c.setResets(false) // every client"),
	}, []string{"whole"}},
	{"LastComeFirstServed", []kit.Change{
		in("pipe/queue.go",
			"r.places[q.kind].previous = q.tail\n	if q.tail == nil {\n		q.head = r\n	} else {\n		q.tail.places[q.kind].next = r\n	}\n	q.tail = r\n",
			"r.places[q.kind].next = q.head\n	if q.head == nil {\n		q.tail = r\n	} else {\n		q.head.places[q.kind].previous = r\n	}\n	q.head = r\n"),
	}, []string{"order"}},
	{"TimeoutsNotRecorded", []kit.Change{
		in("pipe/request.go", "	b.recorder.RequestUnmatched(r)\n", "	if o != TimedOut {\n		b.recorder.RequestUnmatched(r)\n	}\n"),
	}, []string{"recorded"}},
	{"SecondAnswerIsTaken", []kit.Change{
		in("pipe/service.go", "	call := b.services.calls[replyID]\n", "	call := b.services.calls[replyID]\n"+
			"	for _, other := range b.services.calls {\n		if call == nil && other.service.Key == a.Key {\n			call = other\n		}\n	}\n"),
	}, []string{"services"}},
	{"SubscriberMissesAMessage", []kit.Change{
		in("pipe/fanout.go", "		if s.Outcome == \"\" {\n			s.state = receiving\n",
			"		if s.Outcome == \"\" && (s.next != nil || p.number%7 != 3) {\n			s.state = receiving\n"),
	}, []string{"topics"}},
	{"ConnectionsLeak", []kit.Change{
		in("relay/conn.go", "	return c.Conn.Close()", "	if c.closed {\n		leaked = append(leaked, c)\n		return c.CloseWrite()\n	}\n	return c.Conn.Close()"),
		in("relay/conn.go", "// A Conn is a client's connection.", "var leaked []*Conn\n\n// A Conn is a client's connection."),
	}, []string{"leaks"}},
}

// in is a change of one file.
func in(file, old, new string) kit.Change { return kit.Change{File: file, Old: old, New: new} }

// TestSoakFindsPlantedBugs: the checker must find bugs. Each of these is planted into a build of the server, not into the
// source tree, and the short form of the soak test has to find it by one of the invariants named. It has three attempts,
// because some bugs need luck to show.
func TestSoakFindsPlantedBugs(t *testing.T) {
	if !*plantedFlag {
		t.Skip("without -soak.planted")
	}
	for _, bug := range plantedBugs {
		t.Run(bug.name, func(t *testing.T) {
			program := kit.Changed(t, bug.changes...)
			for range 3 {
				s := newSoakRun(t, program)
				s.run(shortSoak)
				found := 0
				for name, n := range s.findings.count {
					t.Logf("%s: %d violations, such as\n\t%s", name, n, s.findings.texts[name][0])
					if slices.Contains(bug.found, name) {
						found += n
					}
				}
				if found > 0 {
					return
				}
			}
			t.Errorf("no violation of %v was found", bug.found)
		})
	}
}
