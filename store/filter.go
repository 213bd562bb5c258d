package store

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// StillOpen is the outcome that the view exchanges has for what runs.
const StillOpen = "open"

// A Filter says what is asked for. Of its zero value that is everything.
type Filter struct {
	Namespace, Channel, Outcome, Role string    // "" is any
	From, To                          time.Time // From is included, To is not; zero is no bound
}

// value returns what the filter wants a column to be.
func (f *Filter) value(column string) string {
	switch column {
	case "namespace":
		return f.Namespace
	case "channel":
		return f.Channel
	case "outcome":
		return f.Outcome
	case "role":
		return f.Role
	}
	return ""
}

// A Kind is what the rows of a view tell of. All kinds are below.
type Kind struct {
	Name    string   // of the view
	Filters []string // the columns of a Filter that it has, besides the time

	table   string
	columns string // of the view that are shown
	textID  bool
	indexes []index // of the table; one for a namespace comes behind one for its channels

	// The time that a Filter asks for is in a column of this name, in table and view. Rows can be away from where this time alone
	// would put them: a clock was set back, the row stands for the refusals of a minute, or an id, if that is text with a time in
	// it, was made a moment before its match.
	time string
}

// An index finds the rows that have certain values in some columns, in the order of their ids.
type index struct {
	name    string
	columns []string
}

var (
	// Exchanges are filtered by the time of their match.
	Exchanges = &Kind{
		Name:    "exchanges",
		Filters: []string{"namespace", "channel", "outcome"},
		table:   "exchange",
		columns: "*",
		textID:  true,
		time:    "matched_at",
	}
	// Requests that were never matched are filtered by the time of their end, which is when they are recorded, but for a row that
	// stands for the refusals of a minute.
	Requests = &Kind{
		Name:    "requests",
		Filters: []string{"namespace", "channel", "outcome", "role"},
		table:   "request",
		columns: "*",
		time:    "ended_at",
		indexes: []index{
			{"request_channel", []string{"namespace", "channel"}}, {"request_namespace", []string{"namespace"}},
			{"request_outcome", []string{"outcome"}}, {"request_role", []string{"role"}},
		},
	}
	// Channels are lives of channels, filtered by the time at which they began. What happened in one that is still open is not
	// counted here, as the view does: that could take long.
	Channels = &Kind{
		Name:    "channels",
		Filters: []string{"namespace", "channel"},
		table:   "life",
		columns: `namespace, channel, opened_at, closed_at, reason, CASE WHEN reason IS NOT NULL THEN exchanges END AS exchanges,
			CASE WHEN reason IS NOT NULL THEN bytes END AS bytes, id`,
		time: "opened_at",
	}
)

// Kinds are all there are.
var Kinds = []*Kind{Exchanges, Requests, Channels}

// KindOf returns the kind of that name, or nil.
func KindOf(name string) *Kind {
	if i := slices.IndexFunc(Kinds, func(k *Kind) bool { return k.Name == name }); i >= 0 {
		return Kinds[i]
	}
	return nil
}

// anID is what a cursor among exchanges is.
var anID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// CheckCursor returns an error unless a page of this kind can have had such a cursor.
func (k *Kind) CheckCursor(cursor string) error {
	_, err := k.parse(cursor)
	return err
}

// parse returns the id that a cursor says.
func (k *Kind) parse(cursor string) (any, error) {
	if k.textID {
		if !anID.MatchString(cursor) {
			return nil, fmt.Errorf("no cursor among %s: %q", k.Name, cursor)
		}
		return cursor, nil
	}
	id, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || id < 0 {
		return nil, fmt.Errorf("no cursor among %s: %q", k.Name, cursor)
	}
	return id, nil
}
