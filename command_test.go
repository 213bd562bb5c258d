package main

import (
	"slices"
	"strings"
	"testing"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		name string
		rest string
		err  string
	}{
		{"", "serve", "", ""},
		{"-p 1", "serve", "-p 1", ""},
		{"--port=1 version", "serve", "--port=1 version", ""}, // parseConfig refuses it
		{"-h", "serve", "-h", ""},
		{"version", "version", "", ""},
		{"--version", "version", "", ""},
		{"-version", "version", "", ""},
		{"help", "help", "", ""},
		{"verison", "", "", `unknown command "verison" (commands: version, help; no command runs the relay)`},
		{"serve", "", "", `unknown command "serve"`},
		{"version now", "", "", `unexpected argument "now" after "version"`},
	} {
		name, rest, err := command(strings.Fields(tt.args))
		if name != tt.name || !slices.Equal(rest, strings.Fields(tt.rest)) {
			t.Errorf("command(%s) = %q, %q, want %q, %q", tt.args, name, rest, tt.name, tt.rest)
		}
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.err)) {
			t.Errorf("command(%s): error %v, want %q", tt.args, err, tt.err)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	usage(&b)
	help := b.String()

	for line := range strings.Lines(help) {
		if len(strings.TrimSuffix(line, "\n")) > 100 {
			t.Errorf("line of more than 100 columns: %s", line)
		}
	}
	for _, head := range []string{
		"httpipe [options]", "httpipe version", "httpipe help", "--version", "-h, --help",
		"\nListening:\n", "\nWaiting and relaying:\n", "\nLimits:\n", "\nAudit log:\n", "\nLogging and configuration:\n",
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
	for _, o := range options(&config{}) {
		def := o.def
		if def == "" {
			def = "none"
		}
		_, entry, found := strings.Cut(help, "--"+o.name+" "+o.arg+" ")
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
