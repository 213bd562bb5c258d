package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"httpipe/pipe"
	"httpipe/store"
)

const (
	// defaultLimit is how many rows a page has if nobody says otherwise, maxLimit how many it can have.
	defaultLimit, maxLimit = 100, 1000
	// maxWithin is how long a client can let a summary take.
	maxWithin = 30 * time.Second
)

// roles are those that a request can be filtered by.
var roles = []string{string(pipe.Producer), string(pipe.Consumer)}

// A question is what somebody asks of the audit log.
type question struct {
	kind   *store.Kind
	filter store.Filter
	limit  int // 0: none was given
	cursor string
	within time.Duration // 0: none was given
}

// FilterNames returns the parameters of ParseFilter for a kind, which are also the API's.
func FilterNames(k *store.Kind) []string { return slices.Concat(k.Filters, []string{"from", "to"}) }

// ParseFilter reads a filter. Its error is one line that names the parameter.
func ParseFilter(k *store.Kind, query url.Values, now time.Time) (store.Filter, error) {
	q, err := parseQuestion(k, query, FilterNames(k), now)
	return q.filter, err
}

// parseQuestion reads what a query may say: the named parameters, each once.
func parseQuestion(k *store.Kind, query url.Values, names []string, now time.Time) (question, error) {
	q := question{kind: k}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		if !slices.Contains(names, name) {
			return q, fmt.Errorf("%q is no filter here; there are %s", name, strings.Join(names, ", "))
		}
		if len(values) > 1 {
			return q, fmt.Errorf("%s is given %d times", name, len(values))
		}
		if err := q.set(name, values[0], now); err != nil {
			return q, fmt.Errorf("%s=%q: %w", name, values[0], err)
		}
	}
	if f := q.filter; !f.From.IsZero() && !f.To.IsZero() && f.To.Before(f.From) {
		return q, errors.New("to is before from")
	}
	return q, nil
}

func (q *question) set(name, text string, now time.Time) (err error) {
	switch name {
	case "namespace":
		q.filter.Namespace, err = text, pipe.CheckName(name, text)
	case "channel":
		q.filter.Channel, err = text, pipe.CheckName(name, text)
	case "outcome":
		q.filter.Outcome, err = text, q.checkOutcome(text)
	case "role":
		q.filter.Role, err = text, oneOf(roles, text)
	case "from":
		q.filter.From, err = parseTime(text, now)
	case "to":
		q.filter.To, err = parseTime(text, now)
	case "limit":
		if q.limit, err = strconv.Atoi(text); err != nil || q.limit < 1 || q.limit > maxLimit {
			err = fmt.Errorf("want a number from 1 to %d", maxLimit)
		}
	case "cursor":
		q.cursor = text
		if q.kind.CheckCursor(text) != nil {
			err = errors.New("want what a page had as its next")
		}
	case "within":
		if q.within, err = parseWait(text); err != nil || q.within <= 0 || q.within > maxWithin {
			err = fmt.Errorf("want a time up to %v, such as 5s", maxWithin)
		}
	}
	return err
}

// checkOutcome returns an error unless things of this kind can have that outcome.
func (q *question) checkOutcome(text string) error {
	var words []string
	for _, o := range pipe.Outcomes {
		words = append(words, string(o))
	}
	if q.kind == store.Exchanges {
		words = append(words, store.StillOpen)
	}
	return oneOf(words, text)
}

func oneOf(words []string, text string) error {
	if slices.Contains(words, text) {
		return nil
	}
	return fmt.Errorf("want one of %s", strings.Join(words, ", "))
}

// parseTime reads a time (RFC 3339), or how long ago it was (24h, 7d).
func parseTime(text string, now time.Time) (time.Time, error) {
	// An unescaped + in a query is a blank, which no time has.
	if t, err := time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+")); err == nil {
		return t, nil
	}
	unit := time.Duration(1)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if _, err := strconv.ParseFloat(days, 64); err == nil { // 1h7d is nothing, and not 8 days
			text, unit = days+"h", 24
		}
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 || ago > 100*365*24*time.Hour/unit {
		return time.Time{}, errors.New("want a time such as 2026-11-22T10:00:00Z, or how long ago, such as 24h or 7d")
	}
	return now.Add(-ago * unit), nil
}
