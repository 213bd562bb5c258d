package store

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

	// The time that a Filter asks for is in the id if that is text, and else in a column of this name in table and view.
	// Rows can be up to slack away from where this time alone would put them.
	time  string
	slack time.Duration
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
		indexes: []index{{"exchange_channel", []string{"namespace", "channel"}}, {"exchange_namespace", []string{"namespace"}}},
	}
	// Requests that were never matched are filtered by the time of their end, which is when they are recorded, but for a row that
	// stands for the refusals of a minute.
	Requests = &Kind{
		Name:    "requests",
		Filters: []string{"namespace", "channel", "outcome", "role"},
		table:   "request",
		columns: "*",
		time:    "ended_at",
		slack:   time.Minute + time.Second,
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

// partOfID is what a cursor among exchanges can be.
var partOfID = regexp.MustCompile(`^[0-9a-f-]{1,36}$`)

// CheckCursor returns an error unless a page of this kind can have had such a cursor.
func (k *Kind) CheckCursor(cursor string) error {
	_, err := k.parse(cursor)
	return err
}

// parse returns the id that a cursor says.
func (k *Kind) parse(cursor string) (any, error) {
	if k.textID {
		if !partOfID.MatchString(cursor) {
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

// A driver finds ids, the newest first, through one index: all that its filter asks for, and perhaps more.
type driver struct {
	sources []string // FROM and WHERE of one or two queries for ids, which need the args
	args    []any
	columns []string // of the filter, which need not be looked at any more
	list    bool     // to find the rows, list the ids first: there is no index for the rows themselves
}

// drivers returns all that can be used for a filter, at least one.
func (k *Kind) drivers(f *Filter, running func() []string) []driver {
	var found []driver
	for _, i := range k.indexes {
		d := driver{columns: i.columns}
		var conditions []string
		for _, column := range i.columns {
			if value := f.value(column); value != "" {
				conditions = append(conditions, column+" = ?")
				d.args = append(d.args, value)
			}
		}
		if len(conditions) < len(i.columns) || slices.ContainsFunc(found, func(d driver) bool { return slices.Contains(d.columns, i.columns[0]) }) {
			continue
		}
		d.sources = []string{fmt.Sprintf("%s INDEXED BY %s WHERE %s", k.table, i.name, strings.Join(conditions, " AND "))}
		found = append(found, d)
	}
	if k == Exchanges {
		found = append(found, byOutcome(f.Outcome, running)...)
	}
	if found == nil {
		found = []driver{{sources: []string{k.table + " NOT INDEXED WHERE true"}}}
	}
	return found
}

// byOutcome returns a driver that finds exchanges by their outcome, unless most have it. The outcome is with the beginning or
// with the ending; while there is none, the server knows what runs.
func byOutcome(outcome string, running func() []string) []driver {
	switch {
	case outcome == "" || outcome == Delivered || outcome == StillOpen && running == nil:
		return nil
	case outcome == StillOpen:
		return []driver{{
			sources: []string{"(SELECT value AS id FROM json_each(?)) WHERE true"},
			args:    []any{jsonArray(running())},
			list:    true,
		}}
	}
	return []driver{{
		sources: []string{
			"exchange INDEXED BY exchange_outcome WHERE outcome <> 'delivered' AND outcome = ?",
			"exchange_end INDEXED BY exchange_end_outcome WHERE outcome <> 'delivered' AND outcome = ?",
		},
		args: []any{outcome},
		list: true,
	}}
}

// span is a range of ids: from low on, and below high.
type span struct{ low, high any }

// ids returns a query for the driver's ids in a span.
func (d *driver) ids(s span) (query string, args []any) {
	parts := make([]string, len(d.sources))
	for i, source := range d.sources {
		parts[i] = "SELECT id FROM " + source + " AND id >= ? AND id < ?"
		args = append(append(args, d.args...), s.low, s.high)
	}
	return strings.Join(parts, " UNION ALL "), args
}

// where returns the condition for the rows of the view in a span. A column with a + is not looked up in an index.
func (k *Kind) where(d *driver, f *Filter, s span) (condition string, args []any) {
	conditions := []string{"id >= ?", "id < ?"}
	args = []any{s.low, s.high}
	if d.list {
		ids, listed := d.ids(s)
		conditions, args = []string{"id IN (" + ids + ")"}, listed
	}
	for _, column := range k.Filters {
		if value := f.value(column); value != "" {
			if d.list || !slices.Contains(d.columns, column) {
				column = "+" + column
			}
			conditions, args = append(conditions, column+" = ?"), append(args, value)
		}
	}
	if k.time != "" && !f.From.IsZero() {
		conditions, args = append(conditions, k.time+" >= ?"), append(args, timestamp(f.From))
	}
	if k.time != "" && !f.To.IsZero() {
		conditions, args = append(conditions, k.time+" < ?"), append(args, timestamp(f.To))
	}
	return strings.Join(conditions, " AND "), args
}

// timestamp writes a time as the views do.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
