package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"httpipe/migrations"
)

// session is a session with the database, from opening it to the next outage: the writer's connection with its
// prepared statements, and a second connection for the checkpointer. The methods are for the writer only.
//
// Database calls have a context that is never cancelled. One that can be cancelled would cost a goroutine per
// call, and could interrupt a COMMIT.
type session struct {
	file       *lockedFile
	db         *sql.DB
	conn       *sql.Conn // the only connection of db
	wal        fileState // identifies the WAL
	shm        fileState // identifies the wal-index
	statements statements

	blocks          blocks
	walSize         int64                 // in bytes, when checkFiles last looked
	walLastTry      time.Time             // when boundWAL last looked
	walBlockedSince time.Time             // since when it cannot bound the WAL; zero: it can
	walLastWarning  time.Time             // when that was last logged
	lastCommit      time.Time             // when the last commit of rows returned
	checkpointer    *sql.DB               // used only by the checkpointer's goroutine until it has stopped
	behind          chan struct{}         // capacity 1; wakes the checkpointer before its next tick
	ioError         atomic.Pointer[error] // set by the checkpointer; the writer then ends the session, see keepWAL
	stop            chan struct{}         // closed by stopCheckpointer, which then sets it to nil
	stopped         chan struct{}         // closed by the checkpointer's goroutine when it returns
}

// dsn returns the data source name for a file. It escapes the path, since "#", "?" and "%" have a meaning in
// it.
func dsn(path, mode string, busy time.Duration) string {
	query := url.Values{
		"mode":          {mode}, // never rwc: only openLocked creates the file
		"_txlock":       {"immediate"},
		"_busy_timeout": {strconv.FormatInt(busy.Milliseconds(), 10)},
		"_synchronous":  {"FULL"},
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}

// openSession begins a session with a locked file and migrates the schema. Statements wait up to busy for
// another process's lock.
func openSession(f *lockedFile, limits limits, busy time.Duration, logger *slog.Logger) (_ *session, err error) {
	if err := f.checkContent(); err != nil {
		return nil, err
	}
	s := &session{file: f}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	// Only the writer uses the connection, so SQLite need not lock it for each call.
	if s.db, err = sql.Open("sqlite3", dsn(f.path, "rw", busy)+"&_mutex=no"); err != nil {
		return nil, err
	}
	s.db.SetMaxOpenConns(1)
	if s.conn, err = s.db.Conn(context.Background()); err != nil {
		return nil, err
	}
	// Migrate before enabling the WAL, so that the application id of a new file is in the file itself from then
	// on.
	if err := s.migrate(migrations.Steps(), logger); err != nil {
		return nil, err
	}
	if err := s.configure(); err != nil {
		return nil, err
	}
	if err := s.statements.prepare(s.conn); err != nil {
		return nil, err
	}
	if err := s.blocks.prepare(s.conn, limits.blockSize); err != nil {
		return nil, err
	}
	s.statements.blocks = &s.blocks
	if s.wal, err = statFile(f.path+"-wal", 0); err != nil {
		return nil, err
	}
	if s.shm, err = statFile(f.path+"-shm", 0); err != nil {
		return nil, err
	}
	if err := f.checkContent(); err != nil { // it may have been replaced while SQLite opened it
		return nil, err
	}
	now, err := f.currentFingerprint()
	if err != nil {
		return nil, err
	}
	f.remember(now)
	if err := f.syncDir(); err != nil {
		return nil, err
	}
	if s.checkpointer, err = sql.Open("sqlite3", dsn(f.path, "rw", 0)); err != nil {
		return nil, err
	}
	s.checkpointer.SetMaxOpenConns(1)
	s.behind, s.stop, s.stopped = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	go s.runCheckpoints(limits, s.stop)
	return s, nil
}

// configure sets what the DSN cannot set, and verifies all settings: SQLite ignores those it does not know.
func (s *session) configure() error {
	if err := s.exec("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0"); err != nil {
		return err
	}
	for _, pragma := range []struct{ name, want string }{
		{"journal_mode", "wal"},
		{"synchronous", "2"}, // FULL
		{"wal_autocheckpoint", "0"},
		{"user_version", strconv.Itoa(len(migrations.Steps()))}, // the first to read the file, which creates the WAL
	} {
		var got string
		if err := s.queryRow("PRAGMA " + pragma.name).Scan(&got); err != nil {
			return err
		}
		if got != pragma.want {
			return fmt.Errorf("SQLite reports %s=%s instead of %s; the file may be on a network file system, which is not supported", pragma.name, got, pragma.want)
		}
	}
	return nil
}

// warnOfSchema logs how the schema differs from httpipe's: without a trigger rows can be changed, and without a view
// queries fail. The server can record all the same, so the start goes on.
func (s *session) warnOfSchema(logger *slog.Logger) error {
	problems, err := compareSchema(context.Background(), s.conn, len(migrations.Steps()))
	if err == nil && len(problems) > 0 {
		logger.Warn("another program has changed the schema of the audit log; restore a backup, or move the log away to begin a new one",
			"file", s.file.path, "problems", strings.Join(problems, "; "))
	}
	return err
}

// migrate runs the steps that the file has not had yet, each in its own transaction.
func (s *session) migrate(steps []migrations.Step, logger *slog.Logger) error {
	var id, version, objects int
	for query, dest := range map[string]*int{
		"PRAGMA application_id":              &id,
		"PRAGMA user_version":                &version,
		"SELECT count(*) FROM sqlite_schema": &objects,
	} {
		if err := s.queryRow(query).Scan(dest); err != nil {
			return err
		}
	}
	if id != applicationID && (id != 0 || objects != 0) { // otherwise empty: new, or the first commit was interrupted
		return s.file.notALog(fmt.Sprintf("its application id is %#x", id))
	}
	if version > len(steps) {
		return s.file.newer(version)
	}
	if version == 0 || version == len(steps) {
		return s.migrateFrom(steps, version)
	}
	logger.Info("migrating the audit log; this can take a while", "file", s.file.path,
		"schema", version, "wanted", len(steps))
	began := time.Now()
	if err := s.migrateFrom(steps, version); err != nil {
		return err
	}
	logger.Info("migrated the audit log", "file", s.file.path, "took", time.Since(began).Round(time.Millisecond).String())
	return nil
}

// migrateFrom runs the steps from the given version on.
func (s *session) migrateFrom(steps []migrations.Step, version int) error {
	for n := version; n < len(steps); n++ {
		err := s.transaction(func() error {
			if err := s.exec(steps[n].SQL); err != nil {
				return err
			}
			return s.exec(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, n+1))
		})
		if err != nil {
			return fmt.Errorf("migration %s: %w", steps[n].Name, err)
		}
	}
	return nil
}

