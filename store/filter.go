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

// A driver finds ids through one index: all that its filter asks for, and perhaps more.
type driver struct {
	query   string   // for ids, and for what the order goes by; ?1 and ?2 are a span
	args    []any    // what else it needs, from ?3 on
	order   string   // which has the newest first
	columns []string // of the filter, which need not be looked at any more
	list    bool     // to find the rows, list the ids first: there is no index for the rows themselves
}

const byID = "id DESC"

// drivers returns all that can be used for a filter, at least one.
func (k *Kind) drivers(f *Filter, running func() []string) []driver {
	var found []driver
	for _, i := range k.indexes {
		if conditions, args := f.conditions(i.columns); conditions != "" && !finds(found, i.columns[0]) {
			query := fmt.Sprintf("SELECT id FROM %s INDEXED BY %s WHERE id >= ?1 AND id < ?2%s", k.table, i.name, conditions)
			found = append(found, driver{query: query, args: args, order: byID, columns: i.columns})
		}
	}
	if k == Exchanges {
		found = append(byBlock(f), byOutcome(f.Outcome, running)...)
	}
	if found == nil {
		found = []driver{{query: "SELECT id FROM " + k.table + " NOT INDEXED WHERE id >= ?1 AND id < ?2", order: byID}}
	}
	return found
}

// finds reports whether one of the drivers goes by that column.
func finds(drivers []driver, column string) bool {
	return slices.ContainsFunc(drivers, func(d driver) bool { return slices.Contains(d.columns, column) })
}

// conditions returns what the filter wants of these columns, as conditions that are to be added, and their args from ?3 on. If
// it does not ask for each of them, that is nothing.
func (f *Filter) conditions(columns []string) (text string, args []any) {
	for i, column := range columns {
		value := f.value(column)
		if value == "" {
			return "", nil
		}
		text += fmt.Sprintf(" AND %s = ?%d", column, 3+i)
		args = append(args, value)
	}
	return text, args
}

// byBlock returns a driver that finds the exchanges of a namespace, or of a channel: in one block after the other, and before
// that among those that are in none yet.
func byBlock(f *Filter) []driver {
	columns := []string{"namespace", "channel"}
	conditions, args := f.conditions(columns)
	if conditions == "" {
		columns = columns[:1]
		conditions, args = f.conditions(columns)
	}
	if conditions == "" {
		return nil
	}
	const first = "(SELECT id FROM block WHERE last >= %s ORDER BY last LIMIT 1)" // that can have an id
	return []driver{{
		query: `SELECT 1 << 62 AS block, id FROM exchange NOT INDEXED
			WHERE id > coalesce((SELECT max(last) FROM block), '') AND id >= ?1 AND id < ?2` + conditions + `
			UNION ALL SELECT b.id, exchange FROM block b CROSS JOIN block_entry x ON x.block = b.id
			WHERE b.id >= ` + fmt.Sprintf(first, "?1") + ` AND b.id <= coalesce(` + fmt.Sprintf(first, "?2") + `, 1 << 62)
			AND exchange >= ?1 AND exchange < ?2` + conditions,
		args:    args,
		order:   "block DESC, id DESC",
		columns: columns,
		list:    true,
	}}
}

// byOutcome returns a driver that finds exchanges by their outcome, unless most have it. The outcome is with the beginning or
// with the ending; while there is none, the server knows what runs.
func byOutcome(outcome string, running func() []string) []driver {
	switch {
	case outcome == "" || outcome == Delivered || outcome == StillOpen && running == nil:
		return nil
	case outcome == StillOpen:
		return []driver{{
			query: "SELECT id FROM (SELECT value AS id FROM json_each(?3)) WHERE id >= ?1 AND id < ?2",
			args:  []any{jsonArray(running())},
			order: byID,
			list:  true,
		}}
	}
	return []driver{{
		query: `SELECT id FROM exchange INDEXED BY exchange_outcome WHERE id >= ?1 AND id < ?2 AND outcome <> 'delivered' AND outcome = ?3
			UNION ALL
			SELECT id FROM exchange_end INDEXED BY exchange_end_outcome WHERE id >= ?1 AND id < ?2 AND outcome <> 'delivered' AND outcome = ?3`,
		args:  []any{outcome},
		order: byID,
		list:  true,
	}}
}

// span is a range of ids: from low on, and below high.
type span struct{ low, high any }

// in returns the args of the driver's query for a span.
func (d *driver) in(s span) []any { return append([]any{s.low, s.high}, d.args...) }

// nth returns a query for the nth id of a span, where the 0th is the newest, and its args.
func (d *driver) nth(s span, n int) (query string, args []any) {
	return "SELECT id FROM (" + d.query + " ORDER BY " + d.order + " LIMIT 1 OFFSET ?)", append(d.in(s), n)
}

// where returns the condition for the rows of the view in a span, which must come first in its query. A column with a + is
// not looked up in an index.
func (k *Kind) where(d *driver, f *Filter, s span) (condition string, args []any) {
	conditions := []string{"id >= ?", "id < ?"}
	args = []any{s.low, s.high}
	if d.list {
		conditions, args = []string{"id IN (SELECT id FROM (" + d.query + "))"}, d.in(s)
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
