package cli

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/peterbourgon/ff/v3"
)

// commandLine is the source of what was typed.
const commandLine = "command line"

// A setting is the text that an option was given, and where it came from. As a flag.Value it takes any text. The text
// with the highest precedence is parsed when all sources have been read, so an invalid text that another overrides is
// not an error, and package flag prints no secret.
type setting struct {
	text    string
	source  string  // commandLine, "variable PORT", "file x, line 3", "default"; empty: not given
	isBool  bool    // the flag alone, without a value, is "true"
	list    bool    // the texts of one source are joined by spaces
	secret  bool    // text must not be printed
	reading *string // sources.reading
}

func (s *setting) String() string { return s.text }

func (s *setting) IsBoolFlag() bool { return s.isBool }

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

// sources collects the settings of one command: first ffcli parses the flags that precede the arguments, then read
// does the rest.
type sources struct {
	cmd     command
	flags   *flag.FlagSet
	names   map[string]string   // the names in a config file → the option's name
	given   map[string]*setting // by the option's name
	reading string              // the source that is being read now
}

func newSources(cmd command) *sources {
	s := &sources{
		cmd:     cmd,
		flags:   quietFlags(),
		names:   map[string]string{},
		given:   map[string]*setting{},
		reading: commandLine,
	}
	for _, o := range slices.Concat(cmd.options, cmd.flags) {
		s.given[o.name] = &setting{isBool: o.arg == "", list: o.list, secret: o.secret, reading: &s.reading}
		s.flags.Var(s.given[o.name], o.name, "")
		if o.short != "" {
			// ff would take a second flag with the same value for another option, and let the file override it. So the
			// short flag sets the long one.
			set := func(text string) error { return s.flags.Set(o.name, text) }
			if o.arg == "" {
				s.flags.BoolFunc(o.short, "", set)
			} else {
				s.flags.Func(o.short, "", set)
			}
		}
	}
	for _, o := range options(&Config{}) { // one file serves all commands, and each takes its own options from it
		s.names[o.name] = o.name
		if o.short != "" {
			s.names[o.short] = o.name
		}
	}
	return s
}

// read reads the sources in their order of precedence: the flags after and between the arguments, the environment,
// the config file. args is what ffcli has left of the typed words. read returns the arguments.
//
// If a flag is set before ff.Parse is called, ff takes it for given, and the file does not override it.
func (s *sources) read(typed, args []string) ([]string, error) {
	args, err := s.readArgs(typed, args)
	if errors.Is(err, flag.ErrHelp) {
		return nil, err
	}
	if err != nil {
		return nil, s.cmd.flagError(err)
	}
	s.readEnvironment()
	err = ff.Parse(s.flags, nil, ff.WithConfigFileFlag("config"), ff.WithConfigFileParser(s.parseFile))
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		file := s.given["config"]
		if strings.TrimSpace(file.text) == "" {
			return nil, empty("config", file)
		}
		err = file.blame(fmt.Errorf("--config (%s): %w", file.source, err))
	}
	return args, err
}

// blame returns err as a usageError if the setting comes from the command line.
func (s *setting) blame(err error) error {
	if s.source == commandLine {
		return usageError{err}
	}
	return err
}

// readArgs returns the arguments, and reads the flags among them: package flag, and so ff and ffcli, stop at the
// first argument. All that follows "--" is arguments, also when ffcli has taken the "--".
func (s *sources) readArgs(typed, args []string) (rest []string, err error) {
	if before := len(typed) - len(args) - 1; before >= 0 && typed[before] == "--" {
		return args, nil
	}
	for len(args) > 0 {
		rest = append(rest, args[0])
		args = args[1:]
		if err := s.flags.Parse(args); err != nil {
			return nil, err
		}
		parsed := len(args) - s.flags.NArg()
		if parsed > 0 && args[parsed-1] == "--" {
			return append(rest, s.flags.Args()...), nil
		}
		args = s.flags.Args()
	}
	return rest, nil
}

// readEnvironment gives each option without a flag the value of its first variable that is not empty. For a guarded
// option, an empty variable counts too.
//
// ff's own reading of the environment knows one variable for a flag, takes HTTPIPE_P for -p, and skips empty
// variables. With it, this loop would go, but PORT, the variables of Kubernetes and empty secrets would need another.
func (s *sources) readEnvironment() {
	for _, o := range s.cmd.options {
		if s.given[o.name].source != "" {
			continue
		}
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

// asInFile returns the name of an option, or of its variable, as a config file has it: HTTPIPE_AUTH_SECRET is auth-secret.
func asInFile(name string) string {
	return strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(name), "httpipe_"), "_", "-")
}

