package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// toolbox is a table with a command of each kind, which write what they were given to got.
func toolbox(c *Config, got *string) []command {
	var name string
	var loud bool
	say := func(_ context.Context, args []string, _, _ io.Writer) error {
		*got = fmt.Sprintf("%s %d %s %v %q", c.AuditDB, c.Port, name, loud, args)
		return nil
	}
	return []command{
		{help: "run", options: options(c), run: say},
		{name: "box open", args: "FILE [HOW]", help: "open it", options: pick(c, "audit-db", "config"), run: say,
			flags: []option{
				{name: "name", short: "n", arg: "NAME", help: "whom to greet", def: "you", set: into(&name, anyText)},
				{name: "loud", short: "l", help: "shout", set: into(&loud, parseBool)},
			}},
		{name: "box close", help: "close it", run: say},
		{name: "knock", args: "[URL]", help: "knock", options: pick(c, "port"), run: say},
	}
}

// TestCommands: words, options in any place and from any source, own flags, arguments.
func TestCommands(t *testing.T) {
	noEnvironment(t)
	t.Setenv("HTTPIPE_PORT", "7")
	t.Setenv("HTTPIPE_NAME", "nobody")
	file := writeFile(t, "max-body 5MB\naudit-db file.db\np 8\n")
	wrong := writeFile(t, "name me")
	for _, tt := range []struct {
		args string
		got  string
		err  string
	}{
		{args: "", got: "httpipe.db 7  false []"},
		{args: "-p 1", got: "httpipe.db 1  false []"},
		{args: "--port=1 knock", err: `unexpected argument "knock" (command line)`},
		{args: "knock", got: " 7  false []"},
		{args: "knock there -p 1", got: ` 1  false ["there"]`},
		{args: "knock here there", err: `unexpected argument "there" (command line)`},
		{args: "knock -- -p", got: ` 7  false ["-p"]`},
		{args: "knock --audit-db x", err: "command line: flag provided but not defined: -audit-db"},
		{args: "knock --config x", err: "command line: flag provided but not defined: -config"},
		{args: "box open f", got: `httpipe.db 0 you false ["f"]`},
		{args: "box open --loud f --name=me g --audit-db a.db", got: `a.db 0 me true ["f" "g"]`},
		{args: "box open -l f", got: `httpipe.db 0 you true ["f"]`},
		{args: "box open -n me f --loud=false", got: `httpipe.db 0 me false ["f"]`},
		{args: "box open --config " + file + " f", got: `file.db 0 you false ["f"]`},
		{args: "box open --config " + wrong + " f", err: `unknown option "name" (file`},
		{args: "box open --loud=much f", err: `invalid value "much" for --loud (command line): want true or false`},
		{args: "box open f --audit-db=", err: `invalid value "" for --audit-db (command line): want a file name`},
		{args: "box open -n me", err: "FILE is missing: httpipe box open [options] FILE [HOW]"},
		{args: "box open f g h", err: `unexpected argument "h" (command line)`},
		{args: "box open f -p 1", err: "command line: flag provided but not defined: -p"},
		{args: "box close", got: " 0  false []"},
		{args: "box close f", err: `unexpected argument "f" (command line)`},
		{args: "box", err: `unknown command "box" (commands: box open, box close)`},
		{args: "box shut x", err: `unknown command "box shut" (commands: box open, box close)`},
		{args: "box -h", err: `unknown command "box" (commands: box open, box close)`},
		{args: "knok there", err: `unknown command "knok" (commands: box, knock; no command runs the relay)`},
	} {
		var c Config
		var got string
		table := toolbox(&c, &got)
		cmd, args, err := find(table, strings.Fields(tt.args))
		if err == nil {
			args, err = parse(&c, cmd, args)
		}
		if err == nil {
			err = cmd.run(t.Context(), args, nil, nil)
		}
		if got != tt.got || (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
			t.Errorf("httpipe %s: %s, error %v\nwant %s, error %s", tt.args, got, err, tt.got, tt.err)
		}
	}
}

// TestCommandTable: what the table must be for the rest to work.
func TestCommandTable(t *testing.T) {
	t.Parallel()
	table := commands(&Config{})
	first := ""
	var seen []string
	for i, cmd := range table {
		if (cmd.name == "") != (i == 0) {
			t.Errorf("command %d is called %q; the relay, which has no name, comes first", i, cmd.name)
		}
		if word, _, _ := strings.Cut(cmd.name, " "); word != first {
			if slices.Contains(seen, word) {
				t.Errorf("%q does not stand with the others of its first word", cmd.name)
			}
			seen, first = append(seen, word), word
		}
		for _, own := range cmd.flags {
			if own.group != "" || own.plain != "" {
				t.Errorf("%s --%s has a group or a variable; only options of the table have", cmd.name, own.name)
			}
			if slices.ContainsFunc(options(&Config{}), func(o option) bool {
				return o.name == own.name || o.name == own.short || o.short != "" && o.short == own.short
			}) {
				t.Errorf("%s --%s is an option of the table too", cmd.name, own.name)
			}
		}
	}
}

