package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"

	"github.com/mattn/go-sqlite3"
)

// statements holds the prepared statements of a session: those of a transaction, an INSERT for each table, and
// queries for what the file already has.
type statements struct {
	beginTransaction, commit                      *statement
	life, lifeEnd, exchange, exchangeEnd, request *statement
	call                                          *statement
	hasLife, hasExchange, hasRequest, hasCall     *sql.Stmt

	publication, publicationEnd, subscription, subscriptionEnd *statement
	hasPublication, hasSubscription                            *sql.Stmt

	blocks *blocks // updated with each exchange
}

func (s *statements) prepare(conn *sql.Conn) error {
	for _, p := range []struct {
		stmt **statement
		sql  string
	}{
		{&s.beginTransaction, "BEGIN IMMEDIATE"},
		{&s.commit, "COMMIT"},
		{&s.life, "INSERT INTO life VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
		{&s.lifeEnd, "INSERT INTO life_end VALUES (?, ?, ?, ?, ?)"},
		{&s.exchange, "INSERT OR FAIL INTO exchange VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&s.exchangeEnd, "INSERT INTO exchange_end VALUES (?, ?, ?, ?)"},
		{&s.call, "INSERT INTO call VALUES (?, ?, ?, ?, ?)"},
		{&s.request, "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&s.publication, "INSERT INTO publication VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&s.publicationEnd, "INSERT INTO publication_end VALUES (?, ?, ?, ?)"},
		{&s.subscription, "INSERT INTO subscription VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&s.subscriptionEnd, "INSERT INTO subscription_end VALUES (?, ?, ?, ?, ?, ?, ?)"},
	} {
		stmt, err := prepareStatement(conn, p.sql)
		if err != nil {
			return err
		}
		*p.stmt = stmt
	}
	for _, p := range []struct {
		stmt **sql.Stmt
		sql  string
	}{
		// Each query returns whether the thing has ended, and no row if the file does not have it.
		{&s.hasLife, "SELECT coalesce(l.closed_at, x.closed_at) IS NOT NULL FROM life l LEFT JOIN life_end x ON x.id = l.id WHERE l.id = ?"},
		{&s.hasExchange, "SELECT coalesce(e.ended_at, x.ended_at) IS NOT NULL FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id WHERE e.id = ?"},
		{&s.hasRequest, "SELECT 1 FROM request WHERE id = ?"},
		{&s.hasPublication, "SELECT coalesce(p.ended_at, x.ended_at) IS NOT NULL FROM publication p LEFT JOIN publication_end x ON x.id = p.id WHERE p.id = ?"},
		{&s.hasSubscription, "SELECT coalesce(s.ended_at, x.ended_at) IS NOT NULL FROM subscription s LEFT JOIN subscription_end x ON x.id = s.id WHERE s.id = ?"},
		{&s.hasCall, "SELECT 1 FROM call WHERE id = ?"},
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
	for _, stmt := range []*statement{s.beginTransaction, s.commit, s.life, s.lifeEnd, s.exchange, s.exchangeEnd, s.call, s.request,
		s.publication, s.publicationEnd, s.subscription, s.subscriptionEnd} {
		stmt.close()
	}
	for _, stmt := range []*sql.Stmt{s.hasLife, s.hasExchange, s.hasRequest, s.hasCall, s.hasPublication, s.hasSubscription} {
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
func lookUp(question *sql.Stmt, ids ...any) (presence, error) {
	var ended bool
	switch err := question.QueryRowContext(context.Background(), ids...).Scan(&ended); {
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

// insert inserts a row of the batch in the open transaction. If recheck is set, it leaves out what the file already has.
func (s *statements) insert(r *row, run int64, recheck bool) error {
	switch e := r.entry.(type) {
	case *exchangeRow:
		return s.insertExchange(e, run, recheck)
	case *lifeRow:
		return s.insertLife(e, run, recheck)
	case *numberedRequest:
		return s.insertRequest(e, run, recheck)
	case *CallEnd:
		return s.insertCallEnd(e, recheck)
	case *publicationRow:
		return s.insertPublication(e, run, recheck)
	default:
		return s.insertSubscription(e.(*subscriptionRow), run, recheck)
	}
}

func (s *statements) insertLife(r *lifeRow, run int64, recheck bool) error {
	id := inRun(run, r.id)
	life, end := r.begin, r.end
	if recheck {
		var err error
		if life, end, err = r.missing(s.hasLife, id); err != nil {
			return err
		}
	}
	switch {
	case life == nil && end == nil:
		return nil
	case life == nil:
		return s.lifeEnd.begin().integer(id).integer(end.At.UnixMilli()).text(end.Reason).integer(end.Exchanges).integer(end.Bytes).exec()
	}
	row := s.life.begin().integer(id).text(life.Namespace).text(life.Channel).integer(life.At.UnixMilli())
	if end == nil {
		return row.null(4).exec()
	}
	return row.integer(end.At.UnixMilli()).text(end.Reason).integer(end.Exchanges).integer(end.Bytes).exec()
}

// insertExchange also records the life of the channel, if the exchange is all of it.
func (s *statements) insertExchange(r *exchangeRow, run int64, recheck bool) error {
	match, end := r.begin, r.end
	if recheck {
		var err error
		if match, end, err = r.missing(s.hasExchange, r.id); err != nil {
			return err
		}
	}
	switch {
	case match == nil && end == nil:
		return nil
	case match == nil:
		return s.exchangeEnd.begin().text(r.id).text(r.outcome(end.Outcome, end.OutcomeIfFailed)).integer(end.Bytes).integer(end.At.UnixMilli()).exec()
	}
	row := s.exchange.begin().
		text(r.id).integer(inRun(run, match.Life)).text(match.Namespace).text(match.Channel).text(storedType(match.ContentType)).
		integer(match.At.UnixMilli()).integer(match.ProducerWait.Milliseconds()).integer(match.ConsumerWait.Milliseconds()).
		text(match.Producer.Addr).text(match.Consumer.Addr).text(match.Producer.Agent).text(match.Consumer.Agent)
	if end == nil {
		row.null(3)
	} else {
		row.text(r.outcome(end.Outcome, end.OutcomeIfFailed)).integer(end.Bytes).integer(end.At.UnixMilli())
	}
	row.text(match.Producer.RequestID).text(match.Consumer.RequestID).text(match.Producer.Subject).text(match.Consumer.Subject)
	row.textOrNull(match.Method).textOrNull(match.ReplyTo)
	if r.after != nil && r.after.whole {
		row.integer(openedBefore(r.after.entry.(*lifeRow).begin, match))
	} else {
		row.null(1)
	}
	if err := row.exec(); err != nil {
		return err
	}
	return s.blocks.recorded(match)
}

// outcome returns the outcome to record: ifFailed if the Commit has failed and ifFailed is not empty.
func (r *row) outcome(outcome, ifFailed string) string {
	if r.failed && ifFailed != "" {
		return ifFailed
	}
	return outcome
}

// storedType returns a content type in the form of the table exchange: see 0008_shorter_rows.sql.
func storedType(contentType string) string {
	if contentType == "application/octet-stream" {
		return ""
	}
	return contentType
}

func (s *statements) insertCallEnd(end *CallEnd, recheck bool) error {
	if recheck {
		if has, err := lookUp(s.hasCall, end.ID); err != nil || has != absent {
			return err
		}
	}
	row := s.call.begin().text(end.ID).text(end.Outcome)
	if end.Status == 0 {
		row.null(2)
	} else {
		row.integer(int64(end.Status)).integer(end.AnsweredAt.UnixMilli())
	}
	return row.integer(end.At.UnixMilli()).exec()
}

func (s *statements) insertRequest(r *numberedRequest, run int64, recheck bool) error {
	id := inRun(run, r.number)
	if recheck {
		if has, err := lookUp(s.hasRequest, id); err != nil || has != absent {
			return err
		}
	}
	return s.request.begin().integer(id).text(r.Namespace).text(r.Channel).text(r.Role).text(r.Outcome).
		integer(r.Arrived.UnixMilli()).integer(r.Ended.UnixMilli()).text(r.Client.Addr).text(r.Client.Agent).
		text(r.Client.RequestID).integer(max(r.Count, 1)).text(r.Client.Subject).text(r.Reason).text(cmp.Or(r.Shape, "channel")).exec()
}

// rejectedForContent reports whether err is caused by the content of the row, so that a retry cannot succeed.
// SQLite has then undone this one statement, and the transaction can continue.
func rejectedForContent(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.ErrConstraint, sqlite3.ErrMismatch, sqlite3.ErrTooBig, sqlite3.ErrRange:
		return true
	}
	return false
}
