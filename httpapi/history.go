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
	"httpipe/relay"
	"httpipe/reply"
	"httpipe/store"
)

// The defaults of a question's parameters.
const (
	defaultLimit  = 100                   // rows of a page
	defaultWithin = 50 * time.Millisecond // for a summary
	defaultAge    = 24 * time.Hour        // of the oldest exchange in a summary
)

// history answers questions about the audit log. Package audit reads the questions and writes the answers; this type is
// the part that needs HTTP: permissions, status and headers.
type history struct {
	rows     *store.History // nil if there is no log
	log      *store.Log     // that this server writes; nil if there is none
	gate     *gate
	others   *others
	stopping func() bool // whether the server is stopping
	logger   *slog.Logger
}

var noLog = &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "this server has no audit log (--audit=off)"}

// notOnRecord returns the error for an id that no row of a kind has.
func notOnRecord(k *store.Kind) *reply.Error {
	return &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "no such " + strings.TrimSuffix(k.Name, "s") + " is on record"}
}

// asks returns a handler that reads a question about a kind of rows, with further parameters if more names any, and lets
// answer answer it if the client may ask it. Everything that lists or counts rows goes through here.
func (h *history) asks(k *store.Kind, more []string, answer func(w http.ResponseWriter, r *request, q audit.Query)) handler {
	return func(w http.ResponseWriter, r *request) {
		if h.rows == nil {
			r.Refuse(w, noLog)
			return
		}
		query, err := url.ParseQuery(r.Query) // URL.Query would silently drop what it cannot parse
		if err != nil {
			err = errors.New("the query cannot be parsed")
		}
		var q audit.Query
		if err == nil {
			q, err = audit.ParseQuery(k, query, more, time.Now())
		}
		if err != nil {
			r.Refuse(w, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadFilter, Text: err.Error()})
			return
		}
		key := pipe.Key{Namespace: q.Filter.Namespace}
		if key.Namespace != "" { // without one, the name matches in all namespaces
			key.Channel = cmp.Or(q.Filter.Channel, q.Filter.Topic, q.Filter.Service)
		}
		if h.gate.permits(w, r, access.Audit, key) {
			answer(w, r, q)
		}
	}
}

// list answers with rows: one page as JSON, or all of them as NDJSON or CSV.
func (h *history) list(w http.ResponseWriter, r *request, q audit.Query) {
	f := formatOf(r)
	if f != audit.JSON {
		h.stream(w, r, f, q)
		return
	}
	page, err := h.rows.Page(r.Context(), q.Kind, q.Filter, q.Cursor, cmp.Or(q.Limit, defaultLimit))
	if err != nil {
		h.unreadable(w, r, err)
		return
	}
	writeText(w, f, audit.PageJSON(q.Kind, page))
}

