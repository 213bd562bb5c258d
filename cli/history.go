package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize/english"

	"httpipe/audit"
	"httpipe/pipe"
	"httpipe/store"
)

// A question holds what the flags of a command about the log ask for.
type question struct {
	query  url.Values // the filters, as in the API
	limit  int        // 0: all
	json   bool
	format string
	follow bool
}

const whenHelp = "A WHEN is a time, such as 2026-11-22T10:00:00Z, or how long ago it was, such as 24h or 7d."

// filters returns the flags for the API's filters.
func (q *question) filters() (flags []option) {
	q.query = url.Values{}
	outcomes := []string{store.StillOpen}
	for _, o := range pipe.Outcomes {
		outcomes = append(outcomes, string(o))
	}
	for _, f := range []option{
		{name: "namespace", arg: "NAME", help: "show only this namespace"},
		{name: "channel", arg: "NAME", help: "show only this channel"},
		{name: "service", arg: "NAME", help: "show only this service"},
		{name: "topic", arg: "NAME", help: "show only this topic"},
		{name: "publication", arg: "ID", help: "show only subscriptions that took this publication"},
		{name: "subscription", arg: "ID", help: "show only publications that this subscription took"},
		{name: "shape", arg: "SHAPE", help: "show only requests to channels, to topics, or to services", words: audit.Shapes},
		{name: "outcome", arg: "WORD", help: "show only this outcome, such as delivered; open: still running", words: outcomes},
		{name: "role", arg: "ROLE", help: "show only requests of a producer, or of a consumer", words: []string{pipe.Producer.String(), pipe.Consumer.String()}},
		{name: "from", arg: "WHEN", help: "show only what is not older than this"},
		{name: "to", arg: "WHEN", help: "show only what is older than this"},
	} {
		f.set = func(text string) error {
			q.query.Set(f.name, text)
			return nil
		}
		flags = append(flags, f)
	}
	return flags
}

// exchangeFilters returns those of the filters that exchanges have.
func (q *question) exchangeFilters() []option {
	return slices.DeleteFunc(q.filters(), func(o option) bool {
		return !slices.Contains(store.Exchanges.Filters, o.name) && o.name != "from" && o.name != "to"
	})
}

func (q *question) limitFlag(def string) option {
	return option{name: "limit", arg: "N", def: def, help: "print at most this many; 0 prints all", set: into(&q.limit, orOff("all", parseCount))}
}

func (q *question) jsonFlag() option {
	return option{name: "json", help: "print JSON, with exact values", set: into(&q.json, parseBool)}
}

// kindWords are the first arguments of the commands that read one kind of rows.
var kindWords = []string{store.Exchanges.Name, store.Requests.Name, store.Channels.Name, store.Calls.Name, store.Publications.Name, store.Subscriptions.Name}

// kind returns the kind of rows that the first argument names, or exchanges, and the filter for them.
func (q *question) kind(args []string) (*store.Kind, store.Filter, error) {
	k := store.Exchanges
	if len(args) > 0 {
		k = store.KindOf(args[0])
	}
	for name := range q.query {
		if kinds := kindsWith(name); !slices.Contains(kinds, k.Name) {
			return k, store.Filter{}, usageErrorf("--%s applies only to %s: httpipe audit list %s --%s %s",
				name, english.WordSeries(kinds, "and"), kinds[0], name, q.query.Get(name))
		}
	}
	f, err := audit.ParseFilter(k, q.query, time.Now())
	if err != nil {
		err = usageErrorf("--%w", err) // which begins with the name of the parameter
	}
	return k, f, err
}

// kindsWith returns the kinds of rows that have a filter.
func kindsWith(filter string) (kinds []string) {
	for _, word := range kindWords {
		if filter == "from" || filter == "to" || slices.Contains(store.KindOf(word).Filters, filter) {
			kinds = append(kinds, word)
		}
	}
	return kinds
}

// withHistory calls f with the history of the log. SIGINT and SIGTERM cancel f's context, and are not an error.
func withHistory(ctx context.Context, c *Config, f func(ctx context.Context, h *store.History) error) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	h, err := store.OpenHistory(c.AuditDB)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, h.Close()) }()
	if err := f(ctx, h); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// each calls print with the pages of rows, and says on stderr if there are none.
func (q *question) each(ctx context.Context, h *store.History, k *store.Kind, filter store.Filter, stderr io.Writer, print func(store.Page) error) error {
	found := false
	err := h.Each(ctx, k, filter, "", q.limit, func(page store.Page) error {
		found = found || len(page.Rows) > 0
		return print(page)
	})
	if err == nil && !found {
		q.sayNone(stderr, k.Name)
	}
	return err
}

// sayNone says that no rows match.
func (q *question) sayNone(stderr io.Writer, name string) {
	if len(q.query) > 0 {
		name += " match"
	}
	fmt.Fprintf(stderr, "httpipe: no %s\n", name)
}

