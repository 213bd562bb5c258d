package cli

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"httpipe/store"
)

// TestTailBetween: rows that are written between two queries of a tail are printed once, and later queries visit no old
// rows.
func TestTailBetween(t *testing.T) {
	log, err := store.Open(store.Config{Path: filepath.Join(t.TempDir(), "httpipe.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	relay := func(channel string) {
		t.Helper()
		id, now := uuid.Must(uuid.NewV7()).String(), time.Now()
		log.ExchangeMatched(&store.Match{ID: id, Namespace: "v1", Channel: channel, At: now})
		if err := log.ExchangeEnded(store.ExchangeEnd{ID: id, At: now, Outcome: store.Delivered}).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	var printed []string
	between := func() { relay("between") }
	tail := &tail{history: log.History(), kind: store.Exchanges, running: make(map[string]bool), print: func(page store.Page) error {
		for i := range page.Rows {
			printed = append(printed, page.Value(i, "channel").(string))
		}
		between()
		between = func() {}
		return nil
	}}
	relay("before")
	if _, err := tail.begin(t.Context(), 10, true); err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{"after", "later"} {
		relay(channel)
		if err := tail.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(printed, " "); got != "before between after later" {
		t.Errorf("printed is %q", got)
	}
	if time.Since(tail.since) > 3*time.Minute {
		t.Errorf("it looks through all since %v", tail.since)
	}
}
