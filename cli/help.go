package cli

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	purpose = "httpipe is an HTTP server through which one client pipes data to another."

	sourcesHelp = `
An option that has a variable takes its value from its flag, else from the environment, else from
the config file, in which each line is a name and a value.
`
	variablesHelp = `
An option that has a variable takes its value from its flag, else from the environment.
`
	tryHelp = `
To try it while httpipe runs, in another terminal:
  curl -d hello localhost:3000/channels/demo/hello &
  curl localhost:3000/channels/demo/hello
`
	unitsHelp = `
A TIME is in seconds or has a unit (1.5, 30s, 12h, 90d); a SIZE is in bytes or has a unit (65536,
64KiB, 10MB).
`
)

// printHelp explains the command that the words name or, without words, all commands.
func (p Program) printHelp(words []string, stdout io.Writer) error {
	table := p.commands(&Config{})
	cmd, err := find(table, words)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		cmd = table[0]
	}
	return help(stdout, table, cmd)
}

// help explains a command in at most 100 columns: what it does, how it is typed, and its options with their defaults and
// variables. A group, and the relay, list commands instead.
func help(stdout io.Writer, table []command, cmd command) error {
	w := bufio.NewWriter(stdout)
	about, group := sentence(cmd.help), cmd.name
	if cmd.name == serveName {
		about, group = purpose, ""
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n", about)
	lists := cmd.run == nil || cmd.name == serveName
	if lists {
		usages(w, members(table, group))
	} else {
		fmt.Fprintf(w, "  %s\n", cmd.usage())
	}
	if cmd.more != "" {
		fmt.Fprintf(w, "\n%s\n", cmd.more)
	}
	all := slices.Concat(cmd.flags, cmd.options)
	if cmd.option("config").name != "" {
		fmt.Fprint(w, sourcesHelp)
	} else if len(cmd.options) > 0 {
		fmt.Fprint(w, variablesHelp)
	}
	if slices.ContainsFunc(all, func(o option) bool { return o.arg == "TIME" || o.arg == "SIZE" }) {
		fmt.Fprint(w, unitsHelp)
	}
	for len(all) > 0 {
		group := all[0].group
		n := slices.IndexFunc(all, func(o option) bool { return o.group != group })
		if n < 0 {
			n = len(all)
		}
		fmt.Fprintf(w, "\n%s:\n", cmp.Or(group, "Options"))
		optionLines(w, all[:n])
		all = all[n:]
	}
	if cmd.name == serveName {
		fmt.Fprint(w, tryHelp)
	}
	if lists {
		fmt.Fprintf(w, "\nA command's own help: %s COMMAND -h\n", cmd.command())
	}
	return w.Flush()
}

// optionColumn is the width of an option as it is typed, in the help.
const optionColumn = 31

// optionLines explains options, each in one or two lines.
func optionLines(w io.Writer, all []option) {
	for _, o := range all {
		fmt.Fprintf(w, "  %-*s  %s\n", optionColumn, spelling(o), o.help)
		if o.group != "" || o.def != "" {
			fmt.Fprintf(w, "  %-*s  %s\n", optionColumn, "", origin(o))
		}
	}
}

// usages writes how commands are typed, and what they do, in two columns.
func usages(w io.Writer, commands []command) {
	width := 0
	for _, cmd := range commands {
		width = max(width, len(cmd.usage()))
	}
	for _, cmd := range commands {
		fmt.Fprintf(w, "  %-*s  %s\n", width, cmd.usage(), cmd.help)
	}
}

// origin returns where an option's value comes from if its flag is not given: "default 3000; HTTPIPE_PORT, PORT". A
// command's own options, which have no group, have no variables.
func origin(o option) string {
	text := "default " + cmp.Or(o.def, "none")
	if o.group == "" {
		return text
	}
	return text + "; " + strings.Join(o.variables(), ", ")
}

// spelling returns how an option is typed: "-p, --port N".
func spelling(o option) string {
	long := strings.TrimSpace("--" + o.name + " " + o.arg)
	if o.short == "" {
		return "    " + long
	}
	return "-" + o.short + ", " + long
}
