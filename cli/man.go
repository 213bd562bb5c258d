package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

func (p Program) man() command {
	return command{
		name: "man", help: "print the manual page: httpipe man | man -l -",
		run: func(_ context.Context, _ []string, stdout, _ io.Writer) error {
			_, err := io.WriteString(stdout, manualPage(p.Version, p.commands(&Config{})))
			return err
		},
	}
}

// roffText escapes a text for roff: backslashes and hyphens, which roff would typeset, and a dot or an apostrophe at
// the beginning of a line, which begins a request.
func roffText(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\n.", "\n\\&."), "\n'", "\n\\&'")
}

// manualPage returns the manual page in roff, for section 1.
func manualPage(version string, table []command) string {
	var b strings.Builder
	section := func(name, text string) { fmt.Fprintf(&b, ".SH %s\n%s", name, text) }
	entry := func(head, text string) {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roffText(head), roffText(text))
	}
	fmt.Fprintf(&b, ".TH HTTPIPE 1 \"\" \"httpipe %s\" \"User Commands\"\n", roffText(version))
	b.WriteString(".nh\n") // no hyphenation, which would split the names of variables
	section("NAME", "httpipe \\- relay that pipes the body of one HTTP request into the response of another\n")
	section("SYNOPSIS", "")
	for i, cmd := range slices.DeleteFunc(slices.Clone(table), func(cmd command) bool { return cmd.help == "" || cmd.run == nil }) {
		if i > 0 {
			b.WriteString(".br\n")
		}
		fmt.Fprintf(&b, ".B %s\n", roffText(cmd.usage()))
	}
	section("DESCRIPTION", roffText(purpose+`
A producer sends a body to a named channel (POST or PUT /channels/NAMESPACE/CHANNEL), and a consumer reads from it (GET).
Each waits until the other is there. The body then streams from the first request into the response of the second,
and an SQLite file keeps a record of the exchange. Without a command, and as httpipe serve, httpipe runs this relay.`)+"\n")
	section("OPTIONS", roffText(strings.TrimSpace(sourcesHelp)+"\n"+strings.TrimSpace(unitsHelp))+"\n")
	group := ""
	for _, o := range table[0].options {
		if o.group != group {
			group = o.group
			fmt.Fprintf(&b, ".SS %s\n", roffText(group))
		}
		entry(strings.TrimSpace(spelling(o)), sentence(o.help)+"\n"+sentence(origin(o)))
	}
	section("COMMANDS", "")
	for _, cmd := range table[1:] {
		if cmd.help == "" || cmd.run == nil {
			continue
		}
		fmt.Fprintf(&b, ".SS %s\n%s\n", roffText(cmd.usage()), roffText(sentence(cmd.help)))
		if cmd.more != "" {
			fmt.Fprintf(&b, "%s\n", roffText(cmd.more))
		}
		for _, o := range slices.Concat(cmd.flags, cmd.options) {
			text := sentence(o.help)
			if o.group != "" || o.def != "" {
				text += "\n" + sentence(origin(o))
			}
			entry(strings.TrimSpace(spelling(o)), text)
		}
	}
	section("EXIT STATUS", roffText(`0 for success, 2 for a mistake in the command line, 3 if httpipe token finds no secret, 1 for any other error.
The commands that send and receive have further ones, which they explain.
After SIGTERM or SIGINT the relay lets running exchanges end, for as long as --drain-timeout says, and exits with 0.`)+"\n")
	section("FILES", "")
	entry("httpipe.db", "The audit log, in the working directory unless --audit-db says otherwise.")
	section("SEE ALSO", ".BR curl (1),\n.BR sqlite3 (1)\n")
	return b.String()
}

// sentence makes a sentence of a help text.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }
