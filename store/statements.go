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
		{&s.hasLife, `SELECT coalesce(l.closed_at, x.closed_at) IS NOT NULL FROM life l LEFT JOIN life_end x ON x.id = l.id WHERE l.id = ?
			UNION ALL SELECT true FROM exchange WHERE id = ? AND opened_before_ms IS NOT NULL`},
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

// change is what one or two rows of the queue change in the file: they record a beginning, an ending, or both. An exchange that
// is the whole life of its channel brings two rows more, those of the life.
type change struct {
	rows    [4]*row // if the first is a beginning, the second may be its ending; then the Life and its ending; otherwise nil
	life    *Life
	lifeEnd *LifeEnd
	match   *Match
	end     *ExchangeEnd
	first   string // with life: the id of its first exchange, if that was matched while the opening was still in memory
	callEnd *CallEnd
	request *numberedRequest
	topic   [2]topicRow // if the first begins, the second may be its end; otherwise nil
}

// change returns what the row changes, together with its ending if it has one. The caller holds Log.mu. An ending whose
// Commit has failed gets its OutcomeIfFailed.
func (r *row) change() change {
	c := change{rows: [4]*row{r, r.end}}
	if life := r.after; life != nil && life.whole {
		c.rows[2], c.rows[3] = life, life.end
	}
	for i, r := range c.rows {
		if r == nil {
			break
		}
		switch e := r.entry.(type) {
		case *Life:
			c.life = e
			if r.first != nil {
				c.first = r.first.entry.(*Match).ID
			}
		case *LifeEnd:
			c.lifeEnd = e
		case *Match:
			c.match = e
		case *ExchangeEnd:
			c.end = e
			if r.commit.err != nil && e.OutcomeIfFailed != "" {
				failed := *e
				failed.Outcome = e.OutcomeIfFailed
				c.end = &failed
			}
		case *CallEnd:
			c.callEnd = e
		case *numberedRequest:
			c.request = e
		case topicRow:
			if r.commit.err != nil {
				e = ifFailed(e)
			}
			c.topic[i] = e
		}
	}
	return c
}

// write makes the change in the open transaction. If recheck is set, it leaves out what the file already has.
func (s *statements) write(c *change, run int64, recheck bool) error {
	switch {
	case c.topic[0] != nil:
		return c.topic[0].write(s, c.topic[1], run, recheck)
	case c.request != nil:
		return s.writeRequest(c.request, run, recheck)
	case c.callEnd != nil:
		return s.writeCallEnd(c.callEnd, recheck)
	case c.match != nil || c.end != nil:
		return s.writeExchange(c.match, c.end, c.life, run, recheck)
	default:
		return s.writeLife(c.life, c.lifeEnd, c.first, run, recheck)
	}
}

// writeLife writes a life, its ending, or both. first is the id of its first exchange, whose row may record the life already, or
// empty.
func (s *statements) writeLife(life *Life, end *LifeEnd, first string, run int64, recheck bool) error {
	id := int64(0)
	if life != nil {
		id = inRun(run, life.ID)
	} else {
		id = inRun(run, end.ID)
	}
	if recheck {
		has, err := lookUp(s.hasLife, id, first)
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
		return s.lifeEnd.begin().integer(id).integer(end.At.UnixMilli()).text(end.Reason).integer(end.Exchanges).integer(end.Bytes).exec()
	}
	row := s.life.begin().integer(id).text(life.Namespace).text(life.Channel).integer(life.At.UnixMilli())
	if end == nil {
		return row.null(4).exec()
	}
	return row.integer(end.At.UnixMilli()).text(end.Reason).integer(end.Exchanges).integer(end.Bytes).exec()
}

// writeExchange writes an exchange, its ending, or both. If life is not nil, it has no other exchange, and this one's row records
// the life too.
func (s *statements) writeExchange(match *Match, end *ExchangeEnd, life *Life, run int64, recheck bool) error {
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
		return s.exchangeEnd.begin().text(id).text(end.Outcome).integer(end.Bytes).integer(end.At.UnixMilli()).exec()
	}
	row := s.exchange.begin().
		text(id).integer(inRun(run, match.Life)).text(match.Namespace).text(match.Channel).text(storedType(match.ContentType)).
		integer(match.At.UnixMilli()).integer(match.ProducerWait.Milliseconds()).integer(match.ConsumerWait.Milliseconds()).
		text(match.Producer.Addr).text(match.Consumer.Addr).text(match.Producer.Agent).text(match.Consumer.Agent)
	if end == nil {
		row.null(3)
	} else {
		row.text(end.Outcome).integer(end.Bytes).integer(end.At.UnixMilli())
	}
	row.text(match.Producer.RequestID).text(match.Consumer.RequestID).text(match.Producer.Subject).text(match.Consumer.Subject)
	row.textOrNull(match.Method).textOrNull(match.ReplyTo)
	if life == nil {
		row.null(1)
	} else {
		row.integer(openedBefore(life, match))
	}
	if err := row.exec(); err != nil {
		return err
	}
	return s.blocks.recorded(match)
}

// storedType returns a content type in the form of the table exchange: see 0008_shorter_rows.sql.
func storedType(contentType string) string {
	if contentType == "application/octet-stream" {
		return ""
	}
	return contentType
}

func (s *statements) writeCallEnd(end *CallEnd, recheck bool) error {
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

func (s *statements) writeRequest(r *numberedRequest, run int64, recheck bool) error {
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
	code, _ := sqliteCode(err)
	switch code {
	case sqlite3.ErrConstraint, sqlite3.ErrMismatch, sqlite3.ErrTooBig, sqlite3.ErrRange:
		return true
	}
	return false
}
