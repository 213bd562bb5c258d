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
	titleRates        = "Exchanges per second"
	titleCosts        = "Processor time of the server per exchange, in µs"
	titleHandOver     = "From writing the POST to the first byte at a waiting consumer, in µs"
	titleAcknowledged = "From writing the POST to the producer's 200, in µs"
	titleBooks        = "The log under sustained load"
	titleStreamCosts  = "Processor time of the server per GB, in s"
	titleMemory       = "Resident memory for each waiting client, in KB"
	titleTopics       = "Topics"
	titleServices     = "Services"
)

// The rows that a target is about, apart from those of loads and flows.
const (
	rowIdle         = "idle"
	rowHalfLoad     = "half load"
	rowProducer     = "producer with 5 B"
	rowConsumer     = "consumer"
	rowWAL          = "largest WAL, in MB"
	rowBytes        = "the log's bytes per exchange"
	rowCommitSpread = "the same, p99 ÷ p50"
	rowDelivery     = "processor time of the server per delivery, in µs"
	rowLastByte     = "from writing the POST to the last subscriber's last byte, in µs"
	rowSubscriber   = "memory of an idle subscriber, in KB"
	rowCall         = "the former ÷ the latter"
	rowCalls        = "calls ÷ exchanges"
)

// The variants of httpipe, with a durable audit log and without one. They are the columns of a binary that has no name.
const (
	required = "required"
	off      = "off"
)

// columns are the names of those that belong to one binary.
type columns struct{ required, off string }

// String is the name of the binary, if it has one.
func (c columns) String() string {
	return cmp.Or(strings.TrimSpace(strings.TrimSuffix(c.required, required)), "measured")
}

// of is the column of a variant or of a reference server.
func (c columns) of(name string) string {
	switch name {
	case required:
		return c.required
	case off:
		return c.off
	}
	return name
}

// A target is a figure to be reached: the median of a column, or of its ratio to another one.
type target struct {
	what    string
	bound   bound
	title   string // of the table
	row     string
	column  string
	against string // the other column; empty for none
}

type bound struct {
	limit   float64
	atLeast bool // the limit is a lower one
}

func atMost(limit float64) bound  { return bound{limit, false} }
func atLeast(limit float64) bound { return bound{limit, true} }

func (b bound) String() string {
	if b.atLeast {
		return "≥ " + figure(b.limit)
	}
	return "≤ " + figure(b.limit)
}

// pairs is the row of that many channels.
func pairs(n int) string { return load{pairs: n, size: 5}.String() }

