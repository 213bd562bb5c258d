package rawhttp

import (
	"fmt"
	"testing"
	"time"

	"httpipe/pipe"
)

// An Observer sees what a server does. Its methods wait for something to happen, and fail the test if it does not.
type Observer struct {
	T       *testing.T
	Broker  *pipe.Broker
	Key     pipe.Key // the channel of Waiting
	Journal *Journal // the server's log
}

// Waiting waits until that many producers and consumers wait on the channel.
func (o *Observer) Waiting(producers, consumers int) {
	o.T.Helper()
	o.WaitingWithin(Patience, producers, consumers)
}

// WaitingWithin is Waiting with a limit for the time.
func (o *Observer) WaitingWithin(soon time.Duration, producers, consumers int) {
	o.T.Helper()
	Eventually(o.T, soon, fmt.Sprintf("%d producers and %d consumers wait", producers, consumers), func() bool {
		p, c, _ := o.Broker.Look(o.Key)
		return p == producers && c == consumers
	})
}

// Vanished waits until no channel is left.
func (o *Observer) Vanished() {
	o.T.Helper()
	Eventually(o.T, Patience, "no channel is left", func() bool { return len(o.Broker.Namespaces()) == 0 })
}

// Ended waits for the end of the next exchange, which must have the outcome.
func (o *Observer) Ended(outcome pipe.Outcome) {
	o.T.Helper()
	var got string
	Eventually(o.T, Patience, "an exchange ends", func() bool {
		got = o.Journal.Next()
		return got != ""
	})
	if got != string(outcome) {
		o.T.Errorf("the exchange ended as %s, want %s", got, outcome)
	}
}