func auditList(c *Config) command {
	var q question
	return command{
		name: "audit list", args: "[WHAT]", words: kindWords, options: auditOptions(c),
		help:  "list rows of the log, newest first",
		more:  "WHAT is exchanges (default), requests (that were never matched), channels, calls, publications\nor subscriptions.\n" + whenHelp,
		flags: append(q.filters(), q.limitFlag("20"), q.jsonFlag()),
		run: func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
			k, filter, err := q.kind(args)
			if err != nil {
				return err
			}
			return withHistory(ctx, c, func(ctx context.Context, h *store.History) error {
				return q.each(ctx, h, k, filter, stderr, q.printer(stdout, h, k))
			})
		},
	}
}

func auditExport(c *Config) command {
	var q question
	formats := []string{"csv", "ndjson"}
	return command{
		name: "audit export", args: "[WHAT]", words: kindWords, options: auditOptions(c),
		help: "write all columns of one kind of rows",
		more: "WHAT is one of those of httpipe audit list.\n" + whenHelp,
		flags: append(q.filters(), q.limitFlag("0"), option{name: "format", arg: "FORMAT", def: "csv", help: "csv or ndjson", words: formats,
			set: into(&q.format, oneOf(formats...))}),
		run: func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
			k, filter, err := q.kind(args)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(forTerminal(stdout))
			lines := audit.NewRows(out, audit.CSV)
			if q.format == "ndjson" {
				lines = audit.NewRows(out, audit.NDJSON)
			}
			err = withHistory(ctx, c, func(ctx context.Context, h *store.History) error {
				if err := q.each(ctx, h, k, filter, stderr, lines.Page); err != nil {
					return fmt.Errorf("the export is incomplete: %w", err)
				}
				return nil
			})
			return cmp.Or(err, out.Flush())
		},
	}
}

func auditShow(c *Config) command {
	var q question
	return command{
		name: "audit show", args: "ID", options: auditOptions(c), flags: []option{q.jsonFlag()},
		help: "show the record of one exchange",
		more: "The beginning of an ID is enough if no other ID begins with it.",
		run: func(ctx context.Context, args []string, stdout, _ io.Writer) error {
			return withHistory(ctx, c, func(ctx context.Context, h *store.History) error {
				page, err := exchangeOf(ctx, h, args[0])
				if err != nil {
					return err
				}
				if q.json {
					return audit.NewRows(forTerminal(stdout), audit.NDJSON).Page(page)
				}
				s, t := styleOf(stdout), table{w: stdout}
				for _, column := range page.Columns {
					text := s.cell(page, 0, column)
					if column == "outcome" {
						text = s.mark(store.Exchanges, text)
					}
					if n, ok := page.Value(0, column).(int64); ok && s.human && column == "bytes" {
						text += fmt.Sprintf(" (%d)", n)
					}
					t.add(column, text)
				}
				return t.flush()
			})
		},
	}
}

// candidatesShown is how many ids an error lists at most if an ID is the beginning of several.
const candidatesShown = 5

// exchangeOf returns the exchange whose id begins with that text, as a page of one row.
func exchangeOf(ctx context.Context, h *store.History, prefix string) (store.Page, error) {
	page, err := h.ExchangesByPrefix(ctx, strings.ToLower(prefix), candidatesShown+1)
	switch n := len(page.Rows); {
	case err != nil || n == 1:
		return page, err
	case n == 0:
		return page, fmt.Errorf("no exchange has an id that begins with %q", prefix)
	}
	var ids []string
	for i := range page.Rows[:min(len(page.Rows), candidatesShown)] {
		ids = append(ids, page.Value(i, "id").(string))
	}
	if len(page.Rows) > candidatesShown {
		ids = append(ids, "…")
	}
	return page, fmt.Errorf("more than one exchange has an id that begins with %q: %s", prefix, strings.Join(ids, ", "))
}

func auditSummary(c *Config) command {
	var q question
	return command{
		name: "audit summary", options: auditOptions(c),
		help:  "count exchanges by outcome: the last 24h, or since --from",
		more:  whenHelp,
		flags: append(q.exchangeFilters(), q.jsonFlag()),
		run: func(ctx context.Context, _ []string, stdout, stderr io.Writer) error {
			if !q.query.Has("from") {
				q.query.Set("from", "24h")
			}
			_, filter, err := q.kind(nil)
			if err != nil {
				return err
			}
			return withHistory(ctx, c, func(ctx context.Context, h *store.History) error {
				summary, err := h.Summarize(ctx, filter, 0)
				if err != nil {
					return err
				}
				if summary.Total.Exchanges == 0 {
					q.sayNone(stderr, store.Exchanges.Name)
				}
				if q.json {
					_, err := io.WriteString(stdout, audit.SummaryText(audit.JSON, summary))
					return err
				}
				return printSummary(stdout, summary)
			})
		},
	}
}

