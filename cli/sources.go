package cli

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/peterbourgon/ff/v3"
)

// setting is the text that an option was given, and where. As a flag.Value it
// takes any text: what wins is parsed when all sources have been read.
type setting struct {
	text    string
	source  string // "command line", "variable PORT", "file x, line 3"; empty: not given
	yesOrNo bool   // the flag alone, without a value, is "true"
	list    bool   // what one source gives more than once counts together
	secret  bool   // text is for nobody's eyes
	reading *string
}

func (s *setting) String() string { return s.text }

func (s *setting) IsBoolFlag() bool { return s.yesOrNo }

func (s *setting) Set(text string) error {
	if s.list && place(s.source) == place(*s.reading) {
		text = s.text + " " + text
	}
	s.text, s.source = text, *s.reading
	return nil
}

// place returns a source without its line.
func place(source string) string {
	place, _, _ := strings.Cut(source, ", line ")
	return place
}

// sources reads the places in which an option can be given.
type sources struct {
	flags   *flag.FlagSet
	names   map[string]string   // every spelling of an option → its name
	given   map[string]*setting // by name
	reading string              // the source that is being read now
}

// readSources returns the settings of the command's options and flags, by name, and its arguments.
//
// The environment comes first: ff counts a flag that is set before it parses as
// given, so the command line still overrides it and the file does not. ff is not
// asked to read the environment itself, because it knows one variable per flag
// and would take P for -p; nor the command line, because it takes no flags behind
// an argument.
func readSources(cmd command, args []string) (map[string]*setting, []string, error) {
	s := newSources(cmd)
	s.readEnvironment(cmd.options)
	args, err := s.readArgs(args)
	if err != nil {
		return nil, nil, fmt.Errorf("command line: %w", err)
	}
	err = ff.Parse(s.flags, nil, ff.WithConfigFileFlag("config"), ff.WithConfigFileParser(s.parseFile))
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		file := s.given["config"]
		if strings.TrimSpace(file.text) == "" {
			return nil, nil, empty("config", file)
		}
		return nil, nil, fmt.Errorf("--config (%s): %w", file.source, err)
	}
	if err != nil {
		return nil, nil, err
	}
	return s.given, args, nil
}

func newSources(cmd command) *sources {
	s := &sources{
		flags: flag.NewFlagSet("httpipe", flag.ContinueOnError),
		names: map[string]string{},
		given: map[string]*setting{},
	}
	s.flags.SetOutput(io.Discard) // errors and help are for the caller to print
	for _, o := range slices.Concat(cmd.options, cmd.flags) {
		s.given[o.name] = &setting{yesOrNo: o.arg == "", list: o.list, secret: o.secret, reading: &s.reading}
		s.flags.Var(s.given[o.name], o.name, "")
		if o.short != "" {
			// Setting the long flag, not only its value, tells ff that the
			// option was given; otherwise the file would override -p.
			set := func(text string) error { return s.flags.Set(o.name, text) }
			if o.arg == "" {
				s.flags.BoolFunc(o.short, "", set)
			} else {
				s.flags.Func(o.short, "", set)
			}
		}
	}
	for _, o := range options(&Config{}) { // the file is for all commands: each takes what is meant for it
		s.names[o.name] = o.name
		if o.short != "" {
			s.names[o.short] = o.name
		}
	}
	return s
}

// readArgs reads the flags of the command line, which may stand before, between and behind the arguments,
// and returns the arguments. What follows "--" are arguments only.
func (s *sources) readArgs(args []string) (rest []string, err error) {
	s.reading = "command line"
	for {
		if err := s.flags.Parse(args); err != nil {
			return nil, err
		}
		parsed := len(args) - s.flags.NArg()
		if s.flags.NArg() == 0 || parsed > 0 && args[parsed-1] == "--" {
			return append(rest, s.flags.Args()...), nil
		}
		rest, args = append(rest, s.flags.Arg(0)), s.flags.Args()[1:]
	}
}

// readEnvironment takes each option from the first of its variables that is not
// empty; the variable of a guarded option counts also if it is.
func (s *sources) readEnvironment(opts []option) {
	for _, o := range opts {
		for _, name := range o.variables() {
			text, found := os.LookupEnv(name)
			if !found || text == "" && !o.guarded || fromKubernetes(name, text) {
				continue
			}
			s.reading = "variable " + name
			_ = s.flags.Set(o.name, text) // a setting takes any text
			break
		}
	}
}

// fromKubernetes reports whether a variable is not meant for us: Kubernetes sets
// HTTPIPE_PORT=tcp://… in every pod beside a service that is called httpipe.
func fromKubernetes(name, text string) bool {
	return name == "HTTPIPE_PORT" && strings.HasPrefix(text, "tcp://")
}

// parseFile reads a config file in the format of ff.PlainParser: a line is a
// name and a value, # begins a comment. Unlike that, it knows the line of an
// error, takes tabs, reports a failed read, and does not read a missing value
// as "true".
func (s *sources) parseFile(r io.Reader, set func(name, value string) error) error {
	file := fmt.Sprintf("file %s", s.given["config"].text)
	scanner := bufio.NewScanner(r)
	for line := 1; scanner.Scan(); line++ {
		s.reading = fmt.Sprintf("%s, line %d", file, line)
		text := strings.TrimSpace(strings.ReplaceAll(scanner.Text(), "\t", " "))
		text, _, _ = strings.Cut(" "+text, " #")
		word, value, _ := strings.Cut(strings.TrimSpace(text), " ")
		if word == "" {
			continue
		}
		name, ok := s.names[strings.TrimLeft(word, "-")]
		if !ok {
			word, _, _ = strings.Cut(word, "=") // behind which a secret may stand
			return fmt.Errorf("unknown option %q (%s)", word, s.reading)
		}
		if name == "config" {
			return fmt.Errorf("--config cannot be given in a config file (%s)", s.reading)
		}
		if s.flags.Lookup(name) == nil {
			continue // an option of other commands
		}
		if err := set(name, strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