// stream answers with all rows, page by page. It holds no lock of the log while the client reads.
func (h *history) stream(w http.ResponseWriter, r *request, f audit.Format, q audit.Query) {
	out := newRows(w, f)
	err := h.rows.Each(r.Context(), q.Kind, q.Filter, q.Cursor, q.Limit, func(page store.Page) error {
		if h.stopping() {
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
		r.Fail(w, reply.ForOutcome(pipe.ShutDown, pipe.NoRole))
	case !out.begun:
		h.unreadable(w, r, err)
	default:
		relay.Abort() // so that the client does not take it for whole
	}
}

// errHead ends the answer to a HEAD, which has no body.
var errHead = errors.New("only the head was asked for")

// summarize answers with counts.
func (h *history) summarize(w http.ResponseWriter, r *request, q audit.Query) {
	if q.Filter.From.IsZero() {
		to := q.Filter.To
		if to.IsZero() {
			to = time.Now()
		}
		q.Filter.From = to.Add(-defaultAge)
	}
	f, within := formatOf(r), cmp.Or(q.Within, defaultWithin)
	if f != audit.JSON {
		within = 0 // rows cannot say what is missing
	}
	summary, err := h.rows.Summarize(r.Context(), q.Filter, within)
	if err != nil {
		h.unreadable(w, r, err)
		return
	}
	if !h.gate.bearerOf(r).MayEverywhere(access.Audit) {
		summary.Oldest = time.Time{} // it may be a row that the client may not read
	}
	writeText(w, f, audit.SummaryText(f, summary))
}

// show returns a handler that answers with the row of a kind that the path names.
func (h *history) show(k *store.Kind) handler {
	return func(w http.ResponseWriter, r *request) {
		page, ok := h.lookUp(w, r, k)
		if !ok {
			return
		}
		var key pipe.Key // empty: only a client that may see everything learns that a row does not exist
		if len(page.Rows) > 0 {
			key = pipe.Key{Namespace: page.Value(0, "namespace").(string), Channel: page.Value(0, k.Filters[1]).(string)}
		}
		switch {
		case !h.gate.permits(w, r, access.Audit, key):
		case len(page.Rows) == 0:
			r.Refuse(w, notOnRecord(k))
		default:
			f := formatOf(r)
			if f == audit.JSON {
				writeText(w, f, audit.RowJSON(page, 0))
				return
			}
			newRows(w, f).page(page)
		}
	}
}

// showReceipt answers with how an exchange ended, without addresses. It needs no permission but the id, which cannot be
// guessed: 62 of its bits are random.
func (h *history) showReceipt(w http.ResponseWriter, r *request) {
	page, err := h.find(r, store.Exchanges)
	if err != nil || len(page.Rows) == 0 {
		h.showReceiptOfOthers(w, r, err)
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

// showReceiptOfOthers answers with the receipt that another node has. err says why this node could not look for it; nil: it
// has none.
func (h *history) showReceiptOfOthers(w http.ResponseWriter, r *request, err error) {
	switch body, e := h.others.first(r); {
	case body != nil:
		reply.Text(http.StatusOK, "application/json", string(body)).Write(w)
	case err != nil && err != errNoLog:
		h.unreadable(w, r, err)
	case e != nil:
		r.Refuse(w, e)
	case err != nil:
		r.Refuse(w, noLog)
	default:
		r.Refuse(w, notOnRecord(store.Exchanges))
	}
}

// lookUp returns the row of a kind that the path names as a page of one row, or of none if there is none. It returns false
// if it has answered r.
func (h *history) lookUp(w http.ResponseWriter, r *request, k *store.Kind) (store.Page, bool) {
	page, err := h.find(r, k)
	switch {
	case err == errNoLog:
		r.Refuse(w, noLog)
	case err != nil:
		h.unreadable(w, r, err)
	}
	return page, err == nil
}

// errNoLog is the error of find if there is no log.
var errNoLog = errors.New("no audit log")

// find returns the row of a kind that the path names as a page of one row, or of none if there is none.
func (h *history) find(r *request, k *store.Kind) (store.Page, error) {
	if h.rows == nil {
		return store.Page{}, errNoLog
	}
	page, err := h.rows.Row(r.Context(), k, r.parameter)
	if err == nil && len(page.Rows) == 0 && h.log != nil {
		// A consumer knows the id before it is on disk.
		if err = h.log.Sync(); err == nil {
			page, err = h.rows.Row(r.Context(), k, r.parameter)
		}
	}
	return page, err
}

// unreadable answers r when the log could not be read.
func (h *history) unreadable(w http.ResponseWriter, r *request, err error) {
	if errors.Is(err, context.Canceled) {
		relay.Abort() // the client is gone
	}
	h.logger.LogAttrs(r.Context(), slog.LevelWarn, "the audit log cannot be read", slog.Any("error", err))
	r.Refuse(w, &reply.Error{Status: http.StatusServiceUnavailable, Code: reply.CodeAuditUnavailable, RetryAfter: 1,
		Text: "the audit log cannot be read now"})
}

// formatOf returns the first format that r accepts, or JSON if it names none.
func formatOf(r *request) audit.Format {
	return audit.Format(reply.Negotiate(r.Header.Joined("Accept"), string(audit.JSON), string(audit.JSON), string(audit.NDJSON), string(audit.CSV)))
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
