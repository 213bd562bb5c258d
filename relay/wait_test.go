package relay

import (
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
)

func TestQueryWait(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"":                   pipe.Forever,
		"x=1":                pipe.Forever,
		"Wait=1":             pipe.Forever,
		"wait=25s":           25 * time.Second,
		"wait=1m30s&x":       90 * time.Second,
		"x=wait=3&wait=25":   25 * time.Second,
		"wait=0":             0,
		"wait=0s":            0,
		"wait=0.5":           time.Second / 2,
		"wait=.5":            time.Second / 2,
		"wait=1.5h":          90 * time.Minute,
		"wait=24h":           24 * time.Hour,
		"wait=86400":         24 * time.Hour,
		"wait=%32%35":        25 * time.Second,
		"wait=100ms&x=%C3%A": -2, // what cannot be parsed, hides what cannot be known
		"wait":               -2,
		"wait=":              -2,
		"wait=-1":            -2,
		"wait=-1s":           -2,
		"wait=-0":            -2,
		"wait=24h1ns":        -2,
		"wait=86400.1":       -2,
		"wait=9999999999999": -2,
		"wait=soon":          -2,
		"wait=1e3":           -2,
		"wait=0x10":          -2,
		"wait=inf":           -2,
		"wait=NaN":           -2,
		"wait=1,5":           -2,
		"wait=1 s":           -2,
		"wait=1&wait=1":      -2,
		"wait=10ms;x=1":      -2,
		"x=%zz":              -2,
	} {
		got, err := queryWait(query)
		if err != nil {
			got = -2
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("?%s is refused in more than one line: %q", query, err)
			}
		}
		if got != want {
			t.Errorf("?%s waits for %v, want %v", query, got, want)
		}
	}
}

func TestPreferredWait(t *testing.T) {
	for _, test := range []struct {
		prefer string
		want   time.Duration
	}{
		{"", pipe.Forever},
		{"wait=25", 25 * time.Second},
		{`Wait="25"`, 25 * time.Second},
		{"respond-async, wait = 25 ; x=y, wait=30", 25 * time.Second},
		{"return=minimal, wait=25", 25 * time.Second},
		{"wait=soon", pipe.Forever},
		{"wait", pipe.Forever},
		{"wait=-1", pipe.Forever},
		{"wait=100000", pipe.Forever},
		{"waiting=1", pipe.Forever},
	} {
		if got := preferredWait(test.prefer); got != test.want {
			t.Errorf("Prefer: %q waits for %v, want %v", test.prefer, got, test.want)
		}
	}
}
