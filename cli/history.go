package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode"

	"httpipe/httpapi"
	"httpipe/store"
)

// asked is what a command about the history was told by its own flags and argument.
type asked struct {
	query  url.Values // the filters, as in the API
	limit  int        // 0: all
	json   bool
	format string
	follow bool
}

// filters are the flags of the API's filters.
func (a *asked) filters() (flags []option) {
	a.query = url.Values{}
	for _, f := range []struct{ name, arg, help string }{
		{"namespace", "NAME", "only this namespace"},
		{"channel", "NAME", "only this channel"},
		{"outcome", "WORD", "only what ended so; open: what runs"},
		{"role", "ROLE", "only requests of a producer, or of a consumer"},
		{"from", "TIME", "from then on: 2026-11-22T10:00:00Z, or how long ago, as 24h"},
		{"to", "TIME", "before then"},
	} {
		flags = append(flags, option{name: f.name, arg: f.arg, help: f.help, set: func(text string) error {
			a.query.Set(f.name, text)
			return nil
		}})
	}
	return flags
}

// exchangeFilters are those of them that exchanges have.
func (a *asked) exchangeFilters() []option {
	return slices.DeleteFunc(a.filters(), func(o option) bool { return o.name == "role" })
}

func (a *asked) withLimit(def string) option {
	return option{name: "limit", arg: "N", def: def, help: "how many at the most; 0 is all", set: into(&a.limit, orOff(parseCount))}
}

func (a *asked) withJSON() option {
	return option{name: "json", help: "as JSON, for programs", set: into(&a.json, parseBool)}
}

// kind returns what the first argument names, which is exchanges if there is none, and the filter for that.
func (a *asked) kind(args []string) (*store.Kind, store.Filter, error) {
	k := store.Exchanges
	if len(args) > 0 {
		if k = store.KindOf(args[0]); k == nil {
			return nil, store.Filter{}, fmt.Errorf("unknown %q; there are exchanges, requests and channels", args[0])
		}
	}
	f, err := httpapi.ParseFilter(k, a.query, time.Now())
	return k, f, err
}

// withHistory calls f with the history of the log, until it returns or the process is told to stop, which is no error.
func withHistory(ctx context.Context, c *Config, f func(ctx context.Context, h *store.History) error) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	h, err := store.OpenHistory(c.AuditDB)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := f(ctx, h); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func auditList(c *Config) command {
	var a asked
	return command{
		name: "audit list", args: "[WHAT]", options: auditOptions(c),
		help:  "list exchanges, or requests, or channels, the newest first",
		flags: append(a.filters(), a.withLimit("20"), a.withJSON()),
		run: func(ctx context.Context, args []string, stdout, _ io.Writer) error {
			k, filter, err := a.kind(args)
			if err != nil {
				return err
			}
			return withHistory(ctx, c, func(ctx context.Context, h *store.History) error {
				if a.json {
					return h.Each(ctx, k, filter, "", a.limit, httpapi.NewNDJSON(stdout).Page)
				}
				table := newTable(stdout)
				fmt.Fprintln(table, tableHeads[k])
				err := h.Each(ctx, k, filter, "", a.limit, func(page store.Page) error {
					for i := range page.Rows {
						fmt.Fprintln(table, tableRow(k, page, i))
					}
					return nil
				})
				return errors.Join(err, table.Flush())
			})
		},
	}
}

func auditExport(c *Config) command {
	var a asked
	return command{
		name: "audit export", args: "[WHAT]", options: auditOptions(c),
		help: "write all columns of exchanges, or requests, or channels",
		flags: append(a.filters(), a.withLimit("0"), option{name: "format", arg: "FORMAT", def: "csv", help: "csv or ndjson",
			set: into(&a.format, oneOf("csv", "ndjson"))}),
		run: func(ctx context.Context, args []string, stdout, _ io.Writer) error {
			k, filter, err := a.kind(args)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(stdout)
			lines := httpapi.NewCSV(out)
			if a.format == "ndjson" {
				lines = httpapi.NewNDJSON(out)
			}
			err = withHistory(ctx, c, func(ctx context.Context, h *store.History) error {
				if err := h.Each(ctx, k, filter, "", a.limit, lines.Page); err != nil {
					return fmt.Errorf("the export is not whole: %w", err)
				}
				return nil
			})
			return errors.Join(err, out.Flush())
		},
	}
}