// transaction runs f in a transaction. After an error it rolls back, but a COMMIT that failed may have taken
// effect.
func (s *session) transaction(f func() error) error {
	if err := s.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = s.exec("COMMIT")
	}
	if err != nil {
		s.rollback() // fails if SQLite has already rolled back
	}
	return err
}

func (s *session) rollback() error {
	return s.exec("ROLLBACK")
}

func (s *session) exec(statement string, args ...any) error {
	_, err := s.conn.ExecContext(context.Background(), statement, args...)
	return err
}

func (s *session) queryRow(query string, args ...any) *sql.Row {
	return s.conn.QueryRowContext(context.Background(), query, args...)
}

// setBusyTimeout sets how long statements wait for another process's lock.
func (s *session) setBusyTimeout(timeout time.Duration) error {
	return s.exec(fmt.Sprintf("PRAGMA busy_timeout=%d", timeout.Milliseconds()))
}

// probe makes a commit that changes nothing except the header, to find out whether commits work.
func (s *session) probe() error {
	return s.transaction(func() error {
		return s.exec(fmt.Sprintf("PRAGMA user_version=%d", len(migrations.Steps())))
	})
}

// close closes the connections. Uncommitted changes are lost.
func (s *session) close() error {
	s.stopCheckpointer()
	var errs []error
	if s.checkpointer != nil {
		errs = append(errs, s.checkpointer.Close())
	}
	if s.conn != nil {
		s.statements.close()
		s.blocks.close()
		errs = append(errs, s.conn.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}
