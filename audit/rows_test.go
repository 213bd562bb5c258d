package audit

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"httpipe/store"
)

var page = store.Page{
	Columns: []string{"channel", "bytes", "ended_at"},
	Rows:    [][]any{{"=1+1", int64(5), nil}, {`a"b`, int64(0), "2026-11-28T10:00:00.000Z"}},
	Next:    "7",
}

// The formats have the same rows. Only CSV protects spreadsheets from formulas, and has its header once.
func TestFormats(t *testing.T) {
	for f, want := range map[Format]string{
		CSV:    "channel,bytes,ended_at\n'=1+1,5,\n\"a\"\"b\",0,2026-11-28T10:00:00.000Z\n'=1+1,5,\n\"a\"\"b\",0,2026-11-28T10:00:00.000Z\n",
		NDJSON: strings.Repeat(`{"channel":"=1+1","bytes":5,"ended_at":null}`+"\n"+`{"channel":"a\"b","bytes":0,"ended_at":"2026-11-28T10:00:00.000Z"}`+"\n", 2),
	} {
		var out strings.Builder
		rows := NewRows(&out, f)
		for range 2 {
			if err := rows.Page(page); err != nil {
				t.Fatal(err)
			}
		}
		if out.String() != want {
			t.Errorf("%s: %q, want %q", f, &out, want)
		}
	}
	want := `{"channels":[{"channel":"=1+1","bytes":5,"ended_at":null},{"channel":"a\"b","bytes":0,"ended_at":"2026-11-28T10:00:00.000Z"}],"next":"7"}` + "\n"
	if got := PageJSON(store.Channels, page); got != want {
		t.Errorf("a page is %q, want %q", got, want)
	}
}

func TestParseFilter(t *testing.T) {
	now := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	for query, want := range map[string]store.Filter{
		"":                             {},
		"namespace=n&channel=c":        {Namespace: "n", Channel: "c"},
		"outcome=open&from=24h":        {Outcome: "open", From: now.Add(-24 * time.Hour)},
		"from=7d&to=1.5h":              {From: now.AddDate(0, 0, -7), To: now.Add(-90 * time.Minute)},
		"to=2026-11-28T11:00:00+01:00": {To: now}, // the + is decoded as a blank
	} {
		parameters, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseFilter(store.Exchanges, parameters, now)
		if err != nil || got.Namespace != want.Namespace || got.Channel != want.Channel || got.Outcome != want.Outcome ||
			!got.From.Equal(want.From) || !got.To.Equal(want.To) {
			t.Errorf("%s: %+v, %v, want %+v", query, got, err, want)
		}
	}
	for _, query := range []string{"limit=5", "role=producer", "from=1h&to=2h", "outcome=lost", "from=1h7d"} {
		parameters, _ := url.ParseQuery(query)
		if f, err := ParseFilter(store.Exchanges, parameters, now); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v, want an error of one line", query, f, err)
		}
	}
}
