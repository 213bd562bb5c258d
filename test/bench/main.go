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
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A part is one kind of measurement. What a build of httpipe does not offer is left out.
type part struct {
	name    string
	measure func(*bench) error
}

var allParts = []part{
	{"exchanges", (*bench).exchanges},
	{"handover", (*bench).handOver},
	{"streams", (*bench).streams},
	{"memory", (*bench).memory},
	{"start", (*bench).startUp},
	{"log", (*bench).books},
	{"topics", (*bench).topics},
	{"services", (*bench).services},
}

// options are what the command line says.
type options struct {
	quick     bool
	update    bool
	parts     []part
	binaries  []string
	from      string
	log       int // exchanges in the log that is made and asked; 0 for no such log
	makeLog   string
	rows      int           // exchanges in the log that is only made
	pages     bool          // measure the history of a log instead of all that
	snapshot  time.Duration // how long a reader holds a snapshot, if that is measured instead
	reference string
}

func parseOptions(args []string) (o options, err error) {
	var names []string
	for _, p := range allParts {
		names = append(names, p.name)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: scripts/bench [options] [part ...]\n\nThe parts are %s; without any, all are measured.\n\n", strings.Join(names, ", "))
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.quick, "quick", false, "take about two minutes, and be less exact")
	flags.BoolVar(&o.update, "update", false, "write the results into "+performancePage+", too")
	flags.Func("binary", "measure this build of httpipe, a `file` or name=file, instead of building one; may be given twice", func(s string) error {
		o.binaries = append(o.binaries, s)
		return nil
	})
	flags.StringVar(&o.from, "from", "", "let audit logs begin as copies of this `file`")
	flags.IntVar(&o.log, "log", 0, "instead of all that, make a log of `N` exchanges and measure how fast it answers")
	flags.StringVar(&o.makeLog, "make-log", "", "only make a log in this `file`")
	flags.IntVar(&o.rows, "rows", 10_000_000, "let the log that is only made have `N` exchanges")
	flags.BoolVar(&o.pages, "pages", false, "instead of all that, measure how fast the log of --from, or one made for it, answers over HTTP")
	flags.DurationVar(&o.snapshot, "snapshot", 0, "instead of all that, measure full load while a reader holds a snapshot of the log for this `time`")
	flags.StringVar(&o.reference, "reference", "", "be this reference `server`; for the benchmark itself")
	for { // options may follow parts
		if err := flags.Parse(args); err != nil {
			return o, err
		}
		if flags.NArg() == 0 {
			break
		}
		i := slices.Index(names, flags.Arg(0))
		if i < 0 {
			return o, fmt.Errorf("no part is called %q; there are %s", flags.Arg(0), strings.Join(names, ", "))
		}
		o.parts = append(o.parts, allParts[i])
		args = flags.Args()[1:]
	}
	if o.update && o.parts != nil {
		return o, errors.New("--update needs all parts")
	}
	if o.parts == nil {
		o.parts = allParts
	}
	return o, nil
}

func run(args []string, stdout io.Writer) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	switch {
	case o.reference != "":
		return serveReference(o.reference)
	case o.makeLog != "":
		return makeLog(o.makeLog, o.rows)
	}
	b := &bench{effort: thorough, progress: os.Stderr}
	if o.quick {
		b.effort = quick
	}
	if b.temp, err = os.MkdirTemp("", "httpipe-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.temp)) }()
	b.cleanUpOnSignal()
	if o.pages {
		return b.measurePages(o, stdout)
	}
	if o.snapshot > 0 {
		return b.measureSnapshot(o, stdout)
	}
	if o.log > 0 {
		return b.measureLog(o.log, stdout)
	}
	if b.relays, err = relays(o, b.temp); err != nil {
		return err
	}
	if b.floor, err = buildFloor(b.temp); err != nil {
		return err
	}
	if err := b.describe(stdout); err != nil {
		return err
	}
	if err := b.run(o.parts, stdout); err != nil || !o.update {
		return err
	}
	return b.update()
}

// cleanUpOnSignal removes the bench's directory when the program is told to stop. The servers end with it.
func (b *bench) cleanUpOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	go func() {
		<-signals
		os.RemoveAll(b.temp)
		os.Exit(1)
	}()
}

// run measures the parts and prints what they found. If something came back wrong it goes on with the next part, and returns
// an error at the end.
func (b *bench) run(parts []part, w io.Writer) error {
	var wrong []error
	for _, p := range parts {
		fmt.Fprintf(b.progress, "measuring %s\n", p.name)
		before := len(b.tables)
		if err := p.measure(b); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", p.name, err))
		}
		for _, t := range b.tables[before:] {
			t.write(w)
		}
	}
	b.tables.writeTargets(w, b.binaries())
	return errors.Join(wrong...)
}
