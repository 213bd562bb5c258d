package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"time"

	"httpipe/migrations"
)

// disk is one session with the database: the writer's connection with its statements, and a second connection on which a goroutine
// makes checkpoints. An outage ends a session. Its methods belong to the writer.
type session struct {
	file       *lockedFile
	db         *sql.DB
	conn       *sql.Conn   // the only connection of db, on which everything happens
	wal        fs.FileInfo // which file the WAL is
	shm        fs.FileInfo // which file the wal-index is
	statements statements

	blocks          blocks
	walSize         int64         // bytes, when intact looked at it
	walLastTry      time.Time     // when it was last tried to empty the WAL
	walBlockedSince time.Time     // since when that fails; zero if it does not
	walLastWarning  time.Time     // when that was last complained about
	checkpointer    *sql.DB       // used by the checkpointing goroutine only, until that has stopped
	stop            chan struct{} // closed by stopCheckpoints, which makes it nil
	stopped         chan struct{} // closed by the checkpointing goroutine when it returns
}

// always is the context of all database calls: one that can end would cost a goroutine per call, and could end a commit
// half-way.
var always = context.Background()

// dsn returns the data source name of a file. A path is escaped, or "#", "?" and "%" in it would name another file.
func dsn(path, mode string, busy time.Duration) string {
	query := url.Values{
		"mode":          {mode}, // never rwc: only hold creates the file
		"_txlock":       {"immediate"},
		"_busy_timeout": {strconv.FormatInt(busy.Milliseconds(), 10)},
		"_synchronous":  {"FULL"},
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}

// openDisk begins a session with the held file and brings the schema up to date. Statements wait up to busy for another
// process's lock.
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
	if s.db, err = sql.Open("sqlite3", dsn(f.path, "rw", busy)); err != nil {
		return nil, err
	}
	s.db.SetMaxOpenConns(1)
	if s.conn, err = s.db.Conn(context.Background()); err != nil {
		return nil, err
	}
	// A new file gets its schema before it gets a WAL, so that the application id is in the file itself from then on.
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
	if s.wal, err = os.Stat(f.path + "-wal"); err != nil {
		return nil, err
	}
	if s.shm, err = os.Stat(f.path + "-shm"); err != nil {
		return nil, err
	}
	if err := f.checkContent(); err != nil { // it may have been exchanged while SQLite opened it
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
	s.stop, s.stopped = make(chan struct{}), make(chan struct{})
	go s.runCheckpoints(limits, s.stop)
	return s, nil
}

// configure sets what the DSN cannot set and makes sure that everything is set: SQLite ignores what it does not know.
func (s *session) configure() error {
	if _, err := s.conn.ExecContext(context.Background(), "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0"); err != nil {
		return err
	}
	for _, pragma := range []struct{ name, want string }{
		{"journal_mode", "wal"},
		{"synchronous", "2"}, // FULL
		{"wal_autocheckpoint", "0"},
		{"user_version", strconv.Itoa(len(migrations.Steps()))}, // the first to read the file, which makes the WAL
	} {
		var got string
		if err := s.conn.QueryRowContext(context.Background(), "PRAGMA "+pragma.name).Scan(&got); err != nil {
			return err
		}
		if got != pragma.want {
			return fmt.Errorf("SQLite says that %s is %s and not %s; is the file on a network file system?", pragma.name, got, pragma.want)
		}
	}
	return nil
}

// migrate makes the steps that the file has not had yet, each in a transaction of its own.
func (s *session) migrate(steps []migrations.Step, logger *slog.Logger) error {
	var id, version, objects int
	for query, dest := range map[string]*int{
		"PRAGMA application_id":              &id,
		"PRAGMA user_version":                &version,
		"SELECT count(*) FROM sqlite_schema": &objects,
	} {
		if err := s.conn.QueryRowContext(context.Background(), query).Scan(dest); err != nil {
			return err
		}
	}
	if id != applicationID && (id != 0 || objects != 0) { // empty: new, or its first commit was cut short
		return s.file.notALog(fmt.Sprintf("its application id is %#x", id))
	}
	if version > len(steps) {
		return s.file.newer(version)
	}
	if version == 0 || version == len(steps) {
		return s.migrateFrom(steps, version)
	}
	logger.Info("bringing the audit log up to date; if it is large, this takes a while", "file", s.file.path,
		"schema", version, "wanted", len(steps))
	began := time.Now()
	if err := s.migrateFrom(steps, version); err != nil {
		return err
	}
	logger.Info("the audit log is up to date", "file", s.file.path, "took", time.Since(began).Round(time.Millisecond).String())
	return nil
}

// step makes the steps from that version on.
func (s *session) migrateFrom(steps []migrations.Step, version int) error {
	for n := version; n < len(steps); n++ {
		err := s.transaction(func() error {
			if _, err := s.conn.ExecContext(context.Background(), steps[n].SQL); err != nil {
				return err
			}
			_, err := s.conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, n+1))
			return err
		})
		if err != nil {
			return fmt.Errorf("migration %s: %w", steps[n].Name, err)
		}
	}
	return nil
}

// transaction commits what f does. After an error nothing of it is committed, except that a failed COMMIT may have worked.
func (s *session) transaction(f func() error) error {
	if err := s.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = s.exec("COMMIT")
	}
	if err != nil {
		s.rollback() // which fails if SQLite has done so by itself
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

// setBusy sets how long statements wait for another process's lock.
func (s *session) setBusyTimeout(timeout time.Duration) error {
	return s.exec(fmt.Sprintf("PRAGMA busy_timeout=%d", timeout.Milliseconds()))
}

// probe makes a commit that changes nothing, to see whether commits work: it writes the header anew.
func (s *session) probe() error {
	return s.transaction(func() error {
		return s.exec(fmt.Sprintf("PRAGMA user_version=%d", len(migrations.Steps())))
	})
}

// close ends the session. What was not committed is gone.
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