var targets = []target{
	{"without a log, processor time per exchange, 16 channels", atMost(1.8), titleCosts, pairs(16), off, floor},
	{"– 64 channels", atMost(1.8), titleCosts, pairs(64), off, floor},
	{"– 16 channels", atMost(0.55), titleCosts, pairs(16), off, naive},
	{"– 64 channels", atMost(0.55), titleCosts, pairs(64), off, naive},
	{"without a log, exchanges per second, 16 channels", atLeast(1.6), titleRates, pairs(16), off, naive},
	{"– 64 channels", atLeast(1.6), titleRates, pairs(64), off, naive},
	{"without a log, hand-over to the consumer, idle, p50", atMost(1.3), titleHandOver, rowIdle + ", p50", off, floor},
	{"KB of memory for a waiting consumer", atMost(5), titleMemory, rowConsumer, off, ""},
	{"KB of memory for a waiting producer of 5 B", atMost(5), titleMemory, rowProducer, off, ""},
	{"processor time per GB, 1 stream with a length", atMost(0.95), titleStreamCosts, oneStream, required, raw},
	{"– 16 streams with a length", atMost(0.6), titleStreamCosts, manyStreams, required, raw},
	{"– 1 stream, chunked", atMost(1.3), titleStreamCosts, oneChunked, required, raw},

	{"durable log, processor time per exchange, 16 channels", atMost(4), titleCosts, pairs(16), required, floor},
	{"– 64 channels", atMost(2.6), titleCosts, pairs(64), required, floor},
	{"– 256 channels", atMost(2.6), titleCosts, pairs(256), required, floor},
	{"– 64 channels", atMost(0.85), titleCosts, pairs(64), required, naive},
	{"– 256 channels", atMost(0.85), titleCosts, pairs(256), required, naive},
	{"durable log, exchanges per second, 16 channels", atLeast(0.85), titleRates, pairs(16), required, naive},
	{"– 64 channels", atLeast(1), titleRates, pairs(64), required, naive},
	{"– 256 channels", atLeast(1), titleRates, pairs(256), required, naive},
	{"– 256 channels", atLeast(0.65), titleRates, pairs(256), required, off},
	{"durable log, hand-over to the consumer, idle, p50", atMost(1.1), titleHandOver, rowIdle + ", p50", required, off},
	{"– half load, p50", atMost(1.3), titleHandOver, rowHalfLoad + ", p50", required, off},
	{"durable log, the producer's 200, idle, p50, in µs", atMost(450), titleAcknowledged, rowIdle + ", p50", required, ""},
	{"largest WAL under sustained load, in MB", atMost(128), titleBooks, rowWAL, required, ""},
	{"bytes of the log per exchange", atMost(320), titleBooks, rowBytes, required, ""},
	{"commit under sustained load, p99 ÷ p50", atMost(10), titleBooks, rowCommitSpread, required, ""},

	{"processor time for a delivery to one of 1,000 subscribers", atMost(1.5), titleTopics, rowDelivery, required, floor},
	{"publish to the last subscriber's byte, p50, in µs", atMost(15_000), titleTopics, rowLastByte + ", p50", required, ""},
	{"KB of memory for an idle subscriber", atMost(5), titleTopics, rowSubscriber, required, ""},
	{"a call ÷ hand-over on a channel, idle, p50", atMost(2.2), titleServices, rowCall, required, ""},
	{"calls ÷ exchanges per second, 64 pairs, durable log", atLeast(0.45), titleServices, rowCalls, required, ""},
}

// tables are all tables of a run.
type tables []*table

// row returns nil if that was not measured.
func (t tables) row(title, name string) *row {
	i := slices.IndexFunc(t, func(t *table) bool { return t.title == title })
	if i < 0 {
		return nil
	}
	return t[i].row(name)
}

// measured returns NaN if that was not measured.
func (t target) measured(all tables, c columns) float64 {
	r := all.row(t.title, t.row)
	switch {
	case r == nil:
		return math.NaN()
	case t.against == "":
		return median(r.samples[c.of(t.column)])
	}
	return r.ratio(ratio{c.of(t.column), c.of(t.against)})
}

// writeTargets prints which of the targets each binary has reached, as far as that was measured.
func (t tables) writeTargets(w io.Writer, binaries []columns) {
	fmt.Fprintf(w, "\n### Targets\n\n")
	heading := []string{"", "compared with", "target"}
	for _, c := range binaries {
		heading = append(heading, c.String())
	}
	writeLine(w, heading)
	fmt.Fprintf(w, "| --- | --- | ---: %s|\n", strings.Repeat("| --- ", len(binaries)))
	for _, target := range targets {
		line := []string{target.what, target.against, target.bound.String()}
		known := false
		for _, c := range binaries {
			measured := target.measured(t, c)
			line = append(line, target.bound.verdict(measured))
			known = known || !math.IsNaN(measured)
		}
		if known {
			writeLine(w, line)
		}
	}
}

func (b bound) verdict(measured float64) string {
	met := measured <= b.limit
	if b.atLeast {
		met = measured >= b.limit
	}
	switch {
	case math.IsNaN(measured):
		return "not measured"
	case met:
		return figure(measured) + ", met"
	default:
		return figure(measured) + ", **missed**"
	}
}
