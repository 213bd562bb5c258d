package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A command is one thing that the program does, described once: its words, its arguments and options, how the help
// explains it, and what it does.
type command struct {
	name  string   // its words, such as "audit check"
	args  string   // its arguments as the help names them, such as "FILE", "[URL]" or "[WORD]..."
	words []string // what the first argument can be; nil: anything
	help  string   // one line
	more  string   // further lines, or empty

	options []option // those of the relay's table that it takes
	flags   []option // its own: on the command line only, never in a variable or a file

	// run runs the command with its arguments, after the options have been set. Its error is one line. It is nil for a
	// group, such as "audit", whose commands follow it in the table.
	run func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

// serveName is the command that runs the relay. It is the default.
const serveName = "serve"

// commands returns the table of all commands, in the order of the help. Their options write to c.
func (p Program) commands(c *Config) []command {
	return []command{
		{name: serveName, help: "run the relay", options: options(c),
			run: func(ctx context.Context, _ []string, stdout, stderr io.Writer) error {
				return p.Serve(ctx, p.Version, c, stdout, stderr)
			}},
		{name: "audit", help: "read, check and copy the audit log"},
		auditList(c),
		auditShow(c),
		auditSummary(c),
		auditTail(c),
		auditExport(c),
		auditBackup(c),
		auditMerge(),
		auditCheck(c),
		auditKey(c),
		p.send(),
		p.receive(),
		p.publish(),
		p.subscribe(),
		p.work(),
		{name: "nodes", help: "set up several servers behind HAProxy"},
		nodesTable(),
		nodesHAProxy(c),
		token(c),
		healthcheck(c),
		p.completion(),
		p.complete(),
		p.man(),
		{name: "version", help: "print the version (also --version)",
			run: func(_ context.Context, _ []string, stdout, _ io.Writer) error {
				_, err := fmt.Fprintln(stdout, "httpipe", p.Version)
				return err
			}},
		{name: "help", args: "[COMMAND]...", help: "explain a command (also COMMAND -h)",
			run: func(_ context.Context, args []string, stdout, _ io.Writer) error {
				return p.printHelp(args, stdout)
			}},
	}
}

// pick returns the named options of the relay's table, which write to c.
func pick(c *Config, names ...string) []option {
	return slices.DeleteFunc(options(c), func(o option) bool { return !slices.Contains(names, o.name) })
}

// reword replaces the help of one of the options, which means something else for a command than for the relay. It changes
// the options, which must be the command's own copy, and returns them.
func reword(all []option, name, help string) []option {
	for i := range all {
		if all[i].name == name {
			all[i].help = help
		}
	}
	return all
}

// split returns the group of the command, or "", and its own word.
func (cmd command) split() (group, word string) {
	i := strings.LastIndexByte(cmd.name, ' ')
	return cmd.name[:max(i, 0)], cmd.name[i+1:]
}

// members returns the commands of a group; of the group "" all that have no group. Hidden commands, which have no
// help, are left out.
func members(table []command, group string) (found []command) {
	for _, cmd := range table {
		if parent, _ := cmd.split(); parent == group && cmd.help != "" {
			found = append(found, cmd)
		}
	}
	return found
}

// find returns the command that the words name, or the group if they end there. It ignores words after a command.
func find(table []command, words []string) (command, error) {
	var cmd command
	for len(words) > 0 {
		group := cmd.name
		name := strings.TrimSpace(group + " " + words[0])
		i := slices.IndexFunc(table, func(other command) bool { return other.name == name })
		if i < 0 {
			var names []string
			for _, other := range members(table, group) {
				_, word := other.split()
				names = append(names, word)
			}
			return cmd, usageErrorf("unknown command %q%s; see httpipe %s", name, suggestCommand(words[0], names), strings.TrimSpace("help "+group))
		}
		cmd, words = table[i], words[1:]
		if cmd.run != nil {
			break
		}
	}
	return cmd, nil
}

// suggestCommand is suggest for a command's word. It also knows words that other programs have for ours.
func suggestCommand(word string, names []string) string {
	if other := map[string]string{"start": serveName, "run": serveName, "server": serveName}[word]; slices.Contains(names, other) {
		word = other
	}
	return suggest(word, "", names)
}

// strayArgument is the error for an argument of the relay, which takes none: often a command after the options.
func strayArgument(table []command, word string) error {
	var names []string
	for _, cmd := range members(table, "") {
		names = append(names, cmd.name)
	}
	if slices.Contains(names, word) {
		return usageErrorf("unexpected argument %q: a command comes before its options; see httpipe %s -h", word, word)
	}
	return usageErrorf("unexpected argument %q%s; usage: %s", word, suggestCommand(word, names), table[0].usage())
}

// checkArgs returns an error unless the command takes these arguments.
func (cmd command) checkArgs(args []string) error {
	names := strings.Fields(cmd.args)
	required := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.HasPrefix(name, "[") })
	if len(args) > len(names) && !strings.Contains(cmd.args, "...") {
		return usageErrorf("unexpected argument %q; usage: %s", args[len(names)], cmd.usage())
	}
	if len(args) < len(required) {
		return usageErrorf("%s is missing; usage: %s", required[len(args)], cmd.usage())
	}
	if len(args) > 0 && cmd.words != nil && !slices.Contains(cmd.words, args[0]) {
		return usageErrorf("unknown %q%s; want one of %s", args[0], suggest(args[0], "", cmd.words), strings.Join(cmd.words, ", "))
	}
	return nil
}

// flagError explains an error of package flag, whose texts name a flag with one dash.
func (cmd command) flagError(err error) error {
	if _, name, ok := strings.Cut(err.Error(), "flag provided but not defined: -"); ok {
		var names []string
		for _, o := range slices.Concat(cmd.flags, cmd.options) {
			names = append(names, dashes(o.name))
		}
		hint := suggest(dashes(name), "--", names)
		switch short := cmd.option(name[:1]); {
		case name == "version" || strings.EqualFold(name, "v"):
			return usageErrorf("unknown option %s; httpipe version prints the version", dashes(name))
		case hint == "" && short.short != "" && short.arg != "":
			return usageErrorf("unknown option -%s: write -%s %s, with a space; see %s -h", name, short.short, name[1:], cmd.command())
		}
		if hint == "" && strings.Contains(cmd.args, "[COMMAND]") {
			return usageErrorf("unknown option %s; write -- before COMMAND if it is one of its options; see %s -h", dashes(name), cmd.command())
		}
		return usageErrorf("unknown option %s%s; see %s -h", dashes(name), hint, cmd.command())
	}
	if _, name, ok := strings.Cut(err.Error(), "flag needs an argument: -"); ok {
		return usageErrorf("option %s needs a value; see %s -h", dashes(name), cmd.command())
	}
	return usageErrorf("%w; see %s -h", err, cmd.command())
}

// command returns the command as it is typed, without options and arguments: "httpipe audit backup".
func (cmd command) command() string {
	if cmd.name == serveName {
		return "httpipe"
	}
	return "httpipe " + cmd.name
}

// usage returns how the command is typed: "httpipe audit backup [options] FILE".
func (cmd command) usage() string {
	words := []string{cmd.command()}
	if cmd.name == serveName {
		words = append(words, "["+serveName+"]")
	}
	if cmd.run == nil {
		words = append(words, "COMMAND")
	}
	if len(cmd.options)+len(cmd.flags) > 0 {
		words = append(words, "[options]")
	}
	if cmd.args != "" {
		words = append(words, cmd.args)
	}
	return strings.Join(words, " ")
}

// dashes returns a flag as it is typed.
func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
