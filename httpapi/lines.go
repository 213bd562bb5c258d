package httpapi

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"httpipe/pipe"
	"httpipe/store"
)

// A format is how rows are written.
type format string

const (
	formatJSON   format = "application/json"
	formatNDJSON format = "application/x-ndjson"
	formatCSV    format = "text/csv"
)

// formatOf returns the first format that r accepts, and JSON for whoever names none of them.
func formatOf(r *http.Request) format {
	for _, list := range r.Header["Accept"] {
		for item := range strings.SplitSeq(list, ",") {
			kind, params, err := mime.ParseMediaType(item)
			if err != nil || !slices.Contains([]format{formatJSON, formatNDJSON, formatCSV}, format(kind)) {
				continue
			}
			if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
				return format(kind)
			}
		}
	}
	return formatJSON
}

// announceFormat sets the headers of an answer.
func announceFormat(w http.ResponseWriter, f format) {
	kind := string(f)
	if f == formatCSV {
		kind += "; charset=utf-8; header=present"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

// writeText answers with a text in a format.
func writeText(w http.ResponseWriter, f format, text string) {
	announceFormat(w, f)
	writeWhole(w, http.StatusOK, text)
}

// Lines writes rows as they come: CSV with a header, or NDJSON.
type Lines struct {
	out    io.Writer
	csv    *csv.Writer // nil for NDJSON
	headed bool        // the CSV has its header
}

// NewCSV returns Lines of CSV.
func NewCSV(out io.Writer) *Lines { return &Lines{out: out, csv: csv.NewWriter(out)} }

// NewNDJSON returns Lines of JSON objects.
func NewNDJSON(out io.Writer) *Lines { return &Lines{out: out} }

// Page writes the rows of a page.
func (l *Lines) Page(page store.Page) error {
	if l.csv == nil {
		var text []byte
		for _, row := range page.Rows {
			text = append(appendRow(text, page.Columns, row), '\n')
		}
		_, err := l.out.Write(text)
		return err
	}
	if !l.headed {
		l.headed = true
		l.csv.Write(page.Columns)
	}
	for _, row := range page.Rows {
		l.csv.Write(cells(row))
	}
	l.csv.Flush()
	return l.csv.Error()
}

// responseLines are Lines that are sent on page by page, after the headers of a response.
type responseLines struct {
	w      http.ResponseWriter
	format format
	lines  *Lines
	begun  bool
}

func newLines(w http.ResponseWriter, f format) *responseLines {
	l := &responseLines{w: w, format: f, lines: NewNDJSON(w)}
	if f == formatCSV {
		l.lines = NewCSV(w)
	}
	return l
}

func (l *responseLines) page(page store.Page) error {
	if !l.begun {
		l.begun = true
		announceFormat(l.w, l.format)
	}
	if err := l.lines.Page(page); err != nil {
		return err
	}
	return http.NewResponseController(l.w).Flush()
}

// cells returns a row as CSV has it. A text that a spreadsheet would take for a formula is given an apostrophe: channels and
// agents are whatever somebody wanted them to be. NDJSON has everything as it is.
func cells(row []any) []string {
	texts := make([]string, len(row))
	for i, value := range row {
		switch v := value.(type) {
		case nil:
		case string:
			if v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) {
				v = "'" + v
			}
			texts[i] = v
		default:
			texts[i] = fmt.Sprint(v)
		}
	}
	return texts
}

// appendRow appends a row as a JSON object with its columns in their order.
func appendRow(text []byte, columns []string, row []any) []byte {
	for i, column := range columns {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		text = append(append(text, separator), mustJSON(column)...)
		text = append(append(text, ':'), mustJSON(row[i])...)
	}
	return append(text, '}')
}

// pageJSON returns a page as a JSON object: {"exchanges":[…],"next":null}.
func pageJSON(name string, page store.Page) string {
	text := append([]byte("{"), mustJSON(name)...)
	text = append(text, ":["...)
	for i, row := range page.Rows {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendRow(text, page.Columns, row)
	}
	next := any(nil)
	if page.Next != "" {
		next = page.Next
	}
	text = append(append(text, `],"next":`...), mustJSON(next)...)
	return string(append(text, "}\n"...))
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers and nil always marshal
	}
	return text
}

// The summary as JSON has it.
type (
	summaryJSON struct {
		From     string       `json:"from"`
		To       string       `json:"to"`
		Complete bool         `json:"complete"`
		Since    string       `json:"since"`
		Step     float64      `json:"step_s"`
		Total    bucketJSON   `json:"total"`
		Buckets  []bucketJSON `json:"buckets"`
	}
	bucketJSON struct {
		From      string           `json:"from"`
		Exchanges int64            `json:"exchanges"`
		Bytes     int64            `json:"bytes"`
		Outcomes  map[string]int64 `json:"outcomes"`
		Producers waitsJSON        `json:"producer_wait_ms"`
		Consumers waitsJSON        `json:"consumer_wait_ms"`
	}
	waitsJSON struct {
		Median int64 `json:"median"`
		P95    int64 `json:"p95"`
	}
)

func toJSON(b *store.Bucket) bucketJSON {
	waits := func(w *store.Waits) waitsJSON { return waitsJSON{w.Quantile(0.5), w.Quantile(0.95)} }
	return bucketJSON{timestamp(b.From), b.Exchanges, b.Bytes, b.Outcomes, waits(&b.Producers), waits(&b.Consumers)}
}

// SummaryJSON returns a summary as the API's JSON object.
func SummaryJSON(s *store.Summary) string { return summaryText(formatJSON, s) }

// summaryText writes a summary: as one JSON object, or its buckets as lines.
func summaryText(f format, s *store.Summary) string {
	answer := summaryJSON{From: timestamp(s.From), To: timestamp(s.To), Complete: s.Complete(), Since: timestamp(s.Since),
		Step: s.Step.Seconds(), Total: toJSON(&s.Total), Buckets: make([]bucketJSON, 0, len(s.Buckets))}
	for i := range s.Buckets {
		answer.Buckets = append(answer.Buckets, toJSON(&s.Buckets[i]))
	}
	if f == formatJSON {
		return string(mustJSON(answer)) + "\n"
	}
	var out strings.Builder
	if f == formatNDJSON {
		for _, b := range answer.Buckets {
			out.Write(append(mustJSON(b), '\n'))
		}
		return out.String()
	}
	NewCSV(&out).Page(bucketRows(answer.Buckets))
	return out.String()
}

// bucketRows returns buckets as rows, with a column for each outcome.
func bucketRows(buckets []bucketJSON) (page store.Page) {
	words := []string{store.StillOpen}
	for _, o := range pipe.Outcomes {
		words = append(words, string(o))
	}
	page.Columns = slices.Concat([]string{"from", "exchanges", "bytes"}, words,
		[]string{"producer_wait_ms_median", "producer_wait_ms_p95", "consumer_wait_ms_median", "consumer_wait_ms_p95"})
	for _, b := range buckets {
		row := []any{b.From, b.Exchanges, b.Bytes}
		for _, word := range words {
			row = append(row, b.Outcomes[word])
		}
		page.Rows = append(page.Rows, append(row, b.Producers.Median, b.Producers.P95, b.Consumers.Median, b.Consumers.P95))
	}
	return page
}
