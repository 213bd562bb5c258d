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

// The titles of tables that a target is about.
const (
	titleRates       = "Exchanges per second"
	titleCosts       = "Processor time of the server per exchange, in µs"
	titleHandOver    = "From writing the POST to the first byte at a waiting consumer, in µs"
	titleBooks       = "The log under sustained load"
	titleStreamCosts = "Processor time of the server per GB, in s"
)

// The rows that a target is about, apart from the typical load's.
const (
	rowIdle         = "idle"
	rowHalfLoad     = "half load"
	rowWAL          = "largest WAL, in MB"
	rowCommitSpread = "the same, p99 ÷ p50"
)

// A target is a figure to be reached.
type target struct {
	what    string
	limit   float64
	atLeast bool // the limit is a lower one
	measure func(tables, columns) float64
}

// columns are the names of those that belong to one binary.
type columns struct{ required, off string }

// String is the name of the binary, if it has one.
func (c columns) String() string {
	return cmp.Or(strings.TrimSpace(strings.TrimSuffix(c.required, "required")), "measured")
}

// tables are all tables of a run.
type tables []*table

var targets = []target{
	{"processor time per exchange, `--audit=off` ÷ two bare net/http requests", 1.15, false, func(t tables, c columns) float64 {
		return t.ratio(titleCosts, typical.String(), c.off, bare)
	}},
	{"processor time per exchange, durable log ÷ `--audit=off`", 1.4, false, func(t tables, c columns) float64 {
		return t.ratio(titleCosts, typical.String(), c.required, c.off)
	}},
	{"exchanges/s at 64 pairs, durable log ÷ `--audit=off`", 0.75, true, func(t tables, c columns) float64 {
		return t.ratio(titleRates, typical.String(), c.required, c.off)
	}},
	{"hand-over to the consumer when idle, p50, durable log ÷ `--audit=off`", 1.1, false, func(t tables, c columns) float64 {
		return t.ratio(titleHandOver, rowIdle+", p50", c.required, c.off)
	}},
	{"the same at half load", 1.1, false, func(t tables, c columns) float64 {
		return t.ratio(titleHandOver, rowHalfLoad+", p50", c.required, c.off)
	}},
	{"one stream with a length, processor time per GB ÷ raw TCP loop", 1.1, false, func(t tables, c columns) float64 {
		return t.ratio(titleStreamCosts, oneStream, c.required, raw)
	}},
	{"one stream, chunked, processor time per GB ÷ raw TCP loop", 1.4, false, func(t tables, c columns) float64 {
		return t.ratio(titleStreamCosts, oneChunked, c.required, raw)
	}},
	{"largest WAL under sustained load, in MB", 128, false, func(t tables, c columns) float64 {
		return t.median(titleBooks, rowWAL, c.required)
	}},
	{"commit under sustained load, p99 ÷ p50", 10, false, func(t tables, c columns) float64 {
		return t.median(titleBooks, rowCommitSpread, c.required)
	}},
}

// ratio returns NaN if that was not measured, and so does median.
func (t tables) ratio(title, name, of, to string) float64 {
	r := t.row(title, name)
	if r == nil {
		return math.NaN()
	}
	return r.ratio(ratio{of, to})
}

func (t tables) median(title, name, column string) float64 {
	r := t.row(title, name)
	if r == nil {
		return math.NaN()
	}
	return median(r.samples[column])
}

func (t tables) row(title, name string) *row {
	i := slices.IndexFunc(t, func(t *table) bool { return t.title == title })
	if i < 0 {
		return nil
	}
	return t[i].row(name)
}

// writeTargets prints which of the targets each binary has reached, as far as that was measured.
func (t tables) writeTargets(w io.Writer, binaries []columns) {
	fmt.Fprintf(w, "\n### Targets\n\n")
	heading := []string{"", "target"}
	for _, c := range binaries {
		heading = append(heading, c.String())
	}
	writeLine(w, heading)
	fmt.Fprintf(w, "| --- | ---: %s|\n", strings.Repeat("| --- ", len(binaries)))
	for _, target := range targets {
		sign := "≤"
		if target.atLeast {
			sign = "≥"
		}
		line := []string{target.what, sign + " " + figure(target.limit)}
		for _, c := range binaries {
			line = append(line, target.verdict(target.measure(t, c)))
		}
		writeLine(w, line)
	}
}

func (t target) verdict(measured float64) string {
	met := measured <= t.limit
	if t.atLeast {
		met = measured >= t.limit
	}
	switch {
	case math.IsNaN(measured):
		return "not measured"
	case met:
		return figure(measured) + ", met"
	default:
		return figure(measured) + ", **not met**"
	}
}
