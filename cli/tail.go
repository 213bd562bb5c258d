package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"httpipe/store"
)

const (
	// tailInterval is how often tail -f looks for new rows.
	tailInterval = 500 * time.Millisecond
	// tailWindow is how many of the newest exchanges tail -f searches for running ones when it starts.
	tailWindow = 1000
	// tailSlack is how much older a row may be than one with a smaller id: an id is made a moment before its match, and
	// a row for the refusals of a minute is written at the end of the minute.
	tailSlack = 2 * time.Minute
)

func auditTail(c *Config) command {
	var q question
	flags := append(q.filters(), q.limitFlag("10"), q.jsonFlag(),
		option{name: "follow", short: "f", help: "continue, and print what ends from now on", set: into(&q.follow, parseBool)})
	return command{
		name: "audit tail", args: "[WHAT]", words: []string{store.Exchanges.Name, store.Requests.Name}, options: auditOptions(c), flags: flags,
		help: "print the latest exchanges or requests, newest last",
		more: "WHAT is exchanges (default) or requests, which are those that were never matched.\n" + whenHelp,
		run: func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
			k, filter, err := q.kind(args)
			if err != nil {
				return err
			}
			return withHistory(ctx, c, func(ctx context.Context, h *store.History) error {
				t := &tail{history: h, kind: k, filter: filter, print: q.printer(stdout, h, k), running: make(map[string]bool)}
				found, err := t.begin(ctx, q.limit, q.follow)
				if err != nil {
					return err
				}
				if !found {
					q.sayNone(stderr, k.Name)
				}
				if !q.follow {
					return nil
				}
				for {
					select {
					case <-ctx.Done():
						return nil
					case <-time.After(tailInterval):
					}
					if err := t.look(ctx); err != nil {
						return err
					}
				}
			})
		},
	}
}

// A tail follows the rows of one kind. It remembers the newest row that it has seen, and which exchanges were running.
type tail struct {
	history *store.History
	kind    *store.Kind
	filter  store.Filter
	print   func(store.Page) error
	last    string          // the key of the newest row that it has seen
	since   time.Time       // every row that it has not seen is at least this new, so it does not search older ones
	running map[string]bool // ids of exchanges to print when they end
}

// key returns the id of a row as a text that ascends with the ids.
func key(page store.Page, i int) string {
	if n, ok := page.Value(i, "id").(int64); ok {
		return fmt.Sprintf("%019d", n)
	}
	return page.Value(i, "id").(string)
}

// begin prints the newest rows, and reports whether there are any. If look is to follow, begin first notes the newest
// row, and leaves rows that are newer than that to look.
func (t *tail) begin(ctx context.Context, limit int, follow bool) (found bool, err error) {
	if follow {
		window, err := t.newest(ctx, t.unended(), max(limit, tailWindow), "")
		if err != nil {
			return false, err
		}
		for i := range window.Rows {
			t.note(window, i)
		}
	}
	shown, err := t.newest(ctx, t.filter, limit, "")
	if err != nil {
		return false, err
	}
	for i := range shown.Rows {
		if follow && key(shown, i) > t.last {
			shown.Rows = shown.Rows[:i]
			break
		}
		t.note(shown, i)
	}
	return len(shown.Rows) > 0, t.print(shown)
}

// unended returns the filter for rows that have, or may come to have, the outcome that the filter asks for.
func (t *tail) unended() store.Filter {
	f := t.filter
	if t.kind == store.Exchanges {
		f.Outcome = ""
	}
	if t.since.After(f.From) {
		f.From = t.since
	}
	return f
}

// newest returns up to limit rows whose keys are after the given one, oldest first.
func (t *tail) newest(ctx context.Context, f store.Filter, limit int, after string) (all store.Page, err error) {
	reached := errors.New("reached")
	err = t.history.Each(ctx, t.kind, f, "", limit, func(page store.Page) error {
		all.Columns = page.Columns
		for i, row := range page.Rows {
			if key(page, i) <= after {
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

// note remembers a row as seen, and reports whether it is final: a request always is, an exchange when it has ended.
func (t *tail) note(page store.Page, i int) (ended bool) {
	id := key(page, i)
	t.last = max(t.last, id)
	if t.kind == store.Exchanges && page.Value(i, "outcome") == store.StillOpen {
		t.running[id] = true
		return false
	}
	delete(t.running, id)
	return true
}

// look prints what has ended since the last look.
func (t *tail) look(ctx context.Context) error {
	news, err := t.ended(ctx)
	if err != nil {
		return err
	}
	newest, err := t.newest(ctx, store.Filter{}, 1, "") // of all rows, and read before those that match the filter
	if err != nil {
		return err
	}
	page, err := t.newest(ctx, t.unended(), 0, t.last)
	if err != nil {
		return err
	}
	if len(newest.Rows) > 0 {
		column := "matched_at"
		if t.kind == store.Requests {
			column = "ended_at"
		}
		at, err := time.Parse(time.RFC3339, newest.Value(0, column).(string))
		if err != nil {
			return err
		}
		t.since = at.Add(-tailSlack)
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

// ended returns those of the running exchanges that have ended.
func (t *tail) ended(ctx context.Context) (news store.Page, err error) {
	for _, id := range slices.Sorted(maps.Keys(t.running)) {
		page, err := t.history.Row(ctx, store.Exchanges, id)
		if err != nil {
			return news, err
		}
		if len(page.Rows) == 0 {
			delete(t.running, id) // retention has removed it
		} else if t.note(page, 0) {
			news.Columns, news.Rows = page.Columns, append(news.Rows, page.Rows[0])
		}
	}
	return news, nil
}
