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

	"github.com/mattn/go-sqlite3"

	"httpipe/migrations"
)

// disk is one session with the database: the writer's connection with its statements, and a second connection on which a goroutine
// makes checkpoints. An outage ends a session. Its methods belong to the writer.
type disk struct {
	held *held
	db   *sql.DB
	conn *sql.Conn   // the only connection of db, on which everything happens
	wal  fs.FileInfo // which file the WAL is
	shm  fs.FileInfo // which file the wal-index is
	put  statements

	blocks     blocks
	walSize    int64         // bytes, when intact looked at it
	walTried   time.Time     // when it was last tried to empty the WAL
	walStuck   time.Time     // since when that fails; zero if it does not
	walWarned  time.Time     // when that was last complained about
	checkpoint *sql.DB       // used by the checkpointing goroutine only, until that has stopped
	stop       chan struct{} // closed by stopCheckpoints, which makes it nil
	stopped    chan struct{} // closed by the checkpointing goroutine when it returns
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
func openDisk(h *held, limits limits, busy time.Duration, logger *slog.Logger) (_ *disk, err error) {
	if err := h.same(); err != nil {
		return nil, err
	}
	d := &disk{held: h}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.db, err = sql.Open("sqlite3", dsn(h.path, "rw", busy)); err != nil {
		return nil, err
	}
	d.db.SetMaxOpenConns(1)
	if d.conn, err = d.db.Conn(always); err != nil {
		return nil, err
	}
	// A new file gets its schema before it gets a WAL, so that the application id is in the file itself from then on.
	if err := d.migrate(migrations.Steps(), logger); err != nil {
		return nil, err
	}
	if err := d.configure(); err != nil {
		return nil, err
	}
	if err := d.put.prepare(d.conn); err != nil {
		return nil, err
	}
	if err := d.blocks.prepare(d.conn, limits.block); err != nil {
		return nil, err
	}
	d.put.blocks = &d.blocks
	if d.wal, err = os.Stat(h.path + "-wal"); err != nil {
		return nil, err
	}
	if d.shm, err = os.Stat(h.path + "-shm"); err != nil {
		return nil, err
	}
	if err := h.same(); err != nil { // it may have been exchanged while SQLite opened it
		return nil, err
	}
	now, err := h.sight()
	if err != nil {
		return nil, err
	}
	h.see(now)
	if err := h.syncDir(); err != nil {
		return nil, err
	}
	if d.checkpoint, err = sql.Open("sqlite3", dsn(h.path, "rw", 0)); err != nil {
		return nil, err
	}
	d.checkpoint.SetMaxOpenConns(1)
	d.stop, d.stopped = make(chan struct{}), make(chan struct{})
	go d.checkpoints(limits, d.stop)
	return d, nil
}

// configure sets what the DSN cannot set and makes sure that everything is set: SQLite ignores what it does not know.
func (d *disk) configure() error {
	if _, err := d.conn.ExecContext(always, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0"); err != nil {
		return err
	}
	for _, pragma := range []struct{ name, want string }{
		{"journal_mode", "wal"},
		{"synchronous", "2"}, // FULL
		{"wal_autocheckpoint", "0"},
		{"user_version", strconv.Itoa(len(migrations.Steps()))}, // the first to read the file, which makes the WAL
	} {
		var got string
		if err := d.conn.QueryRowContext(always, "PRAGMA "+pragma.name).Scan(&got); err != nil {
			return err
		}
		if got != pragma.want {
			return fmt.Errorf("SQLite says that %s is %s and not %s; is the file on a network file system?", pragma.name, got, pragma.want)
		}
	}
	return nil
}

// migrate makes the steps that the file has not had yet, each in a transaction of its own.
func (d *disk) migrate(steps []migrations.Step, logger *slog.Logger) error {
	var id, version, objects int
	for query, dest := range map[string]*int{
		"PRAGMA application_id":              &id,
		"PRAGMA user_version":                &version,
		"SELECT count(*) FROM sqlite_schema": &objects,
	} {
		if err := d.conn.QueryRowContext(always, query).Scan(dest); err != nil {
			return err
		}
	}
	if id != applicationID && (id != 0 || objects != 0) { // empty: new, or its first commit was cut short
		return d.held.foreign(fmt.Sprintf("its application id is %#x", id))
	}
	if version > len(steps) {
		return d.held.newer(version)
	}
	if version == 0 || version == len(steps) {
		return d.step(steps, version)
	}
	logger.Info("bringing the audit log up to date; if it is large, this takes a while", "file", d.held.path,
		"schema", version, "wanted", len(steps))
	began := time.Now()
	if err := d.step(steps, version); err != nil {
		return err
	}
	logger.Info("the audit log is up to date", "file", d.held.path, "took", time.Since(began).Round(time.Millisecond).String())
	return nil
}

// step makes the steps from that version on.
func (d *disk) step(steps []migrations.Step, version int) error {
	for n := version; n < len(steps); n++ {
		err := d.transaction(func() error {
			if _, err := d.conn.ExecContext(always, steps[n].SQL); err != nil {
				return err
			}
			_, err := d.conn.ExecContext(always, fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, n+1))
			return err
		})
		if err != nil {
			return fmt.Errorf("migration %s: %w", steps[n].Name, err)
		}
	}
	return nil
}

