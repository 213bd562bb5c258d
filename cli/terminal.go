package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"httpipe/store"
)

// IsTerminal reports whether w is a terminal, and so read by a person.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// A style says how values are written: exactly, for programs, or for a person at a terminal.
type style struct {
	human bool // sizes and durations with units, local times
	color bool // red for failures
}

func styleOf(w io.Writer) style {
	human := IsTerminal(w)
	return style{human: human, color: human && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// cell returns the value of a column as text that no terminal obeys: clients choose some of the texts.
func (s style) cell(page store.Page, i int, column string) string {
	value := page.Value(i, column)
	if value == nil {
		return "-"
	}
	n, isNumber := value.(int64)
	switch {
	case !s.human:
	case isNumber && column == "bytes":
		return s.size(n)
	case isNumber && strings.HasSuffix(column, "_ms"):
		return s.duration(n)
	case strings.HasSuffix(column, "_at"):
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(value)); err == nil {
			return s.time(at)
		}
	}
	return escape(fmt.Sprint(value))
}

// escape writes characters that a terminal may obey instead of showing, such as control characters and those that
// change the direction of text, as JSON does: \u202e. A byte that is not UTF-8 becomes \x9b.
func escape(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
		text = text[size:]
	}
	return b.String()
}

// forTerminal returns w or, if it is a terminal, a writer that escapes all but the ends of lines.
func forTerminal(w io.Writer) io.Writer {
	if IsTerminal(w) {
		return &escaper{w: w}
	}
	return w
}

// An escaper writes text with escape, except for the ends of lines. The text must end with one.
type escaper struct {
	w    io.Writer
	part []byte // the beginning of a character, the rest of which comes with the next Write
}

func (e *escaper) Write(p []byte) (int, error) {
	text := append(e.part, p...)
	end := len(text)
	for i := max(0, end-utf8.UTFMax+1); i < end; i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			end = i
		}
	}
	e.part = slices.Clone(text[end:])
	lines := strings.Split(string(text[:end]), "\n")
	for i := range lines {
		lines[i] = escape(lines[i])
	}
	if _, err := io.WriteString(e.w, strings.Join(lines, "\n")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// size writes a number of bytes.
func (s style) size(n int64) string {
	if s.human {
		return humanize.IBytes(uint64(n))
	}
	return fmt.Sprint(n)
}

// duration writes a number of milliseconds.
func (s style) duration(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case !s.human:
		return fmt.Sprint(ms)
	case d < time.Second:
		return fmt.Sprintf("%dms", ms)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// time writes a time; for a person, in the time zone of this machine, with the zone's name.
func (s style) time(t time.Time) string {
	if s.human {
		return t.Local().Format("2006-01-02 15:04:05 MST")
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// normal are the outcomes, and the reasons of channels, that are not failures.
var normal = map[*store.Kind][]string{
	store.Exchanges: {store.Delivered, store.StillOpen},
	store.Requests:  {"left", "timed_out", "deleted", "shut_down"},
	store.Channels:  {"idle", "deleted", "shut_down", "-"},

	store.Calls:         {"answered", store.StillOpen},
	store.Publications:  {store.Published, store.StillOpen},
	store.Subscriptions: {store.Delivered, "left", "timed_out", "deleted", "shut_down", store.StillOpen},
}

// mark colours an outcome or a reason that is a failure.
func (s style) mark(k *store.Kind, word string) string {
	if s.color && !slices.Contains(normal[k], word) {
		return red + word + plain
	}
	return word
}

const red, plain = "\x1b[31m", "\x1b[m"

// A table writes rows in columns. Widths only grow, so rows that come later stand under the earlier ones.
type table struct {
	w      io.Writer
	rows   [][]string // not written yet
	widths []int
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// flush writes the rows that were added since the last flush.
func (t *table) flush() error {
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(t.widths) {
				t.widths = append(t.widths, 0)
			}
			t.widths[i] = max(t.widths[i], width(cell))
		}
	}
	var text strings.Builder
	for _, row := range t.rows {
		for i, cell := range row {
			text.WriteString(cell)
			if i < len(row)-1 {
				text.WriteString(strings.Repeat(" ", t.widths[i]-width(cell)+2))
			}
		}
		text.WriteByte('\n')
	}
	t.rows = nil
	_, err := io.WriteString(t.w, text.String())
	return err
}

// width returns how many columns of a terminal a cell takes: colours take none.
func width(cell string) int {
	return utf8.RuneCountInString(strings.TrimSuffix(strings.TrimPrefix(cell, red), plain))
}