// TestCommandHelp: every command explains itself, in lines that fit a terminal.
func TestCommandHelp(t *testing.T) {
	noEnvironment(t)
	for _, cmd := range commands(&Config{}) {
		var b strings.Builder
		if err := run(t.Context(), append(strings.Fields(cmd.name), "-h"), &b, nil); err != nil {
			t.Errorf("httpipe %s -h: %v", cmd.name, err)
		}
		for _, want := range []string{cmd.usage(), cmd.help} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("httpipe %s -h lacks %q:\n%s", cmd.name, want, b.String())
			}
		}
		for line := range strings.Lines(b.String()) {
			if len(line) > 101 {
				t.Errorf("line of more than 100 columns: %s", line)
			}
		}
	}

	var c Config
	var b strings.Builder
	table := toolbox(&c, new(string))
	help(&b, table, table[1])
	want := purpose + `

Usage:
  httpipe box open [options] FILE [HOW]  open it
` + sourcesHelp + `
Options:
  -n, --name NAME      whom to greet
                       default you
  -l, --loud           shout

Audit log:
      --audit-db FILE  SQLite file of the audit log, made if it is missing
                       default httpipe.db; HTTPIPE_AUDIT_DB

Logging and configuration:
      --config FILE    file of more options, one "name value" on a line
                       default none; HTTPIPE_CONFIG
`
	if b.String() != want {
		t.Errorf("the help of a command is\n%s\nwant\n%s", b.String(), want)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := printHelp(t.Context(), nil, &b, nil); err != nil {
		t.Fatal(err)
	}
	help := b.String()
	for _, head := range []string{
		"httpipe [options]", "httpipe version", "httpipe help", "--version", "-h, --help",
		"\nListening:\n", "\nWaiting and relaying:\n", "\nAccess:\n", "\nLimits:\n", "\nAudit log:\n", "\nLogging and configuration:\n",
	} {
		if strings.Count(help, head) != 1 {
			t.Errorf("%q appears %d times, want once", head, strings.Count(help, head))
		}
	}
	for _, entry := range []string{
		"  -p, --port N                     port to listen on; 0 takes any free one\n" +
			"                                   default 3000; HTTPIPE_PORT, PORT\n",
		"  -r, --request-timeout TIME       longest that a request waits for its partner; 0 is no limit\n" +
			"                                   default none; HTTPIPE_REQUEST_TIMEOUT, REQUEST_TIMEOUT\n",
		"      --audit-db FILE              SQLite file of the audit log, made if it is missing\n" +
			"                                   default httpipe.db; HTTPIPE_AUDIT_DB\n",
	} {
		if !strings.Contains(help, entry) {
			t.Errorf("the help lacks\n%s", entry)
		}
	}
	for _, o := range options(&Config{}) {
		def := o.def
		if def == "" {
			def = "none"
		}
		_, entry, found := strings.Cut(help, spelling(o)+" ")
		if !found {
			t.Errorf("the help lacks --%s %s", o.name, o.arg)
			continue
		}
		lines := strings.SplitN(entry, "\n", 3)
		if strings.TrimSpace(lines[0]) != o.help || o.help == "" {
			t.Errorf("--%s: explained as %q, want %q", o.name, lines[0], o.help)
		}
		if want := "default " + def + "; " + o.env(); !strings.Contains(lines[1], want) {
			t.Errorf("--%s: second line is %q, want %q", o.name, lines[1], want)
		}
	}
}

func TestVersionAndHelp(t *testing.T) {
	noEnvironment(t)
	for arg, want := range map[string]string{"version": "httpipe ", "--version": "httpipe ", "help": "--stall-timeout", "-h": "HTTPIPE_AUDIT_DB", "--help": "--port"} {
		var stdout strings.Builder
		if err := run(t.Context(), []string{arg}, &stdout, io.Discard); err != nil || !strings.Contains(stdout.String(), want) {
			t.Errorf("httpipe %s: %v, printed %q, want %q in it", arg, err, stdout.String(), want)
		}
	}
}
