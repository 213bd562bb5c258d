package reply

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"httpipe/pipe"
)

func TestEachOutcomeHasAnError(t *testing.T) {
	for _, o := range append(slices.Clone(pipe.Outcomes), pipe.Unanswered) {
		switch o {
		case pipe.Delivered, pipe.Left, pipe.Interrupted:
			continue // a success, or the client has hung up
		}
		e := ForOutcome(o, pipe.Consumer)
		if e.Status == 0 || e.Text == "" || strings.Contains(e.Text, "\n") {
			t.Errorf("%s: %+v", o, e)
		}
		if retry := e.Status == 503 || e.Status == 429; retry != (e.RetryAfter > 0) {
			t.Errorf("%s: %d, and Retry-After is %d", o, e.Status, e.RetryAfter)
		}
		noBody := strings.Contains("408 410 429 503", fmt.Sprint(e.Status))
		if e.NoBody != noBody || ForOutcome(o, pipe.Producer).NoBody {
			t.Errorf("%s: %d, and NoBody is %v for a consumer", o, e.Status, e.NoBody)
		}
	}
}
