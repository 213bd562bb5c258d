package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mattn/go-sqlite3"
)

// statements holds the prepared statements of a session: an INSERT for each table, and queries for what the
// file already has.
type statements struct {
	life, lifeEnd, exchange, exchangeEnd, request *sql.Stmt
	hasLife, hasExchange, hasRequest              *sql.Stmt

	blocks *blocks // updated with each exchange
}

func (s *statements) prepare(conn *sql.Conn) error {
	for _, p := range []struct {
		stmt **sql.Stmt
		sql  string
	}{
		{&s.life, "INSERT INTO life VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
		{&s.lifeEnd, "INSERT INTO life_end VALUES (?, ?, ?, ?, ?)"},
		{&s.exchange, "INSERT INTO exchange VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&s.exchangeEnd, "INSERT INTO exchange_end VALUES (?, ?, ?, ?)"},
		{&s.request, "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		// Each query returns whether the thing has ended, and no row if the file does not have it.
		{&s.hasLife, "SELECT coalesce(l.closed_at, x.closed_at) IS NOT NULL FROM life l LEFT JOIN life_end x ON x.id = l.id WHERE l.id = ?"},
		{&s.hasExchange, "SELECT coalesce(e.ended_at, x.ended_at) IS NOT NULL FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id WHERE e.id = ?"},
		{&s.hasRequest, "SELECT 1 FROM request WHERE id = ?"},
	} {
		stmt, err := conn.PrepareContext(context.Background(), p.sql)
		if err != nil {
			return err
		}
		*p.stmt = stmt
	}
	return nil
}

func (s *statements) close() {
	for _, stmt := range []*sql.Stmt{s.life, s.lifeEnd, s.exchange, s.exchangeEnd, s.request, s.hasLife, s.hasExchange, s.hasRequest} {
		if stmt != nil {
			stmt.Close()
		}
	}
}

// presence says how much of a thing the file has.
type presence int

const (
	absent presence = iota
	begun
	complete
)

// lookUp runs one of the has queries.
func lookUp(question *sql.Stmt, id any) (presence, error) {
	var ended bool
	switch err := question.QueryRowContext(context.Background(), id).Scan(&ended); {
	case errors.Is(err, sql.ErrNoRows):
		return absent, nil
	case err != nil:
		return absent, err
	case ended:
		return complete, nil
	default:
		return begun, nil
	}
}

// change is what one or two rows of the queue change in the file: they record a beginning, an ending, or both.
type change struct {
	rows    [2]*row // if the first is a beginning, the second may be its ending; otherwise nil
	life    *Life
	lifeEnd *LifeEnd
	match   *Match
	end     *ExchangeEnd
	request *numberedRequest
}

// write makes the change in the open transaction. If recheck is set, it leaves out what the file already has.
func (s *statements) write(c *change, run int64, recheck bool) error {
	switch {
	case c.request != nil:
		return s.writeRequest(c.request, run, recheck)
	case c.life != nil || c.lifeEnd != nil:
		return s.writeLife(c.life, c.lifeEnd, run, recheck)
	default:
		return s.writeExchange(c.match, c.end, run, recheck)
	}
}

func (s *statements) writeLife(life *Life, end *LifeEnd, run int64, recheck bool) error {
	id := int64(0)
	if life != nil {
		id = inRun(run, life.ID)
	} else {
		id = inRun(run, end.ID)
	}
	if recheck {
		has, err := lookUp(s.hasLife, id)
		if err != nil || has == complete {
			return err
		}
		if has == begun {
			life = nil
		}
	}
	switch {
	case life == nil && end == nil:
		return nil
	case life == nil:
		return insert(s.lifeEnd, id, end.At.UnixMilli(), end.Reason, end.Exchanges, end.Bytes)
	case end == nil:
		return insert(s.life, id, life.Namespace, life.Channel, life.At.UnixMilli(), nil, nil, nil, nil)
	default:
		return insert(s.life, id, life.Namespace, life.Channel, life.At.UnixMilli(), end.At.UnixMilli(), end.Reason, end.Exchanges, end.Bytes)
	}
}

func (s *statements) writeExchange(match *Match, end *ExchangeEnd, run int64, recheck bool) error {
	id := ""
	if match != nil {
		id = match.ID
	} else {
		id = end.ID
	}
	if recheck {
		has, err := lookUp(s.hasExchange, id)
		if err != nil || has == complete {
			return err
		}
		if has == begun {
			match = nil
		}
	}
	switch {
	case match == nil && end == nil:
		return nil
	case match == nil:
		return insert(s.exchangeEnd, id, end.Outcome, end.Bytes, end.At.UnixMilli())
	}
	var outcome, bytes, ended any
	if end != nil {
		outcome, bytes, ended = end.Outcome, end.Bytes, end.At.UnixMilli()
	}
	err := insert(s.exchange, id, inRun(run, match.Life), match.Namespace, match.Channel, match.ContentType, match.At.UnixMilli(),
		match.ProducerWait.Milliseconds(), match.ConsumerWait.Milliseconds(),
		match.Producer.Addr, match.Consumer.Addr, match.Producer.Agent, match.Consumer.Agent,
		outcome, bytes, ended, match.Producer.RequestID, match.Consumer.RequestID, match.Producer.Subject, match.Consumer.Subject)
	if err != nil {
		return err
	}
	return s.blocks.recorded(match)
}

func (s *statements) writeRequest(r *numberedRequest, run int64, recheck bool) error {
	id := inRun(run, r.number)
	if recheck {
		if has, err := lookUp(s.hasRequest, id); err != nil || has != absent {
			return err
		}
	}
	return insert(s.request, id, r.Namespace, r.Channel, r.Role, r.Outcome, r.Arrived.UnixMilli(), r.Ended.UnixMilli(),
		r.Client.Addr, r.Client.Agent, r.Client.RequestID, max(r.Count, 1), r.Client.Subject, r.Reason)
}

// insert executes one of the INSERT statements.
func insert(stmt *sql.Stmt, args ...any) error {
	_, err := stmt.ExecContext(context.Background(), args...)
	return err
}

// rejectedForContent reports whether err is caused by the content of the row, so that a retry cannot succeed.
// SQLite has then undone this one statement, and the transaction can continue.
func rejectedForContent(err error) bool {
	code, _ := sqliteCode(err)
	switch code {
	case sqlite3.ErrConstraint, sqlite3.ErrMismatch, sqlite3.ErrTooBig, sqlite3.ErrRange:
		return true
	}
	return false
}
