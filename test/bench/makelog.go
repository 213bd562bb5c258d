//go:build linux

package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"httpipe/store"
)

// makeLog makes an audit log with that many exchanges, as a busy server would have left it after 60 days: most of them on
// 200 channels, of which some are much busier than others, and a tenth on a channel that was used once. Two logs of a size differ
// only in their times. It takes about fifteen seconds per million, and the file must not be there yet.
func makeLog(path string, exchanges int) error {
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s is already there", path)
	}
	if err := openLog(path); err != nil {
		return err
	}
	if err := fillLog(path, exchanges); err != nil {
		return err
	}
	return openLog(path)
}

// openLog lets the store open the log, make what is missing in it, and close it.
func openLog(path string) error {
	log, err := store.Open(store.Config{Path: path, Version: "made by scripts/bench"})
	if err != nil {
		return err
	}
	return errors.Join(awaitBlocks(path), log.Close())
}

// awaitBlocks waits until all exchanges that a log had when it was opened can be found by their channel, but for the newest.
func awaitBlocks(path string) error {
	const newest = 5000 // more than there are in a block
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		return err
	}
	defer db.Close()
	for outside := newest; outside == newest; time.Sleep(100 * time.Millisecond) {
		err := db.QueryRow("SELECT count(*) FROM (SELECT 1 FROM exchange WHERE id > coalesce((SELECT max(last) FROM block), '') LIMIT ?)", newest).Scan(&outside)
		if err != nil {
			return err
		}
	}
	return nil
}

// fillLog writes a history into a log that is empty.
func fillLog(path string, exchanges int) (err error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if err := execAll(db, "PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-65536"); err != nil {
		return err
	}
	restore, err := withoutTriggers(db)
	if err != nil {
		return err
	}
	if err := fill(db, newHistory(exchanges, time.Now())); err != nil {
		return err
	}
	return execAll(db, append(restore, "PRAGMA journal_mode=WAL")...)
}

// filled are the tables that a history fills.
const filled = "('run', 'run_end', 'life', 'exchange', 'exchange_end', 'request')"

// withoutTriggers drops the triggers and indexes of the filled tables, which would take most of the time, and returns the
// statements that make them again as they were.
func withoutTriggers(db *sql.DB) (restore []string, err error) {
	rows, err := db.Query("SELECT type, name, sql FROM sqlite_schema WHERE type IN ('trigger', 'index') AND sql IS NOT NULL AND tbl_name IN " + filled)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var drop []string
	for rows.Next() {
		var kind, name, made string
		if err := rows.Scan(&kind, &name, &made); err != nil {
			return nil, err
		}
		drop, restore = append(drop, fmt.Sprintf("DROP %s %s", kind, name)), append(restore, made)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return restore, execAll(db, drop...)
}

func execAll(db *sql.DB, statements ...string) error {
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			return fmt.Errorf("%s: %w", strings.SplitN(s, "\n", 2)[0], err)
		}
	}
	return nil
}

// fill writes the history in large transactions.
func fill(db *sql.DB, h *history) error {
	const batch = 250_000
	if err := inTransaction(db, h.writeRun); err != nil {
		return err
	}
	for h.made < h.exchanges {
		err := inTransaction(db, func(tx *sql.Tx) error { return h.writeExchanges(tx, min(batch, h.exchanges-h.made)) })
		if err != nil {
			return err
		}
	}
	return inTransaction(db, h.writeOpenLives)
}

func inTransaction(db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