func printSummary(w io.Writer, s *store.Summary) error {
	style := styleOf(w)
	fmt.Fprintf(w, "from %s to %s: exchanges %d, bytes %s\n", style.time(s.From), style.time(s.To), s.Total.Exchanges, style.size(s.Total.Bytes))
	outcomes := table{w: w}
	for _, outcome := range slices.Sorted(maps.Keys(s.Total.Outcomes)) {
		outcomes.add("  "+style.mark(store.Exchanges, outcome), fmt.Sprint(s.Total.Outcomes[outcome]))
	}
	if err := outcomes.flush(); err != nil || len(s.Buckets) == 0 {
		return err
	}
	fmt.Fprintln(w)
	size, unit := "BYTES", " MS"
	if style.human {
		size, unit = "SIZE", ""
	}
	t := table{w: w}
	t.add("FROM", "EXCHANGES", "DELIVERED", size, "PRODUCERS WAITED"+unit+" (P95)", "CONSUMERS WAITED"+unit+" (P95)")
	waits := func(w *store.WaitTimes) string {
		return fmt.Sprintf("%s (%s)", style.duration(w.Quantile(0.5)), style.duration(w.Quantile(0.95)))
	}
	for i := range s.Buckets {
		b := &s.Buckets[i]
		t.add(style.time(b.From), fmt.Sprint(b.Exchanges), fmt.Sprint(b.Outcomes[store.Delivered]), style.size(b.Bytes), waits(&b.ProducerWaits), waits(&b.ConsumerWaits))
	}
	return t.flush()
}

// A column of a list has a head, another head at a terminal if that differs, and the name of the view's column.
type column struct{ head, human, name string }

// listed are the columns of the lists of a kind. The name of a channel is two columns of the view.
var listed = map[*store.Kind][]column{
	store.Exchanges: {{"MATCHED", "", "matched_at"}, {"CHANNEL", "", "channel"}, {"OUTCOME", "", "outcome"}, {"BYTES", "SIZE", "bytes"},
		{"MS", "TOOK", "duration_ms"}, {"ID", "", "id"}},
	store.Requests: {{"ENDED", "", "ended_at"}, {"CHANNEL", "", "channel"}, {"ROLE", "", "role"}, {"OUTCOME", "", "outcome"},
		{"WAITED MS", "WAITED", "wait_ms"}, {"ADDR", "", "addr"}, {"COUNT", "", "count"}},
	store.Channels: {{"OPENED", "", "opened_at"}, {"CLOSED", "", "closed_at"}, {"CHANNEL", "", "channel"}, {"REASON", "", "reason"},
		{"EXCHANGES", "", "exchanges"}, {"BYTES", "SIZE", "bytes"}},
	store.Calls: {{"TAKEN", "", "taken_at"}, {"SERVICE", "", "service"}, {"METHOD", "", "method"}, {"OUTCOME", "", "outcome"},
		{"STATUS", "", "status"}, {"ANSWERED", "", "answered_at"}, {"ID", "", "id"}},
	store.Publications: {{"PUBLISHED", "", "published_at"}, {"TOPIC", "", "topic"}, {"OUTCOME", "", "outcome"}, {"BYTES", "SIZE", "bytes"},
		{"SUBSCRIBERS", "", "subscribers"}, {"DELIVERED", "", "delivered"}, {"ID", "", "id"}},
	store.Subscriptions: {{"SUBSCRIBED", "", "subscribed_at"}, {"ENDED", "", "ended_at"}, {"TOPIC", "", "topic"}, {"OUTCOME", "", "outcome"},
		{"MESSAGES", "", "messages"}, {"BYTES", "SIZE", "bytes"}, {"ADDR", "", "addr"}, {"ID", "", "id"}},
}

// printer returns a function that prints pages of a kind, as a table or as JSON. At a terminal the head of the table
// comes with the first rows.
func (q *question) printer(w io.Writer, h *store.History, k *store.Kind) func(store.Page) error {
	if q.json {
		return audit.NewRows(forTerminal(w), audit.NDJSON).Page
	}
	s, t, headed := styleOf(w), table{w: w}, false
	columns := listed[k]
	if h.Merged() {
		columns = append([]column{{"NODE", "", "node"}}, columns...)
	}
	return func(page store.Page) error {
		if !headed && (len(page.Rows) > 0 || !s.human) {
			headed = true
			t.add(s.heads(columns)...)
		}
		for i := range page.Rows {
			t.add(s.row(k, columns, page, i)...)
		}
		return t.flush()
	}
}

func (s style) heads(columns []column) (heads []string) {
	for _, c := range columns {
		if s.human && c.human != "" {
			c.head = c.human
		}
		heads = append(heads, c.head)
	}
	return heads
}

// row returns row i of a page as the cells of a list.
func (s style) row(k *store.Kind, columns []column, page store.Page, i int) (cells []string) {
	for _, c := range columns {
		text := s.cell(page, i, c.name)
		switch c.name {
		case "channel", "topic", "service":
			text = s.cell(page, i, "namespace") + "/" + text
		case "outcome", "reason":
			text = s.mark(k, text)
		}
		cells = append(cells, text)
	}
	return cells
}
