package store

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// A Kind is a kind of row that a History can list; each has a view of its own. Kinds lists them all.
type Kind struct {
	Name    string   // of the view
	Filters []string // what a Filter can select by, besides the time: columns, and the other side of a delivery

	view    string // to query; "": the one with the kind's name
	key     string // for keyColumn; "": id
	table   string // with main. if it may be hidden; see reader.adapt
	columns string // the columns to return
	textID  bool
	indexes []index // of the table; the index on a channel comes before the index on its namespace alone

	// The column that From and To of a Filter refer to, in the table and in the view. The order of this time can
	// differ from the order of ids: after the clock was set back, for a row that stands for the refusals of a
	// minute, and for exchanges, whose id is generated just before the match.
	time string
}

// An index finds rows by the values of some columns, ordered by id.
type index struct {
	name    string
	columns []string
}

var (
	// Exchanges are filtered by the time of the match.
	Exchanges = &Kind{
		Name:    "exchanges",
		Filters: []string{"namespace", "channel", "outcome"},
		table:   "main.exchange",
		columns: "*",
		textID:  true,
		time:    "matched_at",
	}
	// Requests are those that were never matched. They are filtered by the time of their end, which is when they
	// are recorded. Exceptions are rows that stand for the refusals of a minute.
	Requests = &Kind{
		Name:    "requests",
		Filters: []string{"namespace", "channel", "outcome", "role", "shape"},
		table:   "main.request",
		columns: "*",
		time:    "ended_at",
		indexes: []index{
			{"request_channel", []string{"namespace", "channel"}}, {"request_namespace", []string{"namespace"}},
			{"request_outcome", []string{"outcome"}}, {"request_role", []string{"role"}},
		},
	}
	// Channels are the lives of channels, filtered by the time of their opening. Unlike the view, a page has no
	// counts for a life that is still open, because counting could take long. A page also has the lives of
	// livesInExchange (lives.go).
	Channels = &Kind{
		Name:    "channels",
		view:    "lives_with_row",
		Filters: []string{"namespace", "channel"},
		table:   "main.life",
		columns: `namespace, channel, opened_at, closed_at, reason, CASE WHEN reason IS NOT NULL THEN exchanges END AS exchanges,
			CASE WHEN reason IS NOT NULL THEN bytes END AS bytes, id, node`,
		time: "opened_at",
	}
	// Calls are filtered by the time at which a worker took them.
	Calls = &Kind{
		Name:    "calls",
		Filters: []string{"namespace", "service", "outcome"},
		table:   "main.exchange",
		columns: "*",
		textID:  true,
		time:    "taken_at",
	}
	// Publications are filtered by the time at which the topic accepted them.
	Publications = &Kind{
		Name:    "publications",
		Filters: []string{"namespace", "topic", "outcome", "subscription"},
		table:   "publication",
		columns: "*",
		textID:  true,
		time:    "published_at",
		indexes: []index{{"publication_topic", []string{"namespace", "topic"}}},
	}
	// Subscriptions are filtered by the time of their beginning.
	Subscriptions = &Kind{
		Name:    "subscriptions",
		Filters: []string{"namespace", "topic", "outcome", "publication"},
		table:   "subscription",
		columns: "*",
		textID:  true,
		time:    "subscribed_at",
		indexes: []index{{"subscription_topic", []string{"namespace", "topic"}}},
	}
)

// Kinds are all kinds of rows.
var Kinds = []*Kind{Exchanges, Requests, Channels, Calls, Publications, Subscriptions}

// KindOf returns the kind with that name, or nil.
func KindOf(name string) *Kind {
	if i := slices.IndexFunc(Kinds, func(k *Kind) bool { return k.Name == name }); i >= 0 {
		return Kinds[i]
	}
	return nil
}

// keyColumn returns the column of the view by which a scan finds rows: the id of a row of the table.
func (k *Kind) keyColumn() string { return cmp.Or(k.key, "id") }

// CheckCursor returns an error if cursor cannot come from a page of this kind.
func (k *Kind) CheckCursor(cursor string) error {
	_, err := k.parseCursor(cursor)
	return err
}

// parseCursor returns the id in a cursor, and of the two in one of Channels that of the life.
func (k *Kind) parseCursor(cursor string) (any, error) {
	if k == Channels {
		life, _, err := parseLivesCursor(cursor)
		return life, err
	}
	if k.textID {
		if !idPattern.MatchString(cursor) {
			return nil, fmt.Errorf("%q is not a cursor of %s", cursor, k.Name)
		}
		return cursor, nil
	}
	id, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || id < 0 {
		return nil, fmt.Errorf("%q is not a cursor of %s", cursor, k.Name)
	}
	return id, nil
}
