package store

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Outcomes that this package decides on or treats in a special way. All other words are the caller's and are kept as given.
const (
	Delivered   = "delivered"   // nearly all exchanges; the indexes of outcomes leave it out
	Interrupted = "interrupted" // the run died; written when the log is opened the next time
)

// Config says which file to keep and how.
type Config struct {
	Path      string        // the SQLite file; created if it is not there, its directory is not
	Version   string        // the program's version, kept with the run
	Retention time.Duration // how long to keep what has ended; 0 is for ever
	Logger    *slog.Logger  // nil is slog.Default()
}

// limits are the constants of this package in a form that tests can make smaller.
type limits struct {
	commitTimeout     time.Duration // how long a row may take to be durable
	closeTimeout      time.Duration // how long Close waits for a writer that is stuck in the disk
	busyTimeout       time.Duration // how long the writer waits for another process's lock
	outageBusyTimeout time.Duration // the same during an outage, when nobody waits for the row any more
	backoffMin        time.Duration // between the first two attempts of an outage; then it doubles
	backoffMax        time.Duration
	idleInterval      time.Duration // how often an idle writer looks after the file
	pruneEvery        time.Duration // 0: a hundredth of the retention, within bounds
	maxRows           int           // rows in memory
	blockSize         int           // exchanges in a block of the index by channel
	walCheckpointSize int64         // bytes of WAL from which on a checkpoint is made beside the writer
	walTruncateSize   int64         // bytes of WAL from which on the writer stops for a checkpoint that truncates it

	// at is called by the writer at two moments of each transaction, so that tests can do what then must not go wrong.
	hook func(hookPoint)
}

// moment is a point in the life of a transaction.
type hookPoint int

const (
	inserted   hookPoint = iota // all rows are inserted
	committing                  // all checks are made; the next thing is COMMIT
)

const (
	// commitTimeout is how long a row may take from being handed in to being durable; after that it counts as failed.
	commitTimeout = 5 * time.Second
	// maxQueued bounds the rows kept in memory, which are about 500 bytes each.
	maxRows = 20_000
)

var standardLimits = limits{
	commitTimeout:     commitTimeout,
	closeTimeout:      6 * commitTimeout,
	busyTimeout:       commitTimeout,
	outageBusyTimeout: 100 * time.Millisecond,
	backoffMin:        250 * time.Millisecond,
	backoffMax:        time.Second,
	idleInterval:      time.Second,
	maxRows:           maxRows,
	blockSize:         4096,
	walCheckpointSize: 4 << 20,
	walTruncateSize:   64 << 20,
	hook:              func(hookPoint) {},
}

var errClosed = errors.New("the audit log is closed")

// Log is an open audit log. Its methods may be called from any goroutine.
type Log struct {
	// Static after open.

	cfg    Config
	limits limits
	file   *lockedFile
	run    int64 // this run's id

	history *History

	wake     chan struct{} // one slot: there is something in the queue; never closed
	closing  chan struct{} // closed by Close
	finished chan struct{} // closed by the writer when it is done and the file is released

	// Owned by the writer.

	session     *session // nil during an outage
	walSuspect  bool     // an I/O error has left the WAL in doubt; see resume
	retention   retention
	lastCommit  time.Time // when the last commit was done
	lastChanges int       // the changes that it made

	// mu guards what follows. It is held for moments only: never while the disk or the logger is at work. What a row's Commit has
	// been told changes only under it, which is why the log and the producer cannot be told different things.
	mu            sync.Mutex
	queue         []*row          // handed in, not yet taken by the writer, in order
	batch         []*row          // taken by the writer and not yet durable; all older than the queue
	err           error           // why the log cannot be written; nil while it can
	outageSince   time.Time       // when err became non-nil
	lostBefore    int64           // what lost was then
	watchdogSet   bool            // a timer for watchdog is set
	failures      int             // how often pending rows have been told that they failed
	closed        bool            // no more rows
	lost          int64           // rows that are not and will not be in the file
	requests      int64           // requests handed in so far; the number in their ids
	running       map[string]bool // the ids of exchanges that are recorded as matched and not yet as ended
	openLives     int64           // recorded as opened and not yet as closed
	beginningLost map[key]bool    // whose beginning was lost and whose ending is therefore to be lost too
	closeErr      error           // set before finished is closed
}

