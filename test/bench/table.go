//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// A table holds what was measured of one kind of thing: in each cell one figure per round.
type table struct {
	title   string
	note    string // a sentence below it; may be empty
	heading string // of the first column
	columns []string
	ratios  []ratio
	rows    []*row
}

// A ratio is a column that compares two others.
type ratio struct{ of, to string }

func (r ratio) String() string { return r.of + " ÷ " + r.to }

type row struct {
	name    string
	samples map[string][]float64 // by column
}

// add adds a round's figure. Rows are in the order in which they are first mentioned.
func (t *table) add(name, column string, figure float64) {
	r := t.row(name)
	if r == nil {
		r = &row{name: name, samples: make(map[string][]float64)}
		t.rows = append(t.rows, r)
	}
	r.samples[column] = append(r.samples[column], figure)
}

// row returns the row of that name, or nil.
func (t *table) row(name string) *row {
	i := slices.IndexFunc(t.rows, func(r *row) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return t.rows[i]
}

// ratio is the median of the rounds' ratios: what disturbs a whole round disturbs it little. It returns NaN if one of
// the two was not measured.
func (r *row) ratio(of ratio) float64 {
	over, under := r.samples[of.of], r.samples[of.to]
	var ratios []float64
	for i := range min(len(over), len(under)) {
		ratios = append(ratios, over[i]/under[i])
	}
	return median(ratios)
}

// write prints the table as Markdown: medians, and ratios.
func (t *table) write(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n", t.title)
	if t.note != "" {
		fmt.Fprintf(w, "%s\n\n", t.note)
	}
	var used []string
	for _, c := range t.columns {
		if slices.ContainsFunc(t.rows, func(r *row) bool { return len(r.samples[c]) > 0 }) {
			used = append(used, c)
		}
	}
	var ratios []ratio
	for _, q := range t.ratios {
		if slices.ContainsFunc(t.rows, func(r *row) bool { return !math.IsNaN(r.ratio(q)) }) {
			ratios = append(ratios, q)
		}
	}
	line := append([]string{t.heading}, used...)
	for _, q := range ratios {
		line = append(line, q.String())
	}
	writeLine(w, line)
	fmt.Fprintf(w, "| --- %s|\n", strings.Repeat("| ---: ", len(line)-1))
	for _, r := range t.rows {
		line := []string{r.name}
		for _, c := range used {
			line = append(line, figure(median(r.samples[c])))
		}
		for _, q := range ratios {
			line = append(line, figure(r.ratio(q)))
		}
		writeLine(w, line)
	}
}

func writeLine(w io.Writer, cells []string) {
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

// figure prints three digits or all before the point, and a dash for NaN.
func figure(f float64) string {
	switch size := math.Abs(f); {
	case math.IsNaN(f):
		return "–"
	case size >= 100:
		return fmt.Sprintf("%.0f", f)
	case size >= 10:
		return fmt.Sprintf("%.1f", f)
	case size >= 0.1 || f == 0:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.2g", f)
}

// median returns NaN for none.
func median(figures []float64) float64 {
	if len(figures) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(figures))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// percentile returns the smallest value that at least that share of all do not exceed. It sorts them; there must be one.
func percentile[T cmp.Ordered](values []T, share float64) T {
	slices.Sort(values)
	return values[max(0, int(math.Ceil(share*float64(len(values))))-1)]
}
