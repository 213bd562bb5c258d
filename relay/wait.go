package relay

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// wait returns how long the request may wait for its exchange: the shorter of what the client asks for and the server's
// own limit.
func (l *Relay) wait(r *Request) (time.Duration, *reply.Error) {
	wait, err := pipe.Forever, error(nil)
	if r.Target == "" { // the query of a call is the worker's
		wait, err = queryWait(r.Query)
	}
	if err != nil {
		return 0, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadWait, Text: err.Error()}
	}
	if wait == pipe.Forever {
		wait = preferredWait(r.Header.Joined("Prefer"))
	}
	if limit := l.config.RequestTimeout; limit > 0 && (wait == pipe.Forever || limit < wait) {
		wait = limit
	}
	return wait, nil
}

// queryWait returns what ?wait= says, or Forever if it says nothing.
func queryWait(rawQuery string) (time.Duration, error) {
	if rawQuery == "" {
		return pipe.Forever, nil
	}
	query, err := url.ParseQuery(rawQuery) // URL.Query would silently drop what it cannot parse
	if err != nil {
		return 0, errors.New("the query cannot be parsed, so neither can a wait in it: " + explainQuery(err))
	}
	values := query["wait"]
	switch {
	case len(values) == 0:
		return pipe.Forever, nil
	case len(values) > 1:
		return 0, fmt.Errorf("wait is given %d times", len(values))
	}
	wait, err := pipe.ParseWait(values[0])
	if err != nil {
		return 0, fmt.Errorf("wait=%q must be a time between 0 and 24h, such as 25s, 1m30s or 25 (seconds)", values[0])
	}
	return wait, nil
}

// explainQuery returns what is wrong with a query.
func explainQuery(err error) string {
	if escape, ok := errors.AsType[url.EscapeError](err); ok {
		return fmt.Sprintf("%q is not a percent-encoded character", string(escape))
	}
	return err.Error()
}

// preferredWait returns what the first wait in the list of a Prefer header (RFC 7240) says, or Forever if there is none that
// can be used.
func preferredWait(prefer string) time.Duration {
	if prefer == "" {
		return pipe.Forever
	}
	for preference := range strings.SplitSeq(prefer, ",") {
		preference, _, _ := strings.Cut(preference, ";") // what follows are parameters
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		wait, err := pipe.ParseWait(strings.Trim(strings.TrimSpace(value), `"`))
		if err != nil {
			return pipe.Forever
		}
		return wait
	}
	return pipe.Forever
}