// Open opens the audit log at cfg.Path, creating or migrating it as needed, records what a crashed run left open as Interrupted,
// and records the start of this run. It blocks while it checks the file, which takes seconds per gigabyte.
//
// It fails, with an error that names the file and says what to do, if the file is in use by another server, if it is not
// an audit log, was made by a newer version, is corrupt (all of which leave it untouched), or cannot be written.
//
// A process must not open a file twice: closing the second descriptor would drop the locks that SQLite has on the first.
func Open(cfg Config) (*Log, error) {
	return open(cfg, standardLimits)
}

func open(cfg Config, limits limits) (_ *Log, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if err := checkLibrary(); err != nil {
		return nil, err
	}
	file, err := openLocked(cfg.Path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.release()
		}
	}()
	if err := file.checkBeforeOpen(cfg.Logger); err != nil {
		return nil, err
	}
	if err := file.rewriteWAL(); err != nil {
		return nil, file.explain("cannot be written", err)
	}
	session, err := openSession(file, limits, limits.busyTimeout, cfg.Logger)
	if err != nil {
		return nil, file.explain("cannot be opened", err)
	}
	file.run, err = session.startRun(cfg.Version, time.Now(), cfg.Logger)
	if err != nil {
		session.close()
		return nil, file.explain("cannot be written", err)
	}
	l := &Log{
		cfg:           cfg,
		limits:        limits,
		file:          file,
		run:           file.run.id,
		wake:          make(chan struct{}, 1),
		closing:       make(chan struct{}),
		finished:      make(chan struct{}),
		session:       session,
		retention:     newRetention(cfg.Retention, limits.pruneEvery),
		running:       make(map[string]bool),
		beginningLost: make(map[key]bool),
	}
	if l.history, err = newHistory(file, l.runningIDs); err != nil {
		session.close()
		return nil, err
	}
	go l.runWriter()
	return l, nil
}

// Close writes what is queued, records the clean end of the run, folds the WAL into the file and releases it. If the log
// cannot be written it gives up after 5 s and returns an error that says how many rows are lost. Rows handed in after
// Close are lost. Further calls wait for the first and return the same.
func (l *Log) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.closing)
	}
	l.mu.Unlock()
	l.history.Close() // so that the writer's connection is the last, and leaves no side files

	// The writer bounds its own attempts; this is for a disk that does not answer at all.
	silence := time.NewTimer(l.limits.closeTimeout)
	defer silence.Stop()
	select {
	case <-l.finished:
		return l.closeErr
	case <-silence.C:
		return fmt.Errorf("audit log %s: the disk does not answer; rows that were not yet committed are lost", l.file.path)
	}
}

// Err returns nil while the log can be written, and else why it cannot. It is cheap and
// never waits for the disk. It reports what the last attempt to write found out; a disk that fills up while nothing happens
// is noticed by the next row. Of a closed log it returns that it is closed.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errLocked()
}

// errLocked is Err for a caller who holds mu.
func (l *Log) errLocked() error {
	if l.err == nil && l.closed {
		return errClosed
	}
	return l.err
}

// Lost returns how many rows could not be recorded since Open: dropped because too many were waiting in memory, handed in
// after Close, or refused by the database for their content.
func (l *Log) Lost() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Sync blocks until all that was handed in before is on disk, or has failed to get there, and returns why. Who asks the History
// after that finds it there.
func (l *Log) Sync() error {
	l.mu.Lock()
	var newest *row
	for _, rows := range [][]*row{l.batch, l.queue} {
		if len(rows) > 0 {
			newest = rows[len(rows)-1]
		}
	}
	l.mu.Unlock()
	if newest == nil {
		return l.Err()
	}
	return newest.commit.Wait()
}

// runningIDs returns the ids of the exchanges that run.
func (l *Log) runningIDs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.running))
}
