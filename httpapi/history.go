package httpapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"httpipe/access"
	"httpipe/audit"
	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/store"
)

const (
	// summaryTime is how long a summary is counted for if nobody says otherwise.
	summaryTime = 50 * time.Millisecond
	// summaryAge is how far back a summary goes if nobody says otherwise.
	summaryAge = 24 * time.Hour
)

// defaultLimit is how many rows a page has unless the client gives a limit.
const defaultLimit = 100

var noLog = reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "this server has no audit log (--audit=off)"}

// asks makes a handler of one that answers a question about a kind of thing, for those who may ask it. This is the one place
// through which all goes that lists or counts what is on record.
func (s *Server) asks(k *store.Kind, more []string, answer func(w http.ResponseWriter, r *http.Request, q audit.Query)) handler {
	return func(w http.ResponseWriter, r *http.Request, _ pipe.Key) {
		if s.config.Log == nil {
			refuse(w, r, &noLog)
			return
		}
		query, err := url.ParseQuery(r.URL.RawQuery) // and not URL.Query, which drops in silence what it cannot read
		if err != nil {
			err = errors.New("the query cannot be parsed")
		}
		var q audit.Query
		if err == nil {
			q, err = audit.ParseQuery(k, query, more, time.Now())
		}
		if err != nil {
			refuse(w, r, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadFilter, Text: err.Error()})
			return
		}
		key := pipe.Key{Namespace: q.Filter.Namespace}
		if key.Namespace != "" {
			key.Channel = q.Filter.Channel // which alone is one of every namespace
		}
		if s.permits(w, r, access.Audit, key) {
			answer(w, r, q)
		}
	}
}

// list answers with the rows that are asked for: a page of them as JSON, or all as lines.
func (s *Server) list(w http.ResponseWriter, r *http.Request, q audit.Query) {
	f := formatOf(r)
	if f != audit.JSON {
		s.stream(w, r, f, q)
		return
	}
	page, err := s.config.Log.History().Page(r.Context(), q.Kind, q.Filter, q.Cursor, cmp.Or(q.Limit, defaultLimit))
	if err != nil {
		s.unreadable(w, r, err)
		return
	}
	writeText(w, f, audit.PageJSON(q.Kind, page))
}

// stream answers with all rows that are asked for, as they come. Nothing of the log is held while the client reads.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, f audit.Format, q audit.Query) {
	out := newRows(w, f)
	err := s.config.Log.History().Each(r.Context(), q.Kind, q.Filter, q.Cursor, q.Limit, func(page store.Page) error {
		if s.broker.Stopping() {
			return pipe.ShutDown
		}
		if err := out.page(page); err != nil || r.Method == http.MethodHead {
			return cmp.Or(err, errHead)
		}
		return nil
	})
	switch {
	case err == nil || errors.Is(err, errHead):
	case !out.begun && errors.Is(err, pipe.ShutDown):
		fail(w, r, reply.ForOutcome(pipe.ShutDown, ""))
	case !out.begun:
		s.unreadable(w, r, err)
	default:
		breakOff() // or half of it would look whole
	}
}

// errHead ends the answer to a HEAD, which has no body.
var errHead = errors.New("only the head was asked for")

// summarize answers with counts.
func (s *Server) summarize(w http.ResponseWriter, r *http.Request, q audit.Query) {
	if q.Filter.From.IsZero() {
		to := q.Filter.To
		if to.IsZero() {
			to = time.Now()
		}
		q.Filter.From = to.Add(-summaryAge)
	}
	f, within := formatOf(r), cmp.Or(q.Within, summaryTime)
	if f != audit.JSON {
		within = 0 // lines have no place to say what is missing
	}
	summary, err := s.config.Log.History().Summarize(r.Context(), q.Filter, within)
	if err != nil {
		s.unreadable(w, r, err)
		return
	}
	writeText(w, f, audit.SummaryText(f, summary))
}

