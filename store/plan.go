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

// The query planner. SQLite's own planner has no statistics here and would guess; this one measures. A filter
// has one plan for each index that helps, and choosePlan takes the plan with the fewest ids to visit. A scan
// (scan.go) then visits these ids in spans, and reads the rows of each span through the view.

// A plan finds ids through one index: all ids that match the filter, and perhaps more.
type plan struct {
	query   string   // selects ids, and the columns that order sorts by; ?1 and ?2 are the span
	args    []any    // from ?3 on
	order   string   // newest first
	columns []string // filter columns that the query covers fully
	listIDs bool     // select the rows by a list of ids, because the table itself has no such index
}

const byID = "id DESC"

// plans returns the plans for a filter, at least one.
func (k *Kind) plans(f *Filter, running func() []string, indexes indexSet) []plan {
	var found []plan
	for _, i := range k.indexes {
		if conditions, args := f.conditions(i.columns); conditions != "" && indexes.has(i.name) && !coversColumn(found, i.columns[0]) {
			query := fmt.Sprintf("SELECT id FROM %s INDEXED BY %s WHERE id >= ?1 AND id < ?2%s", k.table, i.name, conditions)
			found = append(found, plan{query: query, args: args, order: byID, columns: i.columns})
		}
	}
	if k == Exchanges || k == livesInExchange {
		found = append(byBlock(f), byOutcome(f.Outcome, running, indexes)...)
	}
	if k == Calls && !indexes.has("exchange_call") { // a log that has no calls
		return []plan{{query: "SELECT id FROM main.exchange WHERE false AND id >= ?1 AND id < ?2", order: byID}}
	}
	if k == Calls {
		found = []plan{{
			query:   "SELECT id FROM main.exchange INDEXED BY exchange_call WHERE id >= ?1 AND id < ?2 AND method IS NOT NULL",
			order:   byID,
			listIDs: true,
		}}
	}
	if found == nil {
		found = []plan{{query: "SELECT id FROM " + k.table + " NOT INDEXED WHERE id >= ?1 AND id < ?2", order: byID}}
	}
	return found
}

// coversColumn reports whether one of the plans covers that column.
func coversColumn(plans []plan, column string) bool {
	return slices.ContainsFunc(plans, func(p plan) bool { return slices.Contains(p.columns, column) })
}

// conditions returns SQL conditions for these columns of the filter, each beginning with AND, and their
// arguments from ?3 on. It returns "" unless the filter has a value for every column.
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

// byBlock returns a plan that finds the exchanges of a namespace or of a channel through the blocks, newest
// block first, preceded by the exchanges that are not in a block yet.
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
	const first = "(SELECT id FROM block WHERE last >= %s ORDER BY last LIMIT 1)" // the block that would contain this id
	return []plan{{
		query: `SELECT 1 << 62 AS block, id FROM main.exchange NOT INDEXED
			WHERE id > coalesce((SELECT max(last) FROM block), '') AND id >= ?1 AND id < ?2` + conditions + `
			UNION ALL SELECT b.id, exchange FROM block b CROSS JOIN block_entry x ON x.block = b.id
			WHERE b.id >= ` + fmt.Sprintf(first, "?1") + ` AND b.id <= coalesce(` + fmt.Sprintf(first, "?2") + `, 1 << 62)
			AND exchange >= ?1 AND exchange < ?2` + conditions,
		args:    args,
		order:   "block DESC, id DESC",
		columns: columns,
		listIDs: true,
	}}
}

// byOutcome returns a plan that finds exchanges by their outcome, except for the most common one. The outcome
// is in the row of the beginning or in that of the ending. An open exchange has neither, but the server knows
// which these are.
func byOutcome(outcome string, running func() []string, indexes indexSet) []plan {
	switch {
	case outcome == "" || outcome == Delivered || outcome == StillOpen && running == nil || !indexes.has("exchange_outcome"):
		return nil
	case outcome == StillOpen:
		return []plan{{
			query:   "SELECT id FROM (SELECT value AS id FROM json_each(?3)) WHERE id >= ?1 AND id < ?2",
			args:    []any{jsonArray(running())},
			order:   byID,
			listIDs: true,
		}}
	}
	return []plan{{
		query: `SELECT id FROM main.exchange INDEXED BY exchange_outcome WHERE id >= ?1 AND id < ?2 AND outcome <> 'delivered' AND outcome = ?3
			UNION ALL
			SELECT id FROM exchange_end INDEXED BY exchange_end_outcome WHERE id >= ?1 AND id < ?2 AND outcome <> 'delivered' AND outcome = ?3`,
		args:    []any{outcome},
		order:   byID,
		listIDs: true,
	}}
}

// span is the range of ids from low up to, but not including, high.
type span struct{ low, high any }

// argsFor returns the arguments of the plan's query for a span.
func (p *plan) argsFor(s span) []any { return append([]any{s.low, s.high}, p.args...) }

// nthQuery returns a query for the nth newest id of a span, counted from 0, and its arguments.
func (p *plan) nthQuery(s span, n int) (query string, args []any) {
	return "SELECT id FROM (" + p.query + " ORDER BY " + p.order + " LIMIT 1 OFFSET ?)", append(p.argsFor(s), n)
}

// where returns the condition that selects the rows of the view in a span. Its numbered parameters require it
// to be first in the query. A "+" before a column keeps SQLite from using an index for it.
func (k *Kind) where(p *plan, f *Filter, s span) (condition string, args []any) {
	key := k.keyColumn()
	conditions := []string{key + " >= ?", key + " < ?"}
	args = []any{s.low, s.high}
	if p.listIDs {
		conditions, args = []string{key + " IN (SELECT id FROM (" + p.query + "))"}, p.argsFor(s)
	}
	for _, column := range k.Filters {
		if value := f.value(column); value != "" {
			if isDelivery(column) {
				own := strings.TrimSuffix(k.Name, "s")
				conditions = append(conditions, fmt.Sprintf("EXISTS (SELECT 1 FROM deliveries d WHERE d.%s = ? AND d.%s = %s.id)", column, own, k.Name))
				args = append(args, value)
				continue
			}
			if p.listIDs || !slices.Contains(p.columns, column) {
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

// isDelivery reports whether a filter selects rows by the other side of a delivery, which is not a column of the view.
func isDelivery(filter string) bool {
	return filter == "publication" || filter == "subscription"
}

// timestamp formats a time like the views.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// choosePlan takes the plan with the fewest ids to visit: the one that reaches furthest back with the same
// number of ids.
func (sc *scan) choosePlan(ctx context.Context, plans []plan) error {
	sc.plan = plans[0]
	if len(plans) == 1 {
		return nil
	}
	var oldest any
	for _, p := range plans {
		id, err := sc.nthID(ctx, &p, sc.pace.sample)
		if err != nil {
			return err
		}
		if id == nil {
			sc.plan = p // it has fewer ids than the sample
			return nil
		}
		if oldest == nil || compareIDs(id, oldest) < 0 {
			sc.plan, oldest = p, id
		}
	}
	return nil
}

// nthID returns the nth newest id of the plan in the remaining span, counted from 1, or nil.
func (sc *scan) nthID(ctx context.Context, p *plan, n int) (id any, err error) {
	query, args := p.nthQuery(sc.remaining, n-1)
	err = sc.conn.QueryRowContext(ctx, query, args...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return id, err
}

func jsonArray(texts []string) string {
	array, err := json.Marshal(texts)
	if err != nil {
		panic(err) // cannot happen with strings
	}
	return string(array)
}
