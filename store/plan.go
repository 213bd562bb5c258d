package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The query planner. SQLite's own planner has no statistics here and would estimate; this one measures. For a
// filter there are several plans, one for each index that helps. Of a kind's plans, choose takes the one that has
// the fewest ids to visit. A walk (page.go) then visits these ids in spans, and reads the rows of each span
// through the view.

// A plan finds ids through one index: all that its filter asks for, and perhaps more.
type plan struct {
	query   string   // for ids, and for what the order goes by; ?1 and ?2 are a span
	args    []any    // what else it needs, from ?3 on
	order   string   // which has the newest first
	columns []string // of the filter, which need not be looked at any more
	list    bool     // to find the rows, list the ids first: there is no index for the rows themselves
}

const byID = "id DESC"

// plans returns all that can be used for a filter, at least one.
func (k *Kind) plans(f *Filter, running func() []string) []plan {
	var found []plan
	for _, i := range k.indexes {
		if conditions, args := f.conditions(i.columns); conditions != "" && !finds(found, i.columns[0]) {
			query := fmt.Sprintf("SELECT id FROM %s INDEXED BY %s WHERE id >= ?1 AND id < ?2%s", k.table, i.name, conditions)
			found = append(found, plan{query: query, args: args, order: byID, columns: i.columns})
		}
	}
	if k == Exchanges {
		found = append(byBlock(f), byOutcome(f.Outcome, running)...)
	}
	if found == nil {
		found = []plan{{query: "SELECT id FROM " + k.table + " NOT INDEXED WHERE id >= ?1 AND id < ?2", order: byID}}
	}
	return found
}

// finds reports whether one of the plans goes by that column.
func finds(plans []plan, column string) bool {
	return slices.ContainsFunc(plans, func(p plan) bool { return slices.Contains(p.columns, column) })
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

// byBlock returns a plan that finds the exchanges of a namespace, or of a channel: in one block after the other, and before
// that among those that are in none yet.
func byBlock(f *Filter) []plan {
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
	return []plan{{
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

// byOutcome returns a plan that finds exchanges by their outcome, unless most have it. The outcome is with the beginning or
// with the ending; while there is none, the server knows what runs.
func byOutcome(outcome string, running func() []string) []plan {
	switch {
	case outcome == "" || outcome == Delivered || outcome == StillOpen && running == nil:
		return nil
	case outcome == StillOpen:
		return []plan{{
			query: "SELECT id FROM (SELECT value AS id FROM json_each(?3)) WHERE id >= ?1 AND id < ?2",
			args:  []any{jsonArray(running())},
			order: byID,
			list:  true,
		}}
	}
	return []plan{{
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

// in returns the args of the plan's query for a span.
func (p *plan) in(s span) []any { return append([]any{s.low, s.high}, p.args...) }

// nth returns a query for the nth id of a span, where the 0th is the newest, and its args.
func (p *plan) nth(s span, n int) (query string, args []any) {
	return "SELECT id FROM (" + p.query + " ORDER BY " + p.order + " LIMIT 1 OFFSET ?)", append(p.in(s), n)
}

// where returns the condition for the rows of the view in a span, which must come first in its query. A column with a + is
// not looked up in an index.
func (k *Kind) where(p *plan, f *Filter, s span) (condition string, args []any) {
	conditions := []string{"id >= ?", "id < ?"}
	args = []any{s.low, s.high}
	if p.list {
		conditions, args = []string{"id IN (SELECT id FROM (" + p.query + "))"}, p.in(s)
	}
	for _, column := range k.Filters {
		if value := f.value(column); value != "" {
			if p.list || !slices.Contains(p.columns, column) {
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

// choose takes the plan with the fewest ids to visit: the one that gets furthest back in time with the same number of them.
func (w *walk) choose(ctx context.Context, plans []plan) error {
	w.plan = plans[0]
	if len(plans) == 1 {
		return nil
	}
	var oldest any
	for _, p := range plans {
		id, err := w.nth(ctx, &p, w.pace.sample)
		if err != nil {
			return err
		}
		if id == nil {
			w.plan = p // it has not even that many
			return nil
		}
		if oldest == nil || compareIDs(id, oldest) < 0 {
			w.plan, oldest = p, id
		}
	}
	return nil
}

// nth returns the id behind which the plan has n-1 newer ones among the rest, or nil.
func (w *walk) nth(ctx context.Context, p *plan, n int) (id any, err error) {
	query, args := p.nth(w.rest, n-1)
	err = w.conn.QueryRowContext(ctx, query, args...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return id, err
}

func jsonArray(texts []string) string {
	array, err := json.Marshal(texts)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(array)
}
