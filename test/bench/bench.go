//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A bench is one run of this program.
type bench struct {
	temp     string    // a directory for everything
	relays   []variant // those of httpipe, in the order of the columns
	floor    string    // the program of the reference server of that name
	tables   tables    // all measurements so far
	progress io.Writer
	effort
}

// An effort is how much is done for a figure.
type effort struct {
	rounds       int
	turn         time.Duration // how long a server is under load in a round
	paced        time.Duration // the same where exchanges are paced
	sustained    time.Duration // the same where the load is sustained
	megabytes    int           // through a server in a round, as streams
	memoryRounds int
	waiters      int // while memory is measured
}

var (
	thorough = effort{rounds: 5, turn: time.Second, paced: 2 * time.Second, sustained: 8 * time.Second,
		megabytes: 1024, memoryRounds: 5, waiters: 10_000}
	quick = effort{rounds: 5, turn: 150 * time.Millisecond, paced: 300 * time.Millisecond, sustained: 1500 * time.Millisecond,
		megabytes: 192, memoryRounds: 1, waiters: 10_000}
)

// relays are the variants of httpipe that are measured: of each binary one with an audit log, and one without.
func relays(o options, temp string) ([]variant, error) {
	binaries := o.binaries
	if len(binaries) == 0 {
		path := filepath.Join(temp, "httpipe")
		if out, err := exec.Command("go", "build", "-o", path, "httpipe").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building httpipe: %w\n%s", err, out)
		}
		binaries = []string{"=" + path}
	}
	var variants []variant
	for _, binary := range binaries {
		name, path, named := strings.Cut(binary, "=")
		if !named {
			name, path = filepath.Base(binary), binary
		}
		path, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		options := []string{path, "--host", "127.0.0.1", "--port", "0", "--log-format", "json", "--audit-db", logName,
			"--header-timeout", "1h", // for connections that are silent until it is their turn
			"--max-waiting-per-channel", "off", // for 10,000 subscribers to a topic
			"--audit"}
		variants = append(variants,
			variant{name: strings.TrimSpace(name + " " + required), command: append(options[:len(options):len(options)], required), kind: withLog, from: o.from},
			variant{name: strings.TrimSpace(name + " " + off), command: append(options[:len(options):len(options)], off), kind: withoutLog})
	}
	return variants, nil
}

// reference is a reference server. Except for the floor it is this program itself.
func (b *bench) reference(name string) (variant, error) {
	if name == floor {
		return variant{name: name, command: []string{b.floor}, kind: aReference}, nil
	}
	self, err := os.Executable()
	return variant{name: name, command: []string{self, "--reference", name}, kind: aReference}, err
}

// start starts servers: of the given variants of httpipe, and references.
func (b *bench) start(variants []variant, references ...string) (servers []*server, err error) {
	defer func() {
		if err != nil {
			kill(servers)
		}
	}()
	for _, name := range references {
		v, err := b.reference(name)
		if err != nil {
			return servers, err
		}
		variants = append(variants[:len(variants):len(variants)], v)
	}
	for _, v := range variants {
		s, err := v.start(b.temp)
		if err != nil {
			return servers, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// startOne starts the first binary of httpipe, with an audit log.
func (b *bench) startOne(o options) (*server, error) {
	variants, err := relays(o, b.temp)
	if err != nil {
		return nil, err
	}
	return variants[0].start(b.temp)
}

func kill(servers []*server) {
	for _, s := range servers {
		s.kill()
	}
}

// binaries are the columns of each binary.
func (b *bench) binaries() (all []columns) {
	for pair := range slices.Chunk(b.relays, 2) {
		all = append(all, columns{required: pair[0].name, off: pair[1].name})
	}
	return all
}

// table adds an empty table.
func (b *bench) table(title, heading string) *table {
	t := &table{title: title, heading: heading}
	for _, v := range b.relays {
		t.columns = append(t.columns, v.name)
	}
	t.columns = append(t.columns, floor, naive, raw)
	binaries := b.binaries()
	for i, c := range binaries {
		t.ratios = append(t.ratios, ratio{c.required, c.off})
		for _, reference := range []string{floor, naive, raw} {
			t.ratios = append(t.ratios, ratio{c.off, reference}, ratio{c.required, reference})
		}
		if i > 0 {
			t.ratios = append(t.ratios, ratio{c.required, binaries[0].required}, ratio{c.off, binaries[0].off})
		}
	}
	b.tables = append(b.tables, t)
	return t
}

// describe prints on what all this was measured.
func (b *bench) describe(w io.Writer) error {
	var system unix.Utsname
	if err := unix.Uname(&system); err != nil {
		return err
	}
	control, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		return err
	}
	disk, err := fileSystem(b.temp)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %d processors, Linux %s, %s, TCP congestion control %s, audit log on %s. Medians of %d rounds of %v for each server.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), unix.ByteSliceToString(system.Release[:]), runtime.Version(),
		strings.TrimSpace(string(control)), disk, b.rounds, b.turn)
	return nil
}

// fileSystem says what kind of file system a directory is on.
func fileSystem(dir string) (string, error) {
	out, err := exec.Command("df", "--output=fstype", dir).Output()
	_, kind, _ := strings.Cut(string(out), "\n")
	if err != nil {
		return "", fmt.Errorf("file system of %s: %w", dir, err)
	}
	return strings.TrimSpace(kind), nil
}

// ownProcessorTime is what this process has used so far.
func ownProcessorTime() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
