package audit

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"httpipe/store"
)

// A Format is a media type in which rows can be written.
type Format string

const (
	JSON   Format = "application/json"
	NDJSON Format = "application/x-ndjson"
	CSV    Format = "text/csv"
)

// ContentType returns the value of the header Content-Type for f.
func (f Format) ContentType() string {
	if f == CSV {
		return string(f) + "; charset=utf-8; header=present"
	}
	return string(f)
}

// Rows writes rows page by page: CSV with a header line, or NDJSON. Not for concurrent use.
type Rows struct {
	out    io.Writer
	csv    *csv.Writer // nil for NDJSON
	header bool        // the header line is written
}

// NewRows returns Rows that write to out as NDJSON, or as CSV if f is CSV.
func NewRows(out io.Writer, f Format) *Rows {
	if f == CSV {
		return &Rows{out: out, csv: csv.NewWriter(out)}
	}
	return &Rows{out: out}
}

// Page writes the rows of a page.
func (r *Rows) Page(page store.Page) error {
	if r.csv == nil {
		var text []byte
		for _, row := range page.Rows {
			text = append(appendObject(text, page.Columns, row), '\n')
		}
		_, err := r.out.Write(text)
		return err
	}
	if !r.header {
		r.header = true
		r.csv.Write(page.Columns)
	}
	for _, row := range page.Rows {
		r.csv.Write(csvFields(row))
	}
	r.csv.Flush()
	return r.csv.Error()
}

// csvFields returns the fields of a row in CSV. A text that a spreadsheet would evaluate as a formula gets an apostrophe
// in front: clients choose the names of channels and agents. NDJSON leaves every text unchanged.
func csvFields(row []any) []string {
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

// RowJSON returns row i of a page as one line with a JSON object, its columns in their order.
func RowJSON(page store.Page, i int) string {
	return string(append(appendObject(nil, page.Columns, page.Rows[i]), '\n'))
}

// PageJSON returns a page of rows of a kind as one line with a JSON object: {"exchanges":[…],"next":null}.
func PageJSON(k *store.Kind, page store.Page) string {
	text := append([]byte("{"), mustJSON(k.Name)...)
	text = append(text, ":["...)
	for i, row := range page.Rows {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendObject(text, page.Columns, row)
	}
	next := any(nil)
	if page.Next != "" {
		next = page.Next
	}
	text = append(append(text, `],"next":`...), mustJSON(next)...)
	return string(append(text, "}\n"...))
}

// appendObject appends a row as a JSON object with its columns in their order.
func appendObject(text []byte, columns []string, row []any) []byte {
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

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and nil always marshal
	}
	return text
}
