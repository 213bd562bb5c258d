package store

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/mattn/go-sqlite3"
)

// statement is a prepared statement of the SQLite driver. It does without database/sql, which allocates for each
// value and locks for each call. It is owned by the writer, and must be closed before its connection.
//
// The values of an execution are given in order: s.begin().text("a").integer(1).exec().
type statement struct {
	stmt   *sqlite3.SQLiteStmt
	values []driver.NamedValue // of the last execution, or the one that begin has begun
	given  int                 // how many values have been given since begin
}

// prepareStatement prepares a statement on a connection that only the writer uses.
func prepareStatement(conn *sql.Conn, query string) (*statement, error) {
	s := new(statement)
	err := conn.Raw(func(conn any) error {
		stmt, err := conn.(*sqlite3.SQLiteConn).Prepare(query)
		if err != nil {
			return err
		}
		s.stmt = stmt.(*sqlite3.SQLiteStmt)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.values = make([]driver.NamedValue, s.stmt.NumInput())
	for i := range s.values {
		s.values[i].Ordinal = i + 1
	}
	return s, nil
}

func (s *statement) close() {
	if s != nil {
		s.stmt.Close()
	}
}

func (s *statement) begin() *statement {
	s.given = 0
	return s
}

// text gives a text, as CleanText returns it. A text that is the same as in the last execution is neither cleaned nor allocated as
// an interface value again.
func (s *statement) text(v string) *statement {
	if last, ok := s.values[s.given].Value.(string); !ok || last != v {
		s.values[s.given].Value = CleanText(v)
	}
	s.given++
	return s
}

// integer gives an integer, like text.
func (s *statement) integer(v int64) *statement {
	if last, ok := s.values[s.given].Value.(int64); !ok || last != v {
		s.values[s.given].Value = v
	}
	s.given++
	return s
}

// textOrNull gives a text, or NULL if it is empty.
func (s *statement) textOrNull(v string) *statement {
	if v == "" {
		return s.null(1)
	}
	return s.text(v)
}

// null gives n NULLs.
func (s *statement) null(n int) *statement {
	for range n {
		s.values[s.given].Value = nil
		s.given++
	}
	return s
}

// exec executes the statement with the values given, which must be all. The statement returns no rows.
//
// The driver's Query gives all values and takes the first step in a single call of C, where its Exec makes a call for
// each value. Without rows the first step is all there is, and the rows need not be closed.
func (s *statement) exec() error {
	_, err := s.stmt.QueryContext(context.Background(), s.values[:s.given])
	return err
}
