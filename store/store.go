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

// Outcomes and reasons that this package itself writes or treats specially. All others come from the caller and are
// stored as given.
const (
	Delivered   = "delivered"   // most exchanges; the indexes by outcome leave it out
	Interrupted = "interrupted" // the run crashed; written when the log is next opened
	Idle        = "idle"        // why most channels close; the view lives_in_exchange in migrations/views.sql contains this word too
)

// Config is the configuration of a Log.
type Config struct {
	Path      string        // the SQLite file; created if missing, but its directory must exist
	Version   string        // the program's version, recorded with the run
	Node      string        // the name of the node, recorded with the run; "": it has none
	Retention time.Duration // how long to keep rows after their end; 0: forever
	Logger    *slog.Logger  // nil: slog.Default()
}

// limits holds the constants of this package, so that tests can lower them.
type limits struct {
	commitTimeout     time.Duration // from handing in a row to its commit
	linger            time.Duration // how long a row is held back that no caller waits for
	closeTimeout      time.Duration // how long Close waits for a writer that is blocked on the disk
	busyTimeout       time.Duration // how long the writer waits for another process's lock
	outageBusyTimeout time.Duration // the same during an outage, when no caller waits for the row
	backoffMin        time.Duration // between the first two attempts of an outage; doubles up to backoffMax
	backoffMax        time.Duration
	idleInterval      time.Duration // how often an idle writer checks the file
	pruneEvery        time.Duration // 0: a hundredth of the retention, within bounds
	maxRows           int           // in memory
	blockSize         int           // exchanges per block of the index by channel
	walCheckpointSize int64         // bytes of WAL at which the checkpointer runs a checkpoint
	walRestartSize    int64         // bytes of WAL at which the writer starts it over
	walInterval       time.Duration // how often the writer looks whether the WAL is that full
	walIdle           time.Duration // time without commits after which the writer truncates the WAL

	// hook is called by the writer at two points of each transaction, so that tests can inject faults there.
	hook func(hookPoint)
}

// hookPoint is a point in a transaction.
type hookPoint int

const (
	inserted   hookPoint = iota // all rows are inserted
	committing                  // all checks have passed; COMMIT is next
)

const (
	// commitTimeout is how long a commit may take, from handing in the row. After that it has failed.
	commitTimeout = 5 * time.Second
	// linger is long enough for most beginnings to share a batch with their ending, and short for a reader of the log. A
	// crash loses the rows of this time, except for acknowledged ones.
	linger = 50 * time.Millisecond
	// maxRows bounds the rows in memory, which take about 500 bytes each.
	maxRows = 20_000
)

var standardLimits = limits{
	commitTimeout:     commitTimeout,
	linger:            linger,
	closeTimeout:      6 * commitTimeout,
	busyTimeout:       commitTimeout,
	outageBusyTimeout: 100 * time.Millisecond,
	backoffMin:        250 * time.Millisecond,
	backoffMax:        time.Second,
	idleInterval:      time.Second,
	maxRows:           maxRows,
	blockSize:         4096,
	walCheckpointSize: 4 << 20,
	walRestartSize:    64 << 20,
	walInterval:       100 * time.Millisecond,
	walIdle:           10 * time.Second,
	hook:              func(hookPoint) {},
}

var errClosed = errors.New("the audit log is closed")

// Log is an open audit log. Its methods may be called from any goroutine.
type Log struct {
	// Constant after open.

	cfg    Config
	limits limits
	file   *lockedFile
	run    int64     // the id of this run
	opened time.Time // where clock begins

	history *History

	wake     chan struct{} // capacity 1; signals that there may be rows to write; never closed
	closing  chan struct{} // closed by Close
	finished chan struct{} // closed by the writer when it has released the file

	// Owned by the writer.

	session    *session // nil during an outage
	walSuspect bool     // after an I/O error the WAL may be incomplete on disk; see resume
	retention  retention
	callbacks  []func(error) // of the last batch; here so that settle need not allocate it

	// mu guards the fields below. It is held for short times only, and never during disk access or logging. The
	// result of a Commit is set only with mu held, so the response to a producer and the outcome in its row are
	// decided together.
	mu            sync.Mutex
	queue         []*row      // handed in and not yet taken by the writer, in order
	batch         []*row      // taken by the writer and not yet durable; older than the queue; only the writer changes it
	err           error       // why the log cannot be written; nil while it can
	outageSince   time.Time   // when err was set
	lostBefore    int64       // the value of lost at that time
	awaited       bool        // a caller waits for a row in the queue
	flush         bool        // no row in the queue may be held back; see Sync
	linger        *time.Timer // calls lingered; nil until it is first set
	lingerSet     bool        // linger is running
	watchdogSet   bool        // a timer for watchdog is running
	failures      int         // how many times pending rows have been failed
	closed        bool        // no more rows are accepted
	lost          int64       // rows that are not and will not be in the file
	requests      int64       // handed in so far; numbers them for their ids
	lives         things[int64, Life, LifeEnd]
	exchanges     things[string, Match, ExchangeEnd]
	publications  things[string, Publication, PublicationEnd]
	subscriptions things[string, Subscription, SubscriptionEnd]
	openCalls     int64           // calls that have begun and not ended
	lostCalls     map[string]bool // those whose beginning was lost; their ending must be lost too
	closeErr      error           // set before finished is closed
}

