package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"httpipe/httpapi"
	"httpipe/store"
)

const (
	// tailEvery is how often tail -f looks for news.
	tailEvery = 500 * time.Millisecond
	// tailWindow is how many of the newest exchanges tail -f looks through for those that run when it begins.
	tailWindow = 1000
)

func auditTail(c *Config) command {
	var a asked
	flags := append(a.exchangeFilters(), a.withLimit("10"), a.withJSON(),
		option{name: "follow", short: "f", help: "go on, and print each exchange when it has ended", set: into(&a.follow, parseBool)})
	return command{
		name: "audit tail", options: auditOptions(c), flags: flags,
		help: "print the last exchanges, the newest last",
		run: func(ctx context.Context, _ []string, stdout, _ io.Writer) error {
			_, filter, err := a.kind(nil)
			if err != nil {
				return err
			}
			return withHistory(ctx, c, func(ctx context.Context, h *store.History) error {
				t := &tail{history: h, filter: filter, print: printTail(stdout, a.json), running: make(map[string]bool)}
				if err := t.begin(ctx, a.limit, a.follow); err != nil || !a.follow {
					return err
				}
				for {
					select {
					case <-ctx.Done():
						return nil
					case <-time.After(tailEvery):
					}
					if err := t.look(ctx); err != nil {
						return err
					}
				}
			})
		},
	}
}

// A tail follows a log: it remembers how far it has come, and what had not ended by then.
type tail struct {
	history *store.History
	filter  store.Filter
	print   func(store.Page) error
	last    string          // the newest id that has been seen
	since   time.Time       // what has not been seen was matched later, so nothing older is looked through for it
	running map[string]bool // ids of exchanges that are to be printed when they end
}

// begin prints the newest ones, and if they are followed, first notes where that begins: what comes in between, look will print.
func (t *tail) begin(ctx context.Context, limit int, follow bool) error {
	if follow {
		window, err := t.newest(ctx, t.unended(), max(limit, tailWindow), "")
		if err != nil {
			return err
		}
		for i := range window.Rows {
			t.note(window, i)
		}
	}
	shown, err := t.newest(ctx, t.filter, limit, "")
	if err != nil {
		return err
	}
	for i := range shown.Rows {
		if follow && shown.Value(i, "id").(string) > t.last {
			shown.Rows = shown.Rows[:i]
			break
		}
		t.note(shown, i)
	}
	return t.print(shown)
}

// unended returns the filter for what may come to have the outcome that is asked for.
func (t *tail) unended() store.Filter {
	f := t.filter
	f.Outcome = ""
	if t.since.After(f.From) {
		f.From = t.since
	}
	return f
}

// newest returns up to limit exchanges that are newer than the id, the oldest first.
func (t *tail) newest(ctx context.Context, f store.Filter, limit int, than string) (all store.Page, err error) {
	reached := errors.New("reached")
	err = t.history.Each(ctx, store.Exchanges, f, "", limit, func(page store.Page) error {
		all.Columns = page.Columns
		for i, row := range page.Rows {
			if page.Value(i, "id").(string) <= than {
				return reached
			}
			all.Rows = append(all.Rows, row)
		}
		return nil
	})
	slices.Reverse(all.Rows)
	if errors.Is(err, reached) {
		err = nil
	}
	return all, err
}

// note remembers an exchange as seen, and returns whether it has ended.
func (t *tail) note(page store.Page, i int) (ended bool) {
	id := page.Value(i, "id").(string)
	t.last = max(t.last, id)
	if page.Value(i, "outcome") == store.StillOpen {
		t.running[id] = true
		return false
	}
	delete(t.running, id)
	return true
}

// look prints what has ended since the last look.
func (t *tail) look(ctx context.Context) error {
	news := store.Page{}
	for _, id := range slices.Sorted(maps.Keys(t.running)) {
		page, err := t.history.Exchange(ctx, id)
		if err != nil {
			return err
		}
		if len(page.Rows) == 0 {
			delete(t.running, id) // retention has removed it
		} else if t.note(page, 0) {
			news.Columns, news.Rows = page.Columns, append(news.Rows, page.Rows[0])
		}
	}
	newest, err := t.newest(ctx, store.Filter{}, 1, "") // of all, before what the filter asks for
	if err != nil {
		return err
	}
	page, err := t.newest(ctx, t.unended(), 0, t.last)
	if err != nil {
		return err
	}
	if len(newest.Rows) > 0 {
		at, err := time.Parse(time.RFC3339, newest.Value(0, "matched_at").(string))
		if err != nil {
			return err
		}
		t.since = at.Add(-time.Second) // to spare: an id is a little older than its match
	}
	for i, row := range page.Rows {
		if t.note(page, i) {
			news.Columns, news.Rows = page.Columns, append(news.Rows, row)
		}
	}
	if t.filter.Outcome != "" {
		all := news
		news.Rows = nil
		for i, row := range all.Rows {
			if all.Value(i, "outcome") == t.filter.Outcome {
				news.Rows = append(news.Rows, row)
			}
		}
	}
	return t.print(news)
}

// printTail returns what prints exchanges, in columns that stay the same however long it takes.
func printTail(w io.Writer, json bool) func(store.Page) error {
	if json {
		return httpapi.NewNDJSON(w).Page
	}
	return func(page store.Page) error {
		for i := range page.Rows {
			c := cellsOf(page, i, "matched_at", "outcome", "bytes", "duration_ms", "namespace", "channel", "id")
			if _, err := fmt.Fprintf(w, "%s  %-13s  %10s B  %8s ms  %s/%s  %s\n", c[0], c[1], c[2], c[3], c[4], c[5], c[6]); err != nil {
				return err
			}
		}
		return nil
	}
}

// printSummary prints counts as tables: all outcomes, then time by time.
func printSummary(w io.Writer, s *store.Summary) error {
	const layout = "2006-01-02T15:04:05Z"
	fmt.Fprintf(w, "from %s to %s: exchanges %d, bytes %d\n", s.From.Format(layout), s.To.Format(layout), s.Total.Exchanges, s.Total.Bytes)
	for _, outcome := range slices.Sorted(maps.Keys(s.Total.Outcomes)) {
		fmt.Fprintf(w, "  %-13s  %d\n", outcome, s.Total.Outcomes[outcome])
	}
	if len(s.Buckets) == 0 {
		return nil
	}
	table := newTable(w)
	fmt.Fprintln(table, "\nFROM\tEXCHANGES\tDELIVERED\tBYTES\tPRODUCERS WAITED MS (95 %)\tCONSUMERS WAITED MS (95 %)")
	for i := range s.Buckets {
		b := &s.Buckets[i]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d (%d)\t%d (%d)\n", b.From.Format(layout), b.Exchanges, b.Outcomes[store.Delivered], b.Bytes,
			b.Producers.Quantile(0.5), b.Producers.Quantile(0.95), b.Consumers.Quantile(0.5), b.Consumers.Quantile(0.95))
	}
	return table.Flush()
}
