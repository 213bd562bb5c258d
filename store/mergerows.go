package store

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// mergedRunBits is how many of the lower bits of the id of a life or a request hold the run in a merged log. The views in
// package migrations use the same number; see 0007_nodes.sql.
const mergedRunBits = 20

// identify determines which logs the sources are copies of, and the names of their nodes.
func (m *merge) identify(ctx context.Context) error {
	for i := range m.sources {
		s := &m.sources[i]
		var id string
		if err := m.conn.QueryRowContext(ctx, fmt.Sprintf("SELECT id FROM s%d.identity", i)).Scan(&id); err != nil {
			return s.reader.explain("cannot be read", err)
		}
		var err error
		if s.runs, err = m.runs(ctx, i); err != nil {
			return s.reader.explain("cannot be read", err)
		}
		if err := m.addTo(id, s); err != nil {
			return err
		}
	}
	for _, log := range m.logs {
		log.name()
	}
	for i, log := range m.logs {
		for _, other := range m.logs[:i] {
			if log.node == other.node {
				return fmt.Errorf("audit logs %s and %s: both are of a node %s, but they are different logs; give one of them another name: NAME=%s",
					other.first.reader.path, log.first.reader.path, log.node, log.first.Path)
			}
		}
	}
	return nil
}

// runs returns the runs of a source.
func (m *merge) runs(ctx context.Context, source int) (runs []mergeRun, err error) {
	rows, err := m.conn.QueryContext(ctx, fmt.Sprintf("SELECT id, started_at, version, coalesce(node, '') FROM s%d.run ORDER BY id", source))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var run mergeRun
		if err := rows.Scan(&run.id, &run.started, &run.version, &run.node); err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, rows.Err()
}

// addTo notes that a source is a copy of the log with that identity.
func (m *merge) addTo(id string, s *mergeSource) error {
	i := slices.IndexFunc(m.logs, func(l *mergeLog) bool { return l.id == id })
	if i < 0 {
		s.log = &mergeLog{id: id, node: s.Node, first: *s}
		m.logs = append(m.logs, s.log)
		return nil
	}
	log := m.logs[i]
	s.log = log
	shared := min(len(s.runs), len(log.first.runs))
	for n := range shared {
		if s.runs[n] != log.first.runs[n] {
			return overlapError(log.first, *s, fmt.Sprintf("run %d is not the same in both", s.runs[n].id))
		}
	}
	if s.Node != "" && log.node != "" && s.Node != log.node {
		return fmt.Errorf("audit logs %s and %s: are copies of one log, so they cannot be of two nodes, %s and %s",
			log.first.reader.path, s.reader.path, log.node, s.Node)
	}
	log.node = cmp.Or(log.node, s.Node)
	if len(s.runs) > len(log.first.runs) {
		log.first = *s
	}
	return nil
}

// overlapError is the error for two copies of a log that differ in a row.
func overlapError(a, b mergeSource, how string) error {
	return fmt.Errorf("audit logs %s and %s: are copies of one log that have continued separately (%s); merge only one of them", a.reader.path, b.reader.path, how)
}

// name sets the name of the log's node, unless it was given: the one that its newest run with a name has, or that of the
// file. It also names the runs that have no name, or all if it was given.
func (l *mergeLog) name() {
	given := l.node != ""
	for _, run := range slices.Backward(l.first.runs) {
		l.node = cmp.Or(l.node, run.node)
	}
	l.node = cmp.Or(l.node, strings.TrimSuffix(filepath.Base(l.first.reader.path), ".db"))
	for i, run := range l.first.runs {
		if given || run.node == "" {
			l.first.runs[i].node = l.node
		}
	}
}