// Open opens the audit log at cfg.Path. It creates or migrates the file as needed, records what a crashed run
// left open as Interrupted, and records the start of this run. It blocks while it checks the file, which takes
// seconds per gigabyte.
//
// Open fails if another server uses the file, if the file is not an audit log, is corrupt or was made by a
// newer version (in these cases it is left unchanged), or if it cannot be written. The error names the file and
// says what to do.
//
// A process must not open a file twice: closing the second descriptor would drop the locks that SQLite holds on
// the first.
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
	if err := session.warnOfSchema(cfg.Logger); err != nil {
		session.close()
		return nil, file.explain("cannot be read", err)
	}
	file.run, err = session.startRun(cfg.Version, cfg.Node, time.Now(), cfg.Logger)
	if err != nil {
		session.close()
		return nil, file.explain("cannot be written", err)
	}
	l := &Log{
		cfg:           cfg,
		limits:        limits,
		file:          file,
		run:           file.run.id,
		opened:        time.Now(),
		wake:          make(chan struct{}, 1),
		closing:       make(chan struct{}),
		finished:      make(chan struct{}),
		session:       session,
		retention:     newRetention(cfg.Retention, limits.pruneEvery),
		lives:         newThings[int64, Life, LifeEnd](),
		exchanges:     newThings[string, Match, ExchangeEnd](),
		publications:  newThings[string, Publication, PublicationEnd](),
		subscriptions: newThings[string, Subscription, SubscriptionEnd](),
		lostCalls:     make(map[string]bool),
	}
	if l.history, err = newHistory(file, l.runningIDs); err != nil {
		session.close()
		return nil, err
	}
	go l.runWriter()
	return l, nil
}

// Close writes the queued rows, records that the run stopped cleanly, checkpoints the WAL into the file, and
// releases the file. If the log cannot be written, Close gives up after 5 s and returns an error with the
// number of lost rows. Rows handed in after Close are lost. Further calls wait for the first and return its
// error.
func (l *Log) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.closing)
	}
	l.mu.Unlock()
	l.history.Close() // first, so that the writer's connection is the last and removes the side files

	// The writer limits its own attempts. This timeout is for a disk that does not respond at all.
	timeout := time.NewTimer(l.limits.closeTimeout)
	defer timeout.Stop()
	select {
	case <-l.finished:
		return l.closeErr
	case <-timeout.C:
		return fmt.Errorf("audit log %s: the disk does not respond; uncommitted rows are lost", l.file.path)
	}
}

// Err returns nil while the log can be written, and otherwise the reason why it cannot. It does not access the
// disk: it reports the result of the last attempt to write, so a disk that fills up while nothing is written is
// noticed at the next row. After Close, Err returns an error.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errLocked()
}

// errLocked is Err with mu held.
func (l *Log) errLocked() error {
	if l.err == nil && l.closed {
		return errClosed
	}
	return l.err
}

// Lost returns how many rows could not be recorded since Open: dropped because too many were in memory, handed
// in after Close, or rejected by the database because of their content.
func (l *Log) Lost() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Sync blocks until all rows handed in before the call are durable, and returns nil, or until their commit has
// failed, and returns the error. The History sees these rows after Sync returns nil.
func (l *Log) Sync() error {
	done := make(chan error, 1)
	l.mu.Lock()
	l.flush = len(l.queue) > 0
	var newest *row
	for _, rows := range [][]*row{l.batch, l.queue} {
		if len(rows) > 0 {
			newest = rows[len(rows)-1]
		}
	}
	// With mu still held: if that row is a life, the writer could otherwise drop it as not needed in between.
	settled := newest == nil || newest.commit.thenLocked(func(err error) { done <- err })
	l.mu.Unlock()
	switch {
	case newest == nil:
		return l.Err()
	case settled:
		return newest.commit.err
	}
	return <-done
}

// runningIDs returns the ids of the exchanges that are running.
func (l *Log) runningIDs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.exchanges.begun))
}
