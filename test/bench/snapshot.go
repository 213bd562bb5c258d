//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"
)

// slowestTarget is how long any request may take while or after a reader holds a snapshot, in ms.
const slowestTarget = 100

// The columns and rows of the table of measureSnapshot.
const (
	beforeSnapshot = "before"
	duringSnapshot = "while it is held"
	afterSnapshot  = "afterwards"
	rowSlowest     = "the same, slowest, in ms"
)

// measureSnapshot starts httpipe, and measures under full load how a reader that holds a snapshot affects requests and the WAL.
// Then it waits until the idle server has emptied the WAL.
func (b *bench) measureSnapshot(o options, w io.Writer) error {
	s, err := b.startOne(o)
	if err != nil {
		return err
	}
	defer s.kill()
	t, err := s.underSnapshot(o.snapshot)
	if err != nil {
		return err
	}
	t.write(w)
	samples := t.row(rowSlowest).samples
	slowest := max(median(samples[duringSnapshot]), median(samples[afterSnapshot]))
	fmt.Fprintf(w, "\nThe target is %d ms for the slowest request since the reader began: %s.\n", slowestTarget, atMost(slowestTarget).verdict(slowest))
	idle, err := s.awaitEmptyWAL()
	if err == nil {
		fmt.Fprintf(w, "The server emptied the WAL %.1f s after the last request.\n", idle.Seconds())
	}
	return err
}

// underSnapshot measures the server under full load: before a reader begins a snapshot, while the reader holds it for that long, and
// afterwards.
func (s *server) underSnapshot(hold time.Duration) (_ *table, err error) {
	t := &table{
		title:   fmt.Sprintf("A reader holds a snapshot of the log for %v", hold),
		note:    typical.String() + ", as many exchanges as possible.",
		columns: []string{beforeSnapshot, duringSnapshot, afterSnapshot},
	}
	f, err := newFleet(s.addr, typical)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if err := s.loadFor(hold/2, f, t, beforeSnapshot); err != nil {
		return nil, err
	}
	release, err := holdSnapshot(filepath.Join(s.dir, logName))
	if err != nil {
		return nil, err
	}
	err = s.loadFor(hold, f, t, duringSnapshot)
	if err := errors.Join(err, release()); err != nil {
		return nil, err
	}
	return t, s.loadFor(hold/2, f, t, afterSnapshot)
}

// loadFor measures full load for some time, as a column of the table.
func (s *server) loadFor(d time.Duration, f *fleet, t *table, column string) error {
	wal := filepath.Join(s.dir, logName) + "-wal"
	begin, err := fileSize(wal)
	if err != nil {
		return err
	}
	watch := watchWAL(wal)
	seen, err := f.run(d, 0, true)
	largest := watch()
	if err != nil {
		return err
	}
	end, err := fileSize(wal)
	if err != nil {
		return err
	}
	t.add("exchanges/s", column, seen.rate())
	addPercentiles(t, "from the POST to the producer's 200, in µs", column, seen.acknowledged)
	t.add(rowSlowest, column, slices.Max(seen.acknowledged).Seconds()*1000)
	t.add(rowWAL, column, float64(largest)/1e6)
	t.add("WAL at the end, in MB", column, float64(end)/1e6)
	if column == duringSnapshot {
		t.add("growth of the WAL per exchange, in bytes", column, float64(end-begin)/float64(seen.exchanges))
	}
	return nil
}

// holdSnapshot begins a transaction that reads the log. The function that it returns ends the transaction, and returns an
// error if it has not shown one state of the log throughout.
func holdSnapshot(path string) (release func() error, err error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	newest := func() (id string, err error) {
		err = tx.QueryRow("SELECT max(id) FROM exchange").Scan(&id)
		return id, err
	}
	first, err := newest()
	if err != nil {
		return nil, errors.Join(err, tx.Rollback(), db.Close())
	}
	return func() error {
		last, err := newest()
		if err == nil && last != first {
			err = errors.New("the reader's snapshot has changed")
		}
		return errors.Join(err, tx.Rollback(), db.Close())
	}, nil
}

// awaitEmptyWAL waits until the server, which has nothing to do, has truncated the WAL, and returns how long that took.
func (s *server) awaitEmptyWAL() (time.Duration, error) {
	for start := time.Now(); time.Since(start) < patience; time.Sleep(10 * time.Millisecond) {
		size, err := fileSize(filepath.Join(s.dir, logName) + "-wal")
		if err != nil || size == 0 {
			return time.Since(start), err
		}
	}
	return 0, fmt.Errorf("the idle server has not emptied the WAL within %v", patience)
}
