//go:build linux

package soak

import (
	"flag"
	"slices"
	"testing"

	"httpipe/test/kit"
)

var plantedFlag = flag.Bool("soak.planted", false, "run TestSoakFindsPlantedBugs, which builds servers with bugs and checks that the soak test finds them")

// TestSoakFindsPlantedBugs: the checker must find bugs. Each of these is planted into a build of the server, not into the
// source tree, and the short form of the soak test has to find it by one of the invariants named. It has three attempts,
// because some bugs need luck to show.
func TestSoakFindsPlantedBugs(t *testing.T) {
	if !*plantedFlag {
		t.Skip("without -soak.planted")
	}
	for _, bug := range []struct {
		name   string
		source string
		change []string // old and new text
		found  []string // the invariants that may find it
	}{
		// Both checks are removed, the watch and the one at the match: each finds almost all that the other would.
		{"LivenessNotChecked", "relay/watch_linux.go", []string{
			"				c.noteHangUp()\n", "				_ = c\n", "none = err != nil || n == 0", "none = err != nil || n >= 0"}, []string{"gone"}},
		{"AcknowledgedBeforeCommit", "pipe/exchange.go", []string{
			"if err := x.ended.Wait(); err != nil {", "if err := error(nil); err != nil {"}, []string{"truth"}},
		{"NextPairBeforeLastByteIsWritten", "pipe/channel.go", []string{
			"for c.running == nil {", "for c.running == nil || c.running.Producer.body.handedOut() {"}, []string{"single"}},
		{"HalfABodyLooksWhole", "relay/consume.go", []string{
			"		}\n		Abort()\n", "		}\n"}, []string{"whole"}},
		{"LastComeFirstServed", "pipe/queue.go", []string{
			"r.places[q.kind].previous = q.tail\n	if q.tail == nil {\n		q.head = r\n	} else {\n		q.tail.places[q.kind].next = r\n	}\n	q.tail = r\n",
			"r.places[q.kind].next = q.head\n	if q.head == nil {\n		q.tail = r\n	} else {\n		q.head.places[q.kind].previous = r\n	}\n	q.head = r\n"}, []string{"order"}},
		{"TimeoutsNotRecorded", "pipe/request.go", []string{
			"	b.recorder.RequestUnmatched(r)\n", "	if o != TimedOut {\n		b.recorder.RequestUnmatched(r)\n	}\n"}, []string{"recorded"}},
		{"ConnectionsLeak", "relay/conn.go", []string{
			"	return c.Conn.Close()", "	if c.gone {\n		return c.CloseWrite()\n	}\n	return c.Conn.Close()"}, []string{"leaks"}},
	} {
		t.Run(bug.name, func(t *testing.T) {
			program := kit.Variant(t, bug.source, bug.change...)
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
