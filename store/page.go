package store

import (
	"context"
	"database/sql"
	"slices"
)

// A Page is part of the result of a query, newest rows first.
type Page struct {
	Columns []string
	Rows    [][]any // one string, int64 or nil for each column
	Next    string  // cursor of the next page; empty on the last page
}

// Value returns the value of row i in a column. It panics if there is no such column.
func (p Page) Value(i int, column string) any { return p.Rows[i][indexOf(p.Columns, column)] }

// add appends the rows that a query returns.
func (p *Page) add(ctx context.Context, conn *sql.Conn, query string, args ...any) error {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if p.Columns, err = rows.Columns(); err != nil {
		return err
	}
	into := make([]any, len(p.Columns))
	for rows.Next() {
		row := make([]any, len(p.Columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		p.Rows = append(p.Rows, row)
	}
	return rows.Err()
}

func indexOf(columns []string, name string) int {
	i := slices.Index(columns, name)
	if i < 0 {
		panic("store: there is no column " + name)
	}
	return i
}