// showExchange answers with all that is on record about an exchange.
func (s *Server) showExchange(w http.ResponseWriter, r *http.Request, _ pipe.Key) {
	page, ok := s.lookUp(w, r)
	if !ok {
		return
	}
	var key pipe.Key // none: of an unknown one only those hear who may see all
	if len(page.Rows) > 0 {
		key = pipe.Key{Namespace: page.Value(0, "namespace").(string), Channel: page.Value(0, "channel").(string)}
	}
	switch {
	case !s.permits(w, r, access.Audit, key):
	case len(page.Rows) == 0:
		refuse(w, r, unknownExchange)
	default:
		f := formatOf(r)
		if f == audit.JSON {
			writeText(w, f, audit.RowJSON(page, 0))
			return
		}
		newRows(w, f).page(page)
	}
}

// showReceipt tells either side of an exchange how it ended. Whoever knows the id may know that: no more can be guessed of an
// id than when it was made, as 62 of its bits are random. It has no address in it.
func (s *Server) showReceipt(w http.ResponseWriter, r *http.Request, _ pipe.Key) {
	page, ok := s.lookUp(w, r)
	if !ok {
		return
	}
	if len(page.Rows) == 0 {
		refuse(w, r, unknownExchange)
		return
	}
	text := func(column string) string { return page.Value(0, column).(string) }
	answer := reply.Receipt{Exchange: text("id"), Namespace: text("namespace"), Channel: text("channel"), Outcome: text("outcome"), MatchedAt: text("matched_at")}
	if bytes, ok := page.Value(0, "bytes").(int64); ok {
		answer.Bytes = &bytes
	}
	if ended, ok := page.Value(0, "ended_at").(string); ok {
		answer.EndedAt = &ended
	}
	reply.JSON(http.StatusOK, answer).Write(w)
}

var unknownExchange = &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "no such exchange is on record"}

// lookUp returns the exchange that the path names as a page of one row, or of none if there is none. It returns false if it has
// answered.
func (s *Server) lookUp(w http.ResponseWriter, r *http.Request) (store.Page, bool) {
	if s.config.Log == nil {
		refuse(w, r, &noLog)
		return store.Page{}, false
	}
	path := strings.TrimSuffix(rawPath(r), "/")
	id := path[strings.LastIndex(path, "/")+1:]
	history := s.config.Log.History()
	page, err := history.Exchange(r.Context(), id)
	if err == nil && len(page.Rows) == 0 {
		// A consumer knows the id before it is on disk.
		if err = s.config.Log.Sync(); err == nil {
			page, err = history.Exchange(r.Context(), id)
		}
	}
	if err != nil {
		s.unreadable(w, r, err)
		return page, false
	}
	return page, true
}

// unreadable answers somebody for whom the log could not be read.
func (s *Server) unreadable(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		hangUp() // the client is gone
	}
	s.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "the audit log cannot be read", slog.Any("error", err))
	refuse(w, r, &reply.Error{Status: http.StatusServiceUnavailable, Code: reply.CodeAuditUnavailable, RetryAfter: 1,
		Text: "the audit log cannot be read now"})
}

// formatOf returns the first format that r accepts, or JSON if it names none.
func formatOf(r *http.Request) audit.Format {
	return audit.Format(reply.Negotiate(r.Header["Accept"], string(audit.JSON), string(audit.JSON), string(audit.NDJSON), string(audit.CSV)))
}

// writeText answers with a text in a format.
func writeText(w http.ResponseWriter, f audit.Format, text string) {
	reply.Text(http.StatusOK, f.ContentType(), text).Write(w)
}

// responseRows are audit.Rows that are sent on page by page, after the headers of a response.
type responseRows struct {
	w      http.ResponseWriter
	format audit.Format
	rows   *audit.Rows
	begun  bool
}

func newRows(w http.ResponseWriter, f audit.Format) *responseRows {
	return &responseRows{w: w, format: f, rows: audit.NewRows(w, f)}
}

// page sends a page, and the headers before the first one.
func (r *responseRows) page(page store.Page) error {
	if !r.begun {
		r.begun = true
		r.w.Header().Set("Content-Type", r.format.ContentType())
		r.w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	if err := r.rows.Page(page); err != nil {
		return err
	}
	return http.NewResponseController(r.w).Flush()
}