// fromKubernetes reports whether a variable is not meant for httpipe: in each pod Kubernetes describes a service that
// is called httpipe by HTTPIPE_PORT=tcp://… and the variables of kubernetesName.
func fromKubernetes(name, text string) bool {
	return name == "HTTPIPE_PORT" && strings.HasPrefix(text, "tcp://")
}

var kubernetesName = regexp.MustCompile(`^HTTPIPE_(SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP|SCTP))(_|$)`)

// UnknownVariables returns a sentence for each variable of the environment ("NAME=value") that looks like an option
// of httpipe and is none.
func UnknownVariables(environment []string) (warnings []string) {
	var known []string
	for _, o := range append(options(&Config{}), new(transfer).tokenOption()) {
		known = append(known, o.variables()...)
	}
	for _, entry := range environment {
		name, _, _ := strings.Cut(entry, "=") // the value may be a secret
		if strings.HasPrefix(name, "HTTPIPE_") && !slices.Contains(known, name) && !kubernetesName.MatchString(name) {
			warnings = append(warnings, fmt.Sprintf("variable %s is ignored: there is no such option%s", name, suggest(name, "HTTPIPE_", known)))
		}
	}
	return warnings
}

// parseFile reads a config file in the format of ff.PlainParser: a line is a name and a value, # begins a comment.
//
// PlainParser knows no line numbers, does not separate by tabs, hides a failed read, takes a missing value for
// "true", and lets the last of two lines with one name win.
func (s *sources) parseFile(r io.Reader, set func(name, value string) error) error {
	file := fmt.Sprintf("file %s", s.given["config"].text)
	lines := map[string]int{} // the option's name → the line that gives it
	scanner := bufio.NewScanner(r)
	for line := 1; scanner.Scan(); line++ {
		s.reading = fmt.Sprintf("%s, line %d", file, line)
		text := strings.TrimPrefix(scanner.Text(), "\ufeff") // a byte order mark, which some editors write
		text = strings.TrimSpace(strings.ReplaceAll(text, "\t", " "))
		text, _, _ = strings.Cut(" "+text, " #")
		word, value, _ := strings.Cut(strings.TrimSpace(text), " ")
		if word == "" {
			continue
		}
		o, err := s.fileOption(strings.TrimLeft(word, "-"))
		if err != nil {
			return err
		}
		if first := lines[o.name]; first > 0 && !o.list {
			return fmt.Errorf("option %q is given twice (%s, lines %d and %d)", o.name, file, first, line)
		}
		lines[o.name] = line
		value = strings.TrimSpace(value)
		if err := s.checkValue(o.name, value); err != nil {
			return err
		}
		if s.flags.Lookup(o.name) == nil {
			continue // an option of other commands
		}
		if err := set(o.name, value); err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// checkValue returns an error for a value that looks as if the file had the format of another program. PlainParser would
// take the quotes, or the "=", for part of the value. The error does not show the value, which may be a secret.
func (s *sources) checkValue(name, value string) error {
	switch {
	case strings.HasPrefix(value, `"`), strings.HasPrefix(value, "'"):
		return fmt.Errorf("%s: write the value of %s without quotes, which would be part of it", s.reading, name)
	case strings.HasPrefix(value, "="):
		return s.separatorError(name, "=")
	}
	return nil
}

func (s *sources) separatorError(name, separator string) error {
	return fmt.Errorf(`%s: write a space, not %q, between an option and its value: "%s VALUE"`, s.reading, separator, name)
}

// fileOption returns the option that a config file calls by that word. Its error does not show what follows a "="
// or ":", which may be a secret.
func (s *sources) fileOption(word string) (option, error) {
	separator := ""
	if i := strings.IndexAny(word, "=:"); i >= 0 {
		word, separator = word[:i], word[i:i+1]
	}
	name, known := s.names[word]
	switch {
	case !known:
		return option{}, fmt.Errorf("unknown option %q (%s)%s", word, s.reading, suggest(asInFile(word), "", optionNames()))
	case separator != "":
		return option{}, s.separatorError(word, separator)
	case name == "config":
		return option{}, fmt.Errorf("--config cannot be given in a config file (%s)", s.reading)
	}
	all := options(&Config{})
	return all[slices.IndexFunc(all, func(o option) bool { return o.name == name })], nil
}
