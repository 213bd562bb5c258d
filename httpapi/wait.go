package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"httpipe/pipe"
)

// maxWait is the longest wait that a client may ask for.
const maxWait = 24 * time.Hour

// wait returns how long the request waits for its exchange: what the client asks for, or the server's
// own limit, whichever is smaller.
func (s *Server) wait(r *http.Request) (time.Duration, *failure) {
	wait, err := queryWait(r.URL.RawQuery)
	if err != nil {
		return 0, &failure{status: http.StatusBadRequest, code: codeBadWait, text: err.Error()}
	}
	if wait == pipe.Forever {
		wait = preferredWait(r.Header["Prefer"])
	}
	if limit := s.config.RequestTimeout; limit > 0 && (wait == pipe.Forever || limit < wait) {
		wait = limit
	}
	return wait, nil
}

// queryWait returns what ?wait= says, or Forever if it says nothing.
func queryWait(rawQuery string) (time.Duration, error) {
	if rawQuery == "" {
		return pipe.Forever, nil
	}
	query, err := url.ParseQuery(rawQuery) // and not URL.Query, which drops in silence what it cannot read
	if err != nil {
		return 0, fmt.Errorf("the query cannot be parsed, so neither can a wait in it: %w", err)
	}
	values := query["wait"]
	switch {
	case len(values) == 0:
		return pipe.Forever, nil
	case len(values) > 1:
		return 0, fmt.Errorf("wait is given %d times", len(values))
	}
	wait, err := parseWait(values[0])
	if err != nil {
		return 0, fmt.Errorf("wait=%q is not a time to wait: it takes 0 to 24h, as in 25s, 1m30s or 25 (seconds)", values[0])
	}
	return wait, nil
}

// decimal is a number of seconds as people write it.
var decimal = regexp.MustCompile(`^[0-9]+(\.[0-9]*)?$|^\.[0-9]+$`)

// parseWait reads a Go duration or decimal seconds, from 0 to maxWait.
func parseWait(s string) (time.Duration, error) {
	if decimal.MatchString(s) {
		s += "s"
	}
	wait, err := time.ParseDuration(s)
	if err != nil {
		return 0, err
	}
	if wait < 0 || wait > maxWait || strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("out of range")
	}
	return wait, nil
}

// preferredWait returns what the first wait among the Prefer headers (RFC 7240) says, or Forever if there
// is none that can be used.
func preferredWait(headers []string) time.Duration {
	for _, header := range headers {
		for preference := range strings.SplitSeq(header, ",") {
			preference, _, _ = strings.Cut(preference, ";") // what follows are parameters
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			wait, err := parseWait(strings.Trim(strings.TrimSpace(value), `"`))
			if err != nil {
				return pipe.Forever
			}
			return wait
		}
	}
	return pipe.Forever
}
