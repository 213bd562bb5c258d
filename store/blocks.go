package store

import (
	"context"
	"database/sql"
	"errors"
)

// blocks maintains the index of exchanges by namespace and channel, which consists of blocks of exchanges: see
// migrations/0004_indexes.sql. It is owned by the writer and belongs to a session.
type blocks struct {
	size int    // exchanges in a block
	last string // the newest id that is in a block; empty if there is none
	due  int    // how many exchanges are missing for the next block
	add  *statement
}

// prepare loads the state at the beginning of a session.
func (b *blocks) prepare(conn *sql.Conn, size int) (err error) {
	b.size = size
	if err := conn.QueryRowContext(context.Background(), "SELECT coalesce(max(last), '') FROM block").Scan(&b.last); err != nil {
		return err
	}
	b.add, err = prepareStatement(conn, "INSERT INTO block_entry SELECT id, ?2, ?3, ?1 FROM block WHERE last >= ?1 ORDER BY last LIMIT 1")
	return err
}

func (b *blocks) close() {
	b.add.close()
}

// recorded enters an exchange that was inserted in the open transaction, if its block exists already.
func (b *blocks) recorded(m *Match) error {
	b.due--
	if m.ID > b.last {
		return nil
	}
	return b.add.begin().text(m.ID).text(m.Namespace).text(m.Channel).exec()
}

// step builds a block if there are enough exchanges for one, and returns true if there may be enough for
// another. A block of the standard size takes about 5 ms.
func (b *blocks) step(s *session) (more bool, err error) {
	if b.due > 0 {
		return false, nil
	}
	var last string
	err = s.queryRow("SELECT id FROM exchange WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?", b.last, b.size-1).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		var outside int
		err = s.queryRow("SELECT count(*) FROM exchange WHERE id > ?", b.last).Scan(&outside)
		b.due = b.size - outside
		return false, err
	}
	if err != nil {
		return false, err
	}
	err = s.transaction(func() error {
		if err := s.exec("INSERT INTO block SELECT coalesce(max(id), 0) + 1, ? FROM block", last); err != nil {
			return err
		}
		return s.exec(`INSERT INTO block_entry SELECT (SELECT max(id) FROM block), namespace, channel, id
			FROM exchange WHERE id > ? AND id <= ? ORDER BY namespace, channel, id`, b.last, last)
	})
	if err != nil {
		return false, err
	}
	b.last = last
	return true, nil
}

// prune deletes the blocks whose exchanges have all been deleted, except the newest block.
func (b *blocks) prune(s *session) error {
	return s.exec("DELETE FROM block WHERE last < (SELECT min(id) FROM exchange) AND id < (SELECT max(id) FROM block)")
}
