package httpapi

import (
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
)

// A User-Agent is cut between two characters, as in the audit log.
func TestViewCutsAgents(t *testing.T) {
	s := pipe.Snapshot{At: time.Now(), Waiting: []*pipe.Request{{Arrival: pipe.Arrival{Client: pipe.Client{Agent: strings.Repeat("a", 255) + "é and more"}}}}}
	if got := newView(s, nil).Waiting[0].Agent; got != strings.Repeat("a", 255) {
		t.Errorf("the agent is %q", got[250:])
	}
}
