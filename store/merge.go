package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"

	"httpipe/migrations"
)

// A Source is a log to merge.
type Source struct {
	Path string
	Node string // the name of its node; "": the name that its runs have, or else the name of the file
}

// A Merged log says which logs a merge has read.
type Merged struct {
	Report
	Sources []Source // with the names of their nodes, in the order in which they were given
}

// MaxSources is how many logs one merge can read: as many as SQLite attaches to a connection.
const MaxSources = 10

// Merge writes a new log, target, with the rows of all sources, for reading: History, Check and Backup work on it, and
// its views name the node of each row. A server refuses it. The sources are not changed, and servers may write to them.
// What Merge reads of a source is its state at one moment after the call.
//
// Sources may be copies of the same log, of different times: a row that several have is in the target once. So a
// backup from before a removal of old rows completes the log. If target exists, it must be a merged log, and all logs
// that it has must be among the sources; it is then replaced at once, or left unchanged after an error.
//
// Merge refuses copies of a log that have continued separately, different logs of nodes with the same name, logs of an
// older version, and merged logs. Its errors name the files and say what to do.
//
// All rows are copied by SQL, so the memory it needs does not grow with the logs. A server cannot empty its WAL while
// its log is read, so Merge gives up if a WAL grows too much.
func Merge(ctx context.Context, target string, sources []Source) (Merged, error) {
	if len(sources) > MaxSources {
		return Merged{}, fmt.Errorf("merge %s: %d logs, but SQLite reads at most %d at once", target, len(sources), MaxSources)
	}
	return mergeWith(ctx, target, sources, standardCopyParams.walGrowth)
}

func mergeWith(ctx context.Context, target string, sources []Source, walGrowth int64) (_ Merged, err error) {
	m := merge{target: target, walGrowth: walGrowth}
	defer m.close()
	for _, source := range sources {
		if err := m.open(source); err != nil {
			return Merged{}, err
		}
	}
	file, err := createPart("merge", target)
	if err != nil {
		return Merged{}, err
	}
	defer removePart(file)
	if err := m.write(ctx, file); err != nil {
		return Merged{}, err
	}
	for _, s := range m.sources {
		if err := s.reader.checkUnchanged(); err != nil {
			return Merged{}, err
		}
	}
	m.close() // let the servers empty their WAL
	merged := Merged{}
	if merged.Report, err = inspectMerged(ctx, file.Name()); err != nil {
		return Merged{}, fmt.Errorf("merge %s: %w", target, err)
	}
	merged.Path = target
	for _, s := range m.sources {
		merged.Sources = append(merged.Sources, Source{Path: s.reader.path, Node: s.log.node})
	}
	return merged, m.publish(file)
}

// removePart closes and removes a partial file with its side files.
func removePart(file *os.File) {
	file.Close()
	for _, suffix := range allFiles {
		os.Remove(file.Name() + suffix)
	}
}

// A merge reads sources, and writes them to one connection, to which they are attached as s0, s1, ….
type merge struct {
	target  string
	replace bool // the target exists and can be replaced

	walGrowth int64 // how many bytes the WAL of a source may grow meanwhile

	sources []mergeSource
	logs    []*mergeLog // the different logs of which the sources are copies
	db      *sql.DB
	conn    *sql.Conn // the only connection of db
}

// A mergeSource is a source that is open.
type mergeSource struct {
	Source
	reader *reader
	log    *mergeLog
	wal    int64      // size of its WAL at the beginning
	runs   []mergeRun // in the order of their ids
}

// A mergeLog is a log, of which several sources can be copies.
type mergeLog struct {
	id    string // identity.id
	node  string
	first mergeSource // the one with the most runs
}

// A mergeRun is a run in a source.
type mergeRun struct {
	id, started   int64
	version, node string
}

// close closes all connections, the first reader last: of two that read the same file, only the first may be able to remove
// the side files. It may be called twice.
func (m *merge) close() {
	if m.conn != nil {
		m.conn.Close()
		m.db.Close()
		m.conn = nil
	}
	for _, s := range slices.Backward(m.sources) {
		s.reader.close()
	}
}

// open opens a source and checks that it can be merged.
func (m *merge) open(source Source) error {
	r, err := openReader(source.Path)
	if err != nil {
		return err
	}
	m.sources = append(m.sources, mergeSource{Source: source, reader: r, wal: r.walSize()})
	if r.merged {
		return fmt.Errorf("audit log %s: is a merged log; merge the logs from which it was made", r.path)
	}
	var version int
	if err := r.queryRow(context.Background(), "PRAGMA user_version", &version); err != nil {
		return err
	}
	if known := len(migrations.Steps()); version < known {
		return fmt.Errorf("audit log %s: made by an older httpipe (schema %d, this version knows %d); start a server of this version to migrate it",
			r.path, version, known)
	}
	return nil
}

