package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"httpipe/migrations"
)

// indexSet are the names of the indexes that a log has. A nil set has all indexes of this version.
type indexSet map[string]bool

func (s indexSet) has(name string) bool { return s == nil || s[name] }

// adapt makes the log of an older version look like one of this version to its connection: it adds what the log lacks as
// temporary objects, which hide those of the file that have the same name. The file is not changed. It returns the indexes
// that the log has.
//
// A table that the log lacks is empty. A column that it lacks has its default. The views are those of this version.
func (r *reader) adapt(ctx context.Context) (indexSet, error) {
	reference, err := referenceSchema(ctx, len(migrations.Steps()))
	if err != nil {
		return nil, err
	}
	defer reference.Close()
	statements := []string{"PRAGMA query_only=OFF; PRAGMA temp_store=MEMORY"}
	tables, err := queryStrings(ctx, reference.conn, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
	if err != nil {
		return nil, err
	}
	for _, table := range tables {
		made, err := adaptTable(ctx, reference.conn, r.conn, table)
		if err != nil {
			return nil, err
		}
		statements = append(statements, made...)
	}
	views, err := queryStrings(ctx, reference.conn, "SELECT replace(sql, 'CREATE VIEW', 'CREATE TEMP VIEW') FROM sqlite_schema WHERE type = 'view' ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	statements = append(append(statements, views...), "PRAGMA query_only=ON")
	for _, statement := range statements {
		if _, err := r.conn.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	names, err := queryStrings(ctx, r.conn, "SELECT name FROM sqlite_schema WHERE type = 'index' UNION SELECT name FROM sqlite_temp_schema WHERE type = 'index'")
	if err != nil {
		return nil, err
	}
	indexes := make(indexSet)
	for _, name := range names {
		indexes[name] = true
	}
	return indexes, nil
}

// adaptTable returns the statements that add what the log lacks of a table.
func adaptTable(ctx context.Context, reference, log *sql.Conn, table string) ([]string, error) {
	const columns = "SELECT name FROM main.pragma_table_info('%s')"
	has, err := queryStrings(ctx, log, fmt.Sprintf(columns, table))
	if err != nil {
		return nil, err
	}
	if len(has) == 0 {
		return queryStrings(ctx, reference, `SELECT CASE type WHEN 'table' THEN replace(sql, 'CREATE TABLE', 'CREATE TEMP TABLE')
			ELSE replace(sql, 'CREATE INDEX ', 'CREATE INDEX temp.') END
			FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL AND tbl_name = '`+table+"' ORDER BY rowid")
	}
	want, err := queryStrings(ctx, reference, fmt.Sprintf(columns, table))
	if err != nil || len(want) == len(has) {
		return nil, err
	}
	for i, column := range want {
		if !slices.Contains(has, column) {
			value, err := queryStrings(ctx, reference, fmt.Sprintf("SELECT coalesce(dflt_value, 'NULL') FROM pragma_table_info('%s') WHERE name = '%s'", table, column))
			if err != nil {
				return nil, err
			}
			want[i] = value[0] + " AS " + column
		}
	}
	return []string{fmt.Sprintf("CREATE TEMP VIEW %s AS SELECT %s FROM main.%[1]s", table, strings.Join(want, ", "))}, nil
}
