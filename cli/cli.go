// Package cli is the command line of httpipe: its commands, their options and where the values come from, and the
// help, completion and manual page that are made from the same table.
//
// A run goes down this list:
//
//	cli.go        Run: from the arguments to a command, and from its error to an exit status
//	command.go    the table of commands
//	sources.go    options from the command line, the environment and the config file
//	options.go    the table of the relay's options; config.go, values.go, origins.go, together.go: the values they accept
//	help.go       the help; man.go the manual page, completion.go what a shell completes, suggest.go "did you mean"
//	history.go    audit list, show, summary, export; tail.go, audit.go, key.go, token.go, healthcheck.go: other commands
//	nodes.go      nodes table and nodes haproxy, which set up several servers
//	transfer.go   the options that the commands of the client share; send.go, receive.go, subscribe.go, work.go: these
//	              commands; handon.go: the programs that they run
//	terminal.go   tables, and values as a person reads them; progress.go the progress of a transfer
//
// ff and ffcli parse flags, select commands and open the config file. Where this package does such a thing itself,
// a comment says what ff gets wrong, and a test in ff_test.go shows it.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"httpipe/client"
)

// A Program is what the command line starts and where it prints.
type Program struct {
	Version        string
	Stdout, Stderr io.Writer

	// Serve runs the server of this version until it has stopped. Its error is one line.
	Serve func(ctx context.Context, version string, c *Config, stdout, stderr io.Writer) error
}

// A usageError is a mistake in the command line, as opposed to one in the environment or a file, or any other failure.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usageErrorf(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errNoSecret is the error of a command that needs the server's secret, if no source sets one. Its exit status differs
// from that of a wrong secret or a wrong config file, so that a script can make a secret only if there is none.
var errNoSecret = errors.New("--auth-secret is missing: it signs the token, and must be the secret of the server")

// ExitCode returns the exit status for what Run returned: 0 for nil, 2 for a mistake in the command line, 3 if no
// secret is set for a command that needs one, a status of statusOf for a transfer that failed, 1 for any other error.
func ExitCode(err error) int {
	if f, ok := errors.AsType[*client.Failure](err); ok {
		return statusOf[f.Class()]
	}
	if e, ok := errors.AsType[statusError](err); ok {
		return e.status
	}
	if errors.Is(err, errNoSecret) {
		return 3
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	if err != nil {
		return 1
	}
	return 0
}

// Run runs the command that args (without the program's name) call for, and returns when it is done. Without a
// command that is the relay. The error is one line.
func (p Program) Run(ctx context.Context, args []string) error {
	var c Config
	return p.runOf(ctx, p.commands(&c), &c, args)
}

// runOf runs a command of the table.
func (p Program) runOf(ctx context.Context, table []command, c *Config, args []string) error {
	args = withCommand(args)
	t := newTree(table, c, p, args)
	err := t.root.Parse(args)
	if err == nil {
		err = t.root.Run(ctx)
	} else if !errors.Is(err, flag.ErrHelp) {
		return t.asked.flagError(err)
	}
	if errors.Is(err, flag.ErrHelp) {
		return help(p.Stdout, table, t.asked)
	}
	return err
}

// withCommand adds the name of the command to arguments that begin with a flag.
func withCommand(args []string) []string {
	switch {
	case len(args) == 0 || strings.HasPrefix(args[0], "-") && strings.TrimLeft(args[0], "-") != "version":
		return append([]string{serveName}, args...)
	case strings.HasPrefix(args[0], "-"):
		return append([]string{"version"}, args[1:]...)
	}
	return args
}

// A tree is the table of commands as ffcli needs it.
type tree struct {
	root  *ffcli.Command
	asked command // the last one whose usage ffcli wanted: after -h, and before an error
}

// newTree returns the tree of the commands. typed are the words after the program's name.
func newTree(table []command, c *Config, p Program, typed []string) *tree {
	t := &tree{root: &ffcli.Command{Name: "httpipe"}}
	nodes := map[string]*ffcli.Command{"": t.root}
	group(t.root, table, "")
	t.root.FlagSet = quietFlags()
	for _, cmd := range table {
		parent, word := cmd.split()
		s := newSources(cmd)
		node := &ffcli.Command{Name: word, FlagSet: s.flags, UsageFunc: func(*ffcli.Command) string { t.asked = cmd; return "" }}
		if cmd.run == nil {
			group(node, table, cmd.name)
		} else {
			node.Exec = func(ctx context.Context, args []string) error {
				if cmd.name == serveName && len(args) > 0 {
					return strayArgument(table, args[0])
				}
				args, err := parse(c, cmd, s, typed, args)
				if err != nil {
					return err
				}
				return cmd.run(ctx, args, p.Stdout, p.Stderr)
			}
		}
		nodes[parent].Subcommands = append(nodes[parent].Subcommands, node)
		nodes[cmd.name] = node
	}
	return t
}

// group makes a node that has only subcommands print its help, and reject a word that is not one of them.
func group(node *ffcli.Command, table []command, name string) {
	node.Exec = func(_ context.Context, args []string) error {
		if len(args) == 0 || name != "" && args[0] == "help" {
			return flag.ErrHelp
		}
		_, err := find(table, append(strings.Fields(name), args...))
		return err
	}
}

// quietFlags returns an empty set of flags that prints nothing: Run prints help, and returns errors.
func quietFlags() *flag.FlagSet {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}
