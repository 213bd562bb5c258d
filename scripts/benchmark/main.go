//go:build linux

// Benchmark measures what httpipe costs: processor time, memory, latency and disk space, with and without its audit log,
// against reference servers that it brings along. It prints Markdown tables of medians and ratios, and what became of the
// targets. See scripts/bench.
//
// It is its own load generator, and runs each server as a process of its own. The servers take turns within each round,
// so that a disturbance hits all alike.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A part is one kind of measurement.
type part struct {
	name    string
	measure func(*bench) error
}

var parts = []part{
	{"exchanges", (*bench).exchanges},
	{"handover", (*bench).handOver},
	{"streams", (*bench).streams},
	{"memory", (*bench).memory},
	{"start", (*bench).startUp},
	{"log", (*bench).books},
}

// options are what the command line says.
type options struct {
	quick     bool
	only      string
	binaries  []string
	from      string
	reference string
}

func parseOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "take under two minutes, and be less exact")
	flags.StringVar(&o.only, "only", "", "measure these `parts`, separated by commas: "+strings.Join(partNames(), ", "))
	flags.Func("binary", "measure this build of httpipe, a `file` or name=file, instead of building one; may be given twice", func(s string) error {
		o.binaries = append(o.binaries, s)
		return nil
	})
	flags.StringVar(&o.from, "from", "", "let audit logs begin as copies of this `file`")
	flags.StringVar(&o.reference, "reference", "", "be this reference `server`; for the benchmark itself")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if o.only != "" && !slices.Contains(partNames(), name) {
			return o, fmt.Errorf("no part is called %q; there are %s", name, strings.Join(partNames(), ", "))
		}
	}
	return o, nil
}

func partNames() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func run(args []string, stdout io.Writer) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.reference != "" {
		return serveReference(o.reference)
	}
	b := &bench{effort: thorough, progress: os.Stderr}
	if o.quick {
		b.effort = quick
	}
	if b.temp, err = os.MkdirTemp("", "httpipe-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.temp)) }()
	if b.relays, err = relays(o, b.temp); err != nil {
		return err
	}
	if err := b.describe(stdout); err != nil {
		return err
	}
	var wrong []error
	for _, p := range parts {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), p.name) {
			continue
		}
		fmt.Fprintf(b.progress, "measuring %s\n", p.name)
		before := len(b.tables)
		err := p.measure(b)
		for _, t := range b.tables[before:] {
			t.write(stdout)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	b.tables.writeTargets(stdout, b.binaries())
	return errors.Join(wrong...)
}
