package relay

import (
	"testing"
	"time"

	"httpipe/pipe"
)

// A check that is running while the clock is stopped does not start it again.
func TestStoppedStallClock(t *testing.T) {
	var clock stallClock
	clock.start(&pipe.Exchange{}, &Conn{}, time.Hour)
	clock.stop()
	clock.check()
	if clock.timer.Stop() {
		t.Error("it runs again")
	}
}
