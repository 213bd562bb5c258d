package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	purpose = "httpipe is an HTTP server through which one client pipes data to another."

	sourcesHelp = `
An option is taken from its flag, else from its environment variable, else from its line in the
config file. A TIME is in seconds or has a unit (1.5, 30s, 12h, 90d), and so has a SIZE (65536,
64KiB, 10MB).
`
)

func printHelp(_ context.Context, _ []string, stdout, _ io.Writer) error {
	table := commands(&Config{})
	help(stdout, table, table[0])
	return nil
}

// help explains the command in at most 100 columns: how it is typed, and its options with their defaults
// and environment variables. The relay's help lists the other commands too.
func help(w io.Writer, table []command, cmd command) {
	listed := []command{cmd}
	fmt.Fprintln(w, purpose)
	if cmd.name == "" {
		listed = table
	}
	fmt.Fprint(w, "\nUsage:\n")
	width := 0
	for _, other := range listed {
		width = max(width, len(other.usage()))
	}
	for _, other := range listed {
		fmt.Fprintf(w, "  %-*s  %s\n", width, other.usage(), other.help)
	}
	if len(cmd.options) > 0 {
		fmt.Fprint(w, sourcesHelp)
	}
	all := slices.Concat(cmd.flags, cmd.options)
	width = 0
	for _, o := range all {
		width = max(width, len(spelling(o)))
	}
	group := ""
	for i, o := range all {
		if i == 0 || o.group != group {
			group = o.group
			fmt.Fprintf(w, "\n%s:\n", cmp.Or(group, "Options"))
		}
		fmt.Fprintf(w, "  %-*s  %s\n", width, spelling(o), o.help)
		if group != "" || o.def != "" {
			fmt.Fprintf(w, "  %-*s  %s\n", width, "", origin(o))
		}
	}
}

// origin is where an option's value comes from without its flag: "default 3000; HTTPIPE_PORT, PORT". A
// command's own flags, which have no group, are in no variable.
func origin(o option) string {
	text := "default " + cmp.Or(o.def, "none")
	if o.group == "" {
		return text
	}
	return text + "; " + strings.Join(o.variables(), ", ")
}

// spelling is how an option is typed: "-p, --port NUMBER".
func spelling(o option) string {
	long := strings.TrimSpace("--" + o.name + " " + o.arg)
	if o.short == "" {
		return "    " + long
	}
	return "-" + o.short + ", " + long
}