// number gives the runs of all logs new ids, in the order of their start, and writes them.
func (m *merge) number(ctx context.Context) error {
	type numbered struct {
		mergeRun
		log   *mergeLog
		start int64 // ascends in a log even if the clock was set back
	}
	var all []numbered
	for _, log := range m.logs {
		var start int64
		for _, run := range log.first.runs {
			start = max(start, run.started)
			all = append(all, numbered{run, log, start})
		}
	}
	if len(all) >= 1<<mergedRunBits {
		return fmt.Errorf("the logs have %d runs, more than a merged log can number", len(all))
	}
	slices.SortStableFunc(all, func(a, b numbered) int { return cmp.Compare(a.start, b.start) })
	if err := m.exec(ctx, "CREATE TEMP TABLE run_map (source INTEGER, old INTEGER, new INTEGER, PRIMARY KEY (source, old)) WITHOUT ROWID"); err != nil {
		return err
	}
	for i, run := range all {
		id := int64(i + 1)
		err := m.exec(ctx, "INSERT INTO run (id, started_at, version, node) VALUES (?, ?, ?, ?)", id, run.started, run.version, run.node)
		if err == nil {
			err = m.exec(ctx, "INSERT INTO origin (run, log, log_run) VALUES (?, ?, ?)", id, run.log.id, run.id)
		}
		for n := range m.sources {
			if err == nil && m.sources[n].log == run.log {
				err = m.exec(ctx, "INSERT INTO run_map VALUES (?, ?, ?)", n, run.id, id)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A mergeTable is how a table's rows are merged. Its first column is its key.
type mergeTable struct {
	name   string
	run    string // the id of the row's run in its log; "": the row has none
	number string // with run: the number in the run of a row that has a new id
	ids    string // with number: the table that has the new ids
	mapped string // the column that gets the new id, or with run alone the new run
	time   string // the column by which the rows get their new ids; "": they do not
}

var mergeTables = []mergeTable{
	{name: "run_end", run: "t.id", mapped: "id"},
	{name: "life", run: "t.id >> 32", number: "(t.id & 4294967295)", ids: "life_map", mapped: "id", time: "opened_at"},
	{name: "life_end", run: "t.id >> 32", number: "(t.id & 4294967295)", ids: "life_map", mapped: "id"},
	{name: "request", run: "t.id >> 32", number: "(t.id & 4294967295)", ids: "request_map", mapped: "id", time: "ended_at"},
	{name: "exchange", run: "t.life >> 32", number: "(t.life & 4294967295)", ids: "life_map", mapped: "life"},
	{name: "exchange_end"},
	{name: "call"},
	{name: "publication", run: "t.run", mapped: "run"},
	{name: "publication_end"},
	{name: "subscription", run: "t.run", mapped: "run"},
	{name: "subscription_end"},
}

// fill writes all rows. Triggers and indexes follow the rows: without them that takes half the time.
func (m *merge) fill(ctx context.Context) error {
	later, err := queryStrings(ctx, m.conn, "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type, rowid")
	if err != nil {
		return err
	}
	drops, err := queryStrings(ctx, m.conn, "SELECT 'DROP ' || type || ' ' || name FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL")
	if err != nil {
		return err
	}
	if err := m.exec(ctx, strings.Join(drops, ";")); err != nil {
		return err
	}
	if err := m.number(ctx); err != nil {
		return err
	}
	for _, t := range mergeTables {
		if err := m.copy(ctx, t); err != nil {
			return err
		}
		if err := m.checkGrowth(); err != nil {
			return err
		}
	}
	cutoffs := m.union(func(i int) string { return fmt.Sprintf("SELECT ended_before, recorded_at FROM s%d.cutoff", i) })
	for _, statement := range append([]string{
		"INSERT INTO cutoff SELECT ended_before, max(recorded_at) FROM (" + cutoffs + ") GROUP BY 1",
		fmt.Sprintf("INSERT INTO block SELECT n, max(id) FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / %d + 1 AS n FROM exchange) GROUP BY n", standardLimits.blockSize),
		fmt.Sprintf(`INSERT INTO block_entry SELECT (row_number() OVER (ORDER BY id) - 1) / %d + 1, namespace, channel, id FROM exchange
			ORDER BY 1, namespace, channel, id`, standardLimits.blockSize),
	}, later...) {
		if err := m.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// checkGrowth returns an error if the WAL of a source, which its server cannot empty, has grown too much.
func (m *merge) checkGrowth() error {
	for _, s := range m.sources {
		if grown := s.reader.walSize() - s.wal; grown > m.walGrowth {
			return fmt.Errorf("audit log %s has grown by %d MB meanwhile; merge a backup of it (httpipe audit backup)", s.reader.path, grown>>20)
		}
	}
	return nil
}

// copy writes the rows of a table. A row that two copies of a log have is the same in both, and written once.
func (m *merge) copy(ctx context.Context, t mergeTable) error {
	columns, err := queryStrings(ctx, m.conn, "SELECT name FROM main.pragma_table_info('"+t.name+"')")
	if err != nil {
		return err
	}
	if t.time != "" {
		err := m.exec(ctx, fmt.Sprintf("CREATE TEMP TABLE %s (old INTEGER NOT NULL PRIMARY KEY, new INTEGER NOT NULL) WITHOUT ROWID", t.ids))
		if err == nil {
			err = m.exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT old, (row_number() OVER (ORDER BY at, old) << %d) | (old >> 32) FROM (%s)", t.ids, mergedRunBits,
				m.union(func(i int) string {
					return fmt.Sprintf("SELECT (r.new << 32) | %s AS old, t.%s AS at FROM %s t LEFT JOIN run_map r ON r.source = %d AND r.old = %s",
						t.number, t.time, t.numbered(i), i, t.run)
				})))
		}
		if err != nil {
			return m.explain(ctx, t, columns, err)
		}
	}
	err = m.exec(ctx, "INSERT INTO "+t.name+" "+m.union(func(i int) string { return t.rows(columns, i) })+" ORDER BY 1")
	return m.explain(ctx, t, columns, err)
}

// numbered returns the rows of a source that get new ids, which for lives are also those without a row.
func (t mergeTable) numbered(source int) string {
	if t.name != "life" {
		return fmt.Sprintf("s%d.%s", source, t.name)
	}
	return fmt.Sprintf(`(SELECT id, opened_at FROM s%d.life UNION ALL
		SELECT life, matched_at - opened_before_ms FROM s%[1]d.exchange WHERE opened_before_ms IS NOT NULL)`, source)
}

// rows returns the query for the rows of a source as the merged log has them.
func (t mergeTable) rows(columns []string, source int) string {
	list := "t." + strings.Join(columns, ", t.")
	joins := ""
	if t.run != "" {
		joins = fmt.Sprintf(" LEFT JOIN run_map r ON r.source = %d AND r.old = %s", source, t.run)
		mapped := "r.new"
		if t.ids != "" {
			joins += fmt.Sprintf(" LEFT JOIN %s m ON m.old = (r.new << 32) | %s", t.ids, t.number)
			mapped = "coalesce(m.new, r.new)" // the beginning of a life can be lost, and its exchanges recorded
		}
		list = strings.Replace(list, "t."+t.mapped, mapped, 1)
	}
	return fmt.Sprintf("SELECT %s FROM s%d.%s t%s", list, source, t.name, joins)
}

// union returns the union of a query for each source, without duplicates if sources are copies of one log.
func (m *merge) union(query func(source int) string) string {
	var all []string
	for i := range m.sources {
		all = append(all, query(i))
	}
	if len(m.logs) < len(m.sources) {
		return strings.Join(all, " UNION ")
	}
	return strings.Join(all, " UNION ALL ")
}

// explain returns the error for a table that could not be written. Two rows with the same key are those of two copies of
// a log that have continued separately.
func (m *merge) explain(ctx context.Context, t mergeTable, columns []string, err error) error {
	if sqliteCode(err) != sqlite3.ErrConstraint {
		return err
	}
	for i, a := range m.sources {
		for n, b := range m.sources[:i] {
			var id string
			same := fmt.Sprintf("SELECT t.%[1]s FROM s%[2]d.%[3]s t JOIN s%[4]d.%[3]s o USING (%[1]s) WHERE (t.%[5]s) IS NOT (o.%[6]s) LIMIT 1",
				columns[0], i, t.name, n, strings.Join(columns, ", t."), strings.Join(columns, ", o."))
			if a.log != b.log && strings.HasPrefix(t.run, "t.id") {
				continue // the ids of different logs are independent
			}
			if m.conn.QueryRowContext(ctx, same).Scan(&id) != nil {
				continue
			}
			if a.log != b.log {
				return fmt.Errorf("audit logs %s and %s: both have %s %s, although they are different logs; run httpipe audit check on each", b.reader.path, a.reader.path, t.name, id)
			}
			return overlapError(b, a, fmt.Sprintf("%s %s is not the same in both", t.name, id))
		}
	}
	return fmt.Errorf("table %s: %w; run httpipe audit check on each log", t.name, err)
}
