package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// The commands. Running the relay has no word: it is what httpipe does.
const (
	commandServe   = "serve"
	commandVersion = "version"
	commandHelp    = "help"
)

// command splits the arguments of the process (without its name) into a command
// and the arguments for that. A word that is no command is an error, so that a
// typo does not start a server.
func command(args []string) (name string, rest []string, err error) {
	if len(args) == 0 {
		return commandServe, nil, nil
	}
	first, rest := args[0], args[1:]
	switch {
	case first == "version", first == "--version", first == "-version":
		name = commandVersion
	case first == "help":
		name = commandHelp
	case strings.HasPrefix(first, "-"):
		return commandServe, args, nil
	default:
		return "", nil, fmt.Errorf("unknown command %q (commands: version, help; no command runs the relay)", first)
	}
	if len(rest) > 0 {
		return "", nil, fmt.Errorf("unexpected argument %q after %q", rest[0], first)
	}
	return name, nil, nil
}

const usageHead = `httpipe is an HTTP server through which one client pipes data to another.

Usage:
  httpipe [options]    run the relay
  httpipe version      print the version (also --version)
  httpipe help         print this help (also -h, --help)

An option is taken from its flag, else from its environment variable, else from its line in the
config file. A TIME is in seconds or has a unit (1.5, 30s, 12h, 90d), and so has a SIZE (65536,
64KiB, 10MB).
`

// usage prints the help: the commands, and all options with their defaults and
// environment variables, in at most 100 columns.
func usage(w io.Writer) {
	opts := options(&config{})
	width := 0
	for _, o := range opts {
		width = max(width, len(spelling(o)))
	}
	fmt.Fprint(w, usageHead)
	group := ""
	for _, o := range opts {
		if o.group != group {
			group = o.group
			fmt.Fprintf(w, "\n%s:\n", group)
		}
		fmt.Fprintf(w, "  %-*s  %s\n", width, spelling(o), o.help)
		fmt.Fprintf(w, "  %-*s  default %s; %s\n", width, "", cmp.Or(o.def, "none"), strings.Join(o.variables(), ", "))
	}
}

// spelling is how an option is typed: "-p, --port NUMBER".
func spelling(o option) string {
	long := "--" + o.name + " " + o.arg
	if o.short == "" {
		return "    " + long
	}
	return "-" + o.short + ", " + long
}
