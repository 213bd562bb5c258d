package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// toolbox returns a table with a command of each kind, which write what they were given to got.
func toolbox(c *Config, got *string) []command {
	var name string
	var loud bool
	say := func(_ context.Context, args []string, _, _ io.Writer) error {
		*got = fmt.Sprintf("%s %d %s %v %q", c.AuditDB, c.Port, name, loud, args)
		return nil
	}
	return []command{
		{name: serveName, help: "run", options: options(c), run: say},
		{name: "box", help: "boxes"},
		{name: "box open", args: "FILE [HOW]", help: "open it", options: pick(c, "audit-db", "config"), run: say,
			flags: []option{
				{name: "name", short: "n", arg: "NAME", help: "whom to greet", def: "you", set: into(&name, anyText)},
				{name: "loud", short: "l", help: "shout", set: into(&loud, parseBool)},
			}},
		{name: "box close", help: "close it", run: say},
		{name: "knock", args: "[URL]", words: nil, help: "knock", options: pick(c, "port"), run: say},
		{name: "paint", args: "COLOUR", words: []string{"red", "green"}, help: "paint it", run: say},
	}
}

// TestCommands: words, options in any place and from any source, own flags, arguments; and the exit status of each
// mistake, which is 2 if the command line is to blame, and else 1.
func TestCommands(t *testing.T) {
	noEnvironment(t)
	t.Setenv("HTTPIPE_PORT", "7")
	t.Setenv("HTTPIPE_NAME", "nobody")
	file := writeFile(t, "max-body 5MB\naudit-db file.db\np 8\n")
	wrong := writeFile(t, "name me")
	for _, tt := range []struct {
		args string
		got  string // or, with !, the beginning of an error with status 2, with !! with status 1, with ? of the help
	}{
		{"", "httpipe.db 7  false []"},
		{"serve", "httpipe.db 7  false []"},
		{"-p 1", "httpipe.db 1  false []"},
		{"--port=1 knock", `!unexpected argument "knock": a command comes before its options; see httpipe knock -h`},
		{"--port=1 knok", `!unexpected argument "knok" (did you mean knock?); usage: httpipe [serve] [options]`},
		{"serve x", `!unexpected argument "x"; usage: httpipe [serve] [options]`},
		{"start", `!unknown command "start" (did you mean serve?); see httpipe help`},
		{"run -p 1", `!unknown command "run" (did you mean serve?); see httpipe help`},
		{"-p3000", `!unknown option -p3000: write -p 3000, with a space; see httpipe -h`},
		{"box open f -nJohn", `!unknown option -nJohn: write -n John, with a space; see httpipe box open -h`},
		{"-prot 1", `!unknown option --prot (did you mean --port?)`},
		{"-v", `!unknown option -v; httpipe version prints the version`},
		{"-V", `!unknown option -V; httpipe version prints the version`},
		{"-p 1 --version", `!unknown option --version; httpipe version prints the version`},
		{"knock -version", `!unknown option --version; httpipe version prints the version`},
		{"-", `!unexpected argument "-"`},
		{"knock", " 7  false []"},
		{"knock there -p 1", ` 1  false ["there"]`},
		{"knock here there", `!unexpected argument "there"; usage: httpipe knock [options] [URL]`},
		{"knock -- -p", ` 7  false ["-p"]`},
		{"box open -- f --loud", ` 0 you false ["f" "--loud"]`},
		{"box open f -- --loud", ` 0 you false ["f" "--loud"]`},
		{"knock --audit-db x", "!unknown option --audit-db; see httpipe knock -h"},
		{"knock --config x", "!unknown option --config; see httpipe knock -h"},
		{"knock x --prot 1", "!unknown option --prot (did you mean --port?); see httpipe knock -h"},
		{"--stall-timout 1", "!unknown option --stall-timout (did you mean --stall-timeout?); see httpipe -h"},
		{"box open f", `httpipe.db 0 you false ["f"]`},
		{"box open --loud f --name=me g --audit-db a.db", `a.db 0 me true ["f" "g"]`},
		{"box open -l f", `httpipe.db 0 you true ["f"]`},
		{"box open -n me f --loud=false", `httpipe.db 0 me false ["f"]`},
		{"box open f --config " + file, `file.db 0 you false ["f"]`},
		{"box open --config " + wrong + " f", `!!unknown option "name" (file`},
		{"box open --loud=much f", `!invalid value "much" for --loud (command line): want true or false`},
		{"box open f --audit-db=", `!invalid value "" for --audit-db (command line): must not be empty`},
		{"box open f --config /nope", "!--config (command line): open /nope"},
		{"box open f --audit-db", "!option --audit-db needs a value; see httpipe box open -h"},
		{"box open f -n", "!option -n needs a value"},
		{"box open -n me", "!FILE is missing; usage: httpipe box open [options] FILE [HOW]"},
		{"box open f g h", `!unexpected argument "h"; usage`},
		{"box open f -p 1", "!unknown option -p; see httpipe box open -h"},
		{"box close", " 0  false []"},
		{"box close f", `!unexpected argument "f"`},
		{"paint red", ` 0  false ["red"]`},
		{"paint gren", `!unknown "gren" (did you mean green?); want one of red, green`},
		{"paint", "!COLOUR is missing; usage: httpipe paint COLOUR"},
		{"box", "?httpipe box open [options] FILE [HOW]"},
		{"box help", "?httpipe box open [options] FILE [HOW]"},
		{"box -h", "?httpipe box open [options] FILE [HOW]"},
		{"box open f -h", "?httpipe box open [options] FILE [HOW]"},
		{"box clsoe x", `!unknown command "box clsoe" (did you mean close?); see httpipe help box`},
		{"box --loud", "!unknown option --loud; see httpipe box -h"},
		{"knok there", `!unknown command "knok" (did you mean knock?); see httpipe help`},
		{"bread", `!unknown command "bread"; see httpipe help`},
	} {
		var c Config
		var got string
		var stdout strings.Builder
		err := Program{Stdout: &stdout}.runOf(t.Context(), toolbox(&c, &got), &c, strings.Fields(tt.args))
		status, want := 0, strings.TrimLeft(tt.got, "!?")
		switch {
		case err != nil:
			got = err.Error()
			status = len("!!!") - strings.Count(tt.got[:2], "!")
		case tt.got[0] == '?':
			_, got, _ = strings.Cut(stdout.String(), "Usage:\n  ")
		}
		if ExitCode(err) != status || err != nil && !strings.HasPrefix(got, want) || err == nil && !strings.Contains(got, want) || strings.Contains(want, "\n") {
			t.Errorf("httpipe %s: exit %d, %s\nwant %s", tt.args, ExitCode(err), got, tt.got)
		}
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	words := []string{"port", "host", "audit", "audit-db", "max-waiting", "max-waiting-per-channel"}
	for text, want := range map[string]string{
		"prot": "port", "potr": "port", "por": "port", "aduit": "audit", "audit_db": "audit-db", "auditdb": "audit-db",
		"max-waiting-per-chanel": "max-waiting-per-channel", "x": "", "retention": "", "": "", "tsop": "", "max-": "max-waiting", "max": "",
	} {
		got := suggest(text, "", words)
		if want != "" {
			want = " (did you mean " + want + "?)"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestCommandTable: the properties of the table that the code relies on.
func TestCommandTable(t *testing.T) {
	t.Parallel()
	groups := []string{""}
	for i, cmd := range (Program{}).commands(&Config{}) {
		if (cmd.name == serveName) != (i == 0) {
			t.Errorf("command %d is called %q; the relay comes first", i, cmd.name)
		}
		if group, _ := cmd.split(); !slices.Contains(groups, group) {
			t.Errorf("%q precedes its group", cmd.name)
		}
		if cmd.run == nil {
			groups = append(groups, cmd.name)
		}
		readsFile := cmd.option("config").name != ""
		for _, own := range cmd.flags {
			if own.group != "" || own.plain != "" {
				t.Errorf("%s --%s has a group or a variable; only options of the relay have", cmd.name, own.name)
			}
			if readsFile && slices.ContainsFunc(options(&Config{}), func(o option) bool {
				return o.name == own.name || o.name == own.short || o.short != "" && o.short == own.short
			}) {
				t.Errorf("%s --%s is an option of the relay too", cmd.name, own.name)
			}
		}
	}
}

// TestCommandHelp: every command explains itself, in lines that fit a terminal, and the same in each of the three ways.
func TestCommandHelp(t *testing.T) {
	noEnvironment(t)
	for _, cmd := range (Program{}).commands(&Config{}) {
		if cmd.help == "" {
			continue // hidden
		}
		output, err := runWith(t, cmd.name+" -h")
		if err != nil {
			t.Errorf("httpipe %s -h: %v", cmd.name, err)
		}
		if cmd.run != nil && !strings.Contains(output, cmd.usage()) || cmd.run != nil && cmd.name != serveName && !strings.HasPrefix(output, sentence(cmd.help)+"\n") {
			t.Errorf("httpipe %s -h lacks %q or %q:\n%s", cmd.name, cmd.usage(), cmd.help, output)
		}
		for _, way := range []string{"help " + cmd.name, cmd.name + " --help"} {
			if other, err := runWith(t, way); err != nil || other != output {
				t.Errorf("httpipe %s differs from httpipe %s -h: %v\n%s", way, cmd.name, err, other)
			}
		}
		for line := range strings.Lines(output) {
			if len(line) > 101 {
				t.Errorf("line of more than 100 columns: %s", line)
			}
		}
	}
	group, err := runWith(t, "audit")
	if same, _ := runWith(t, "audit -h"); err != nil || group != same || strings.Count(group, "  httpipe audit ") != len(members(Program{}.commands(&Config{}), "audit")) {
		t.Errorf("httpipe audit: %v\n%s", err, group)
	}

	var c Config
	var b strings.Builder
	table := toolbox(&c, new(string))
	help(&b, table, table[2])
	want := `Open it.

Usage:
  httpipe box open [options] FILE [HOW]
` + sourcesHelp + `
Options:
  -n, --name NAME                  whom to greet
                                   default you
  -l, --loud                       shout

Audit log:
      --audit-db FILE              SQLite file of the audit log, created if missing
                                   default httpipe.db; HTTPIPE_AUDIT_DB

Logging and configuration:
      --config FILE                file with more options, one "name value" per line
                                   default none; HTTPIPE_CONFIG
`
	if b.String() != want {
		t.Errorf("the help of a command is\n%s\nwant\n%s", b.String(), want)
	}
}

// TestHelpIsTrue: where a command takes an option of the relay, the help says what it means for that command.
func TestHelpIsTrue(t *testing.T) {
	noEnvironment(t)
	for command, wrong := range map[string]string{
		"audit list": "created if missing", "audit check": "created if missing", "healthcheck": "to listen on", "token": "admits clients",
	} {
		if output, err := runWith(t, command+" -h"); err != nil || strings.Contains(output, wrong) {
			t.Errorf("httpipe %s -h: %v\n%s", command, err, output)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	help, err := runWith(t, "help")
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range []string{
		"httpipe [serve] [options]", "httpipe version", "httpipe help [", "--version", "httpipe audit COMMAND  ",
		"\nListening:\n", "\nWaiting and relaying:\n", "\nAccess:\n", "\nLimits:\n", "\nAudit log:\n", "\nLogging and configuration:\n",
	} {
		if strings.Count(help, head) != 1 {
			t.Errorf("%q appears %d times, want once", head, strings.Count(help, head))
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

func TestVersion(t *testing.T) {
	noEnvironment(t)
	for _, arg := range []string{"version", "--version", "-version"} {
		if output, err := runWith(t, arg); err != nil || output != "httpipe v1.2.3\n" {
			t.Errorf("httpipe %s: %v, printed %q", arg, err, output)
		}
	}
}
