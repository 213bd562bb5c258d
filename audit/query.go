package audit

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
	// maxLimit is the most rows that a client can ask for.
	maxLimit = 1000
	// maxWithin is the longest time that a client can give a summary.
	maxWithin = 30 * time.Second
)

// A Query holds the parameters of a question about the audit log.
type Query struct {
	Kind   *store.Kind
	Filter store.Filter
	Limit  int           // rows; 0: not given
	Cursor string        // "": from the newest row on
	Within time.Duration // for a summary; 0: not given
}

// filterNames returns the parameters that ParseFilter takes for a kind of rows.
func filterNames(k *store.Kind) []string { return slices.Concat(k.Filters, []string{"from", "to"}) }

// ParseFilter reads a filter. Times such as 24h are before now. Its error is one line that names the parameter.
func ParseFilter(k *store.Kind, parameters url.Values, now time.Time) (store.Filter, error) {
	q, err := ParseQuery(k, parameters, nil, now)
	return q.Filter, err
}

// ParseQuery reads a filter, and those of the parameters limit, cursor and within that more names. Each parameter may
// be given once.
func ParseQuery(k *store.Kind, parameters url.Values, more []string, now time.Time) (Query, error) {
	names := slices.Concat(filterNames(k), more)
	q := Query{Kind: k}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		values := parameters[name]
		if !slices.Contains(names, name) {
			return q, fmt.Errorf("%q is not supported here; supported are %s", name, strings.Join(names, ", "))
		}
		if len(values) > 1 {
			return q, fmt.Errorf("%s is given %d times", name, len(values))
		}
		if err := q.set(name, values[0], now); err != nil {
			return q, fmt.Errorf("%s=%q: %w", name, values[0], err)
		}
	}
	if f := q.Filter; !f.From.IsZero() && !f.To.IsZero() && f.To.Before(f.From) {
		return q, errors.New("to is before from")
	}
	return q, nil
}

func (q *Query) set(name, text string, now time.Time) (err error) {
	switch name {
	case "namespace":
		q.Filter.Namespace, err = text, pipe.CheckName(name, text)
	case "topic":
		q.Filter.Topic, err = text, pipe.CheckName(name, text)
	case "service":
		q.Filter.Service, err = text, pipe.CheckName(name, text)
	case "publication":
		q.Filter.Publication, err = text, checkID(text)
	case "subscription":
		q.Filter.Subscription, err = text, checkID(text)
	case "shape":
		q.Filter.Shape, err = text, oneOf(Shapes, text)
	case "channel":
		q.Filter.Channel, err = text, pipe.CheckName(name, text)
	case "outcome":
		q.Filter.Outcome, err = text, oneOf(outcomesOf(q.Kind), text)
	case "role":
		q.Filter.Role, err = text, oneOf([]string{pipe.Producer.String(), pipe.Consumer.String()}, text)
	case "from":
		q.Filter.From, err = parseTime(text, now)
	case "to":
		q.Filter.To, err = parseTime(text, now)
	case "limit":
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > maxLimit {
			err = fmt.Errorf("want a number from 1 to %d", maxLimit)
		}
	case "cursor":
		q.Cursor = text
		if q.Kind.CheckCursor(text) != nil {
			err = errors.New("want the \"next\" of an earlier page")
		}
	case "within":
		if q.Within, err = pipe.ParseWait(text); err != nil || q.Within <= 0 || q.Within > maxWithin {
			err = fmt.Errorf("want a time up to %v, such as 5s", maxWithin)
		}
	}
	return err
}

// checkID returns an error unless text can be the id of a publication or a subscription.
func checkID(text string) error {
	if store.Publications.CheckCursor(text) != nil {
		return errors.New("want the id of a row, such as 019f0a3c-7d2e-7c41-9d55-0242ac120002")
	}
	return nil
}

// outcomesOf returns the outcomes that rows of this kind can be filtered by.
func outcomesOf(k *store.Kind) (words []string) {
	outcomes := pipe.Outcomes
	switch k {
	case store.Calls:
		outcomes = pipe.CallOutcomes
	case store.Publications:
		outcomes = pipe.PublicationOutcomes
	case store.Subscriptions:
		outcomes = pipe.SubscriptionOutcomes
	}
	for _, o := range outcomes {
		words = append(words, string(o))
	}
	if k != store.Requests {
		words = append(words, store.StillOpen)
	}
	return words
}

// Shapes are the values of the filter shape.
var Shapes = []string{pipe.Channel.String(), pipe.Topic.String(), pipe.Service.String()}

func oneOf(words []string, text string) error {
	if slices.Contains(words, text) {
		return nil
	}
	return fmt.Errorf("want one of %s", strings.Join(words, ", "))
}

// parseTime reads a time (RFC 3339), or how long ago it was (24h, 7d).
func parseTime(text string, now time.Time) (time.Time, error) {
	// A query decodes an unescaped + as a blank, and no time contains a blank.
	if t, err := time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+")); err == nil {
		return t, nil
	}
	unit := time.Duration(1)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if _, err := strconv.ParseFloat(days, 64); err == nil { // reject 1h7d
			text, unit = days+"h", 24
		}
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 || ago > 100*365*24*time.Hour/unit {
		return time.Time{}, errors.New("want a time such as 2026-11-22T10:00:00Z, or how long ago, such as 24h or 7d")
	}
	return now.Add(-ago * unit), nil
}