// transaction commits what f does. After an error nothing of it is committed, except that a failed COMMIT may have worked.
func (d *disk) transaction(f func() error) error {
	if err := d.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = d.exec("COMMIT")
	}
	if err != nil {
		d.rollback() // which fails if SQLite has done so by itself
	}
	return err
}

func (d *disk) rollback() error {
	return d.exec("ROLLBACK")
}

func (d *disk) exec(statement string, args ...any) error {
	_, err := d.conn.ExecContext(always, statement, args...)
	return err
}

// setBusy sets how long statements wait for another process's lock.
func (d *disk) setBusy(timeout time.Duration) error {
	return d.exec(fmt.Sprintf("PRAGMA busy_timeout=%d", timeout.Milliseconds()))
}

// probe makes a commit that changes nothing, to see whether commits work: it writes the header anew.
func (d *disk) probe() error {
	return d.transaction(func() error {
		return d.exec(fmt.Sprintf("PRAGMA user_version=%d", len(migrations.Steps())))
	})
}

// checkpoints copies what is in the WAL into the file, about once a second and beside the writer, so that the writer seldom
// has to stop for it. It runs until stop is closed.
func (d *disk) checkpoints(limits limits, stop <-chan struct{}) {
	defer close(d.stopped)
	tick := time.NewTicker(limits.idle)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		// Into a file that was truncated nothing is copied, or the writer would find it as large as it was.
		if info, err := os.Stat(d.held.path); err != nil || info.Size() < d.held.size.Load() {
			continue
		}
		if d.held.walSize() >= limits.walCheck {
			// A failure is no news: if it matters, the WAL goes on growing and the writer hits the same problem.
			d.held.copying.Store(true)
			d.checkpoint.ExecContext(always, "PRAGMA wal_checkpoint(PASSIVE)")
			d.held.copying.Store(false)
		}
	}
}

// truncate makes a full checkpoint and empties the WAL. It is for the moment when the WAL has become big: while writing goes on,
// checkpoints beside the writer never let it begin anew. A reader in the middle of a query makes that impossible; then it is tried
// again a second later.
func (d *disk) truncate(limits limits, logger *slog.Logger) error {
	now := time.Now()
	if now.Sub(d.walTried) < limits.idle {
		return nil
	}
	d.walTried = now
	if err := d.setBusy(0); err != nil {
		return err
	}
	err := d.fold()
	switch {
	case err == nil:
		d.walStuck = time.Time{}
	case d.walStuck.IsZero():
		d.walStuck = now // this may be our own checkpoint beside the writer
	case now.Sub(d.walStuck) >= 10*limits.idle && now.Sub(d.walWarned) >= time.Minute:
		d.walWarned = now
		logger.Warn("the audit log's WAL cannot be emptied and grows", "error", err, "file", d.held.path+"-wal", "megabytes", d.walSize>>20)
	}
	// Neither a reader nor a full disk is a reason to stop as long as commits work.
	if code, _ := sqliteCode(err); err != nil && code != sqlite3.ErrFull && !errors.Is(err, errReader) {
		return err
	}
	return d.setBusy(limits.busy)
}

// errReader is why a WAL cannot be emptied while somebody looks at an earlier state of the log.
var errReader = errors.New("somebody reads the log in one long transaction; end it")

// fold copies the WAL into the file and empties it. It returns errReader if another connection is in the way.
func (d *disk) fold() error {
	var busy bool
	var frames, done int
	err := d.conn.QueryRowContext(always, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done)
	if err == nil && busy {
		return errReader
	}
	return err
}

// stopCheckpoints makes sure that no checkpoint runs beside the writer any more.
func (d *disk) stopCheckpoints() {
	if d.stop != nil {
		close(d.stop)
		<-d.stopped
		d.stop = nil
	}
}

// close ends the session. What was not committed is gone.
func (d *disk) close() error {
	d.stopCheckpoints()
	var errs []error
	if d.checkpoint != nil {
		errs = append(errs, d.checkpoint.Close())
	}
	if d.conn != nil {
		d.put.close()
		d.blocks.close()
		errs = append(errs, d.conn.Close())
	}
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	return errors.Join(errs...)
}