// write writes the rows of all sources into an empty file and syncs it.
func (m *merge) write(ctx context.Context, file *os.File) (err error) {
	if m.db, err = sql.Open("sqlite3", dsn(file.Name(), "rw", standardLimits.busyTimeout)); err != nil {
		return err
	}
	m.db.SetMaxOpenConns(1)
	if m.conn, err = m.db.Conn(ctx); err != nil {
		m.db.Close()
		return err
	}
	// A partial file is deleted, not rolled back. The cache is large enough for the upper pages of all tables.
	if err := m.exec(ctx, "PRAGMA main.journal_mode=OFF; PRAGMA main.synchronous=OFF; PRAGMA main.cache_size=-131072"); err != nil {
		return err
	}
	for _, step := range migrations.Steps() {
		if err := m.exec(ctx, step.SQL); err != nil {
			return fmt.Errorf("merge %s: migration %s: %w", m.target, step.Name, err)
		}
	}
	for i, s := range m.sources {
		how, err := s.reader.chooseDSN()
		if err != nil {
			return err
		}
		if err := m.exec(ctx, fmt.Sprintf("ATTACH ? AS s%d", i), how); err != nil {
			return s.reader.explain("cannot be read", err)
		}
	}
	if err := m.exec(ctx, "BEGIN"); err != nil { // holds one snapshot of each source
		return err
	}
	if err := m.identify(ctx); err != nil {
		return err
	}
	if err := m.checkTarget(ctx); err != nil {
		return err
	}
	if err := m.fill(ctx); err != nil {
		return fmt.Errorf("merge %s: %w", m.target, err)
	}
	err = m.exec(ctx, fmt.Sprintf("COMMIT; PRAGMA application_id=%d; PRAGMA user_version=%d", mergedID, len(migrations.Steps())))
	if err != nil {
		return fmt.Errorf("merge %s: %w", m.target, err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("merge %s: %w", m.target, err)
	}
	return nil
}

func (m *merge) exec(ctx context.Context, statement string, args ...any) error {
	_, err := m.conn.ExecContext(ctx, statement, args...)
	if ctx.Err() != nil {
		return context.Cause(ctx) // instead of SQLite's "interrupted"
	}
	if sqliteCode(err) == sqlite3.ErrFull {
		return errors.New("the disk is full; free some space, there or where SQLite keeps temporary files ($SQLITE_TMPDIR, /var/tmp or /tmp)")
	}
	return err
}

// inspectMerged checks a merged log and returns what it contains.
func inspectMerged(ctx context.Context, path string) (Report, error) {
	r, err := openReader(path)
	if err != nil {
		return Report{}, err
	}
	defer r.close()
	report, err := r.examineAll(ctx)
	if err == nil && len(report.Problems) > 0 {
		err = fmt.Errorf("the result is not sound, so at least one of the logs is not either: %s (for details, run httpipe audit check on each)",
			strings.Join(report.Problems[:1], "; "))
	}
	return report, err
}

// checkTarget returns an error if the target exists, unless it is a merged log whose logs are all among the sources.
func (m *merge) checkTarget(ctx context.Context) error {
	_, err := os.Lstat(m.target)
	if m.replace = err == nil; !m.replace {
		return checkVacant("merge", m.target, allFiles)
	}
	old, err := openReader(m.target)
	if err != nil {
		return err
	}
	defer old.close()
	if !old.merged {
		return fmt.Errorf("merge %s: already exists and is not a merged log; choose another name for the result, which comes before the logs", m.target)
	}
	if err := checkVacant("merge", m.target, sideFiles); err != nil {
		return err
	}
	had, err := queryStrings(ctx, old.conn, `SELECT DISTINCT o.log || ' ' || r.node FROM origin o JOIN run r ON r.id = o.run ORDER BY o.run DESC`)
	if err != nil {
		return old.explain("cannot be read", err)
	}
	for _, text := range had {
		log, node, _ := strings.Cut(text, " ")
		if !slices.ContainsFunc(m.logs, func(l *mergeLog) bool { return l.id == log }) {
			return fmt.Errorf("merge %s: it has the log of node %s, which is not among the given logs; give all of them, or choose another name for the result", m.target, node)
		}
	}
	return nil
}

// publish gives the file its final name.
func (m *merge) publish(file *os.File) error {
	if !m.replace {
		return publish("merge", file, m.target)
	}
	if err := giveToOwner(file); err != nil {
		return fmt.Errorf("merge %s: cannot get the owner of its directory: %w", m.target, err)
	}
	if err := os.Rename(file.Name(), m.target); err != nil {
		return fmt.Errorf("merge %s: cannot get its final name: %w", m.target, err)
	}
	return syncDirOf("merge", m.target)
}