func auditShow(c *Config) command {
	var a asked
	return command{
		name: "audit show", args: "ID", options: auditOptions(c), flags: []option{a.withJSON()},
		help: "show all that is on record about an exchange",
		run: func(ctx context.Context, args []string, stdout, _ io.Writer) error {
			return withHistory(ctx, c, func(ctx context.Context, h *store.History) error {
				page, err := h.Exchange(ctx, args[0])
				if err != nil {
					return err
				}
				if len(page.Rows) == 0 {
					return fmt.Errorf("no exchange %q is on record", args[0])
				}
				if a.json {
					return httpapi.NewNDJSON(stdout).Page(page)
				}
				table := newTable(stdout)
				for _, column := range page.Columns {
					fmt.Fprintf(table, "%s\t%s\n", column, cell(page, 0, column))
				}
				return table.Flush()
			})
		},
	}
}

func auditSummary(c *Config) command {
	var a asked
	return command{
		name: "audit summary", options: auditOptions(c),
		help:  "count exchanges by outcome and time; of 24h, if no --from",
		flags: append(a.exchangeFilters(), a.withJSON()),
		run: func(ctx context.Context, _ []string, stdout, _ io.Writer) error {
			if !a.query.Has("from") {
				a.query.Set("from", "24h")
			}
			_, filter, err := a.kind(nil)
			if err != nil {
				return err
			}
			return withHistory(ctx, c, func(ctx context.Context, h *store.History) error {
				summary, err := h.Summarize(ctx, filter, 0)
				if err != nil {
					return err
				}
				if a.json {
					_, err := io.WriteString(stdout, httpapi.SummaryJSON(summary))
					return err
				}
				return printSummary(stdout, summary)
			})
		},
	}
}

func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// tableHeads are the columns of the tables for people.
var tableHeads = map[*store.Kind]string{
	store.Exchanges: "MATCHED\tCHANNEL\tOUTCOME\tBYTES\tMS\tID",
	store.Requests:  "ENDED\tCHANNEL\tROLE\tOUTCOME\tWAITED MS\tADDR\tCOUNT",
	store.Channels:  "OPENED\tCLOSED\tCHANNEL\tREASON\tEXCHANGES\tBYTES",
}

// tableRow returns a row of a table for people.
func tableRow(k *store.Kind, page store.Page, i int) string {
	channel := cell(page, i, "namespace") + "/" + cell(page, i, "channel")
	texts := []string{}
	switch k {
	case store.Exchanges:
		texts = append(texts, cell(page, i, "matched_at"), channel)
		texts = append(texts, cellsOf(page, i, "outcome", "bytes", "duration_ms", "id")...)
	case store.Requests:
		texts = append(texts, cell(page, i, "ended_at"), channel)
		texts = append(texts, cellsOf(page, i, "role", "outcome", "wait_ms", "addr", "count")...)
	case store.Channels:
		texts = append(cellsOf(page, i, "opened_at", "closed_at"), channel)
		texts = append(texts, cellsOf(page, i, "reason", "exchanges", "bytes")...)
	}
	return strings.Join(texts, "\t")
}

func cellsOf(page store.Page, i int, columns ...string) (texts []string) {
	for _, column := range columns {
		texts = append(texts, cell(page, i, column))
	}
	return texts
}

// cell returns a value for a terminal: clients have chosen some of the texts, and what they chose must not move the cursor.
func cell(page store.Page, i int, column string) string {
	value := page.Value(i, column)
	if value == nil {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, fmt.Sprint(value))
}
