package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// command is one thing that the program does, described once: the words that call for it, what it takes,
// how the help explains it, and what it does.
type command struct {
	name string // its words, such as "audit check"; empty: the relay
	args string // its arguments as the help calls them, such as "FILE" or "[URL]"
	help string // one line

	options []option // those of the table that it takes
	flags   []option // its own: on the command line only, never in a variable or a file

	// run does it with its arguments, when the options have their values. Its error is one line.
	run func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

// commands is the table of all commands, in the order of the help. Their options write to c. The first is
// the relay, which has no word: it is what httpipe does.
func commands(c *config) []command {
	return []command{
		{help: "run the relay", options: options(c),
			run: func(ctx context.Context, _ []string, stdout, stderr io.Writer) error {
				return serve(ctx, c, stdout, stderr)
			}},
		auditList(c),
		auditShow(c),
		auditSummary(c),
		auditTail(c),
		auditExport(c),
		auditBackup(c),
		auditCheck(c),
		auditKey(c),
		healthcheck(c),
		token(c),
		{name: "version", help: "print the version (also --version)", run: printVersion},
		{name: "help", help: "print this help (also -h, --help)", run: printHelp},
	}
}

// pick returns the named options of the table, which write to c.
func pick(c *config, names ...string) []option {
	return slices.DeleteFunc(options(c), func(o option) bool { return !slices.Contains(names, o.name) })
}

// find returns the command that the arguments of the process (without its name) call for, and the
// arguments for that. Words that are no command are an error, so that a typo does not start a server.
func find(table []command, args []string) (command, []string, error) {
	if len(args) > 0 && (args[0] == "--version" || args[0] == "-version") {
		args = slices.Concat([]string{"version"}, args[1:])
	}
	words := 0 // that the name of a command may consist of
	for words < min(len(args), 2) && !strings.HasPrefix(args[words], "-") {
		words++
	}
	if words == 0 {
		return table[0], args, nil
	}
	for n := words; n > 0; n-- {
		name := strings.Join(args[:n], " ")
		for _, cmd := range table[1:] {
			if cmd.name == name {
				return cmd, args[n:], nil
			}
		}
	}
	return command{}, nil, unknown(table[1:], args[:words])
}

// unknown is the error for words that are no command. It names the commands that begin with the same
// word, or else the first words of all.
func unknown(table []command, words []string) error {
	var firsts, alike []string
	for _, cmd := range table {
		first, _, _ := strings.Cut(cmd.name, " ")
		if first == words[0] {
			alike = append(alike, cmd.name)
		}
		firsts = append(firsts, first)
	}
	firsts = slices.Compact(firsts) // commands with the same first word stand together
	if alike != nil {
		return fmt.Errorf("unknown command %q (commands: %s)", strings.Join(words, " "), strings.Join(alike, ", "))
	}
	return fmt.Errorf("unknown command %q (commands: %s; no command runs the relay)", words[0], strings.Join(firsts, ", "))
}

// checkArgs returns an error unless there are as many arguments as the command takes.
func (cmd command) checkArgs(args []string) error {
	names := strings.Fields(cmd.args)
	if len(args) > len(names) {
		return fmt.Errorf("unexpected argument %q (command line)", args[len(names)])
	}
	if rest := names[len(args):]; len(rest) > 0 && !strings.HasPrefix(rest[0], "[") {
		return fmt.Errorf("%s is missing: %s", rest[0], cmd.usage())
	}
	return nil
}

// usage is how the command is typed: "httpipe audit backup [options] FILE".
func (cmd command) usage() string {
	words := []string{"httpipe"}
	if cmd.name != "" {
		words = append(words, cmd.name)
	}
	if len(cmd.options)+len(cmd.flags) > 0 {
		words = append(words, "[options]")
	}
	if cmd.args != "" {
		words = append(words, cmd.args)
	}
	return strings.Join(words, " ")
}
