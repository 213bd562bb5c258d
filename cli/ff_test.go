package cli

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"
)

// TestFaultsOfFF shows why this package does some things itself that ff or ffcli could do. A case that fails has been
// mended in ff: remove our own code for it.
func TestFaultsOfFF(t *testing.T) {
	noEnvironment(t)
	// parse lets ff parse two flags that are one option, and returns the values of port, and of the option host.
	parse := func(args []string, file string, options ...ff.Option) (port, host string, err error) {
		flags := quietFlags()
		flags.StringVar(&port, "port", "3000", "")
		flags.StringVar(&port, "p", "3000", "")
		flags.StringVar(&host, "host", "", "")
		if file != "" {
			options = append(options, ff.WithConfigFile(writeFile(t, file)), ff.WithConfigFileParser(ff.PlainParser))
		}
		err = ff.Parse(flags, args, options...)
		return port, host, err
	}
	prefix := ff.WithEnvVarPrefix("HTTPIPE")

	if port, _, _ := parse([]string{"-p", "1"}, "port 2"); port != "2" {
		t.Errorf("a short flag beats the file: port %s", port)
	}
	t.Setenv("HTTPIPE_PORT", "3")
	if port, _, _ := parse([]string{"-p", "1"}, "", prefix); port != "3" {
		t.Errorf("a short flag beats the variable: port %s", port)
	}
	t.Setenv("HTTPIPE_PORT", "")
	t.Setenv("HTTPIPE_P", "4")
	t.Setenv("PORT", "5")
	if port, _, _ := parse(nil, "", prefix); port != "4" {
		t.Errorf("HTTPIPE_P is no variable of -p, or PORT is one of --port: port %s", port)
	}
	t.Setenv("HTTPIPE_HOST", "")
	if _, host, err := parse(nil, "host ::1", prefix); host != "::1" || err != nil {
		t.Errorf("an empty variable is no longer ignored: host %q, %v", host, err)
	}

	for _, test := range []struct{ name, file, port, host string }{
		{"a missing value is true", "host", "3000", "true"},
		{"a tab is part of the name", "host\t::1", "", ""},
		{"the last of two lines wins", "port 1\nport 2", "2", ""},
	} {
		port, host, err := parse(nil, test.file)
		if wantErr := test.port == ""; wantErr != (err != nil) || !wantErr && (port != test.port || host != test.host) {
			t.Errorf("%s: port %s, host %q, %v", test.name, port, host, err)
		}
	}
	if _, _, err := parse(nil, "port 1\nprot 2"); err == nil || strings.Contains(err.Error(), "2") {
		t.Errorf("an error says the line: %v", err)
	}
	if port, _, err := parse(nil, "port 1\n"+strings.Repeat("x", 1<<17)); port != "1" || err != nil {
		t.Errorf("an unreadable file is an error: port %s, %v", port, err)
	}

	secret := quietFlags()
	secret.Var(new(refusing), "auth-secret", "")
	if err := ff.Parse(secret, []string{"--auth-secret", "hunter2"}); err == nil || !strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong value is not printed: %v", err)
	}
}

// TestFaultsOfFFCLI is TestFaultsOfFF for the selection of commands.
func TestFaultsOfFFCLI(t *testing.T) {
	var got []string
	flags := quietFlags()
	flags.Bool("json", false, "")
	show := &ffcli.Command{Name: "show", FlagSet: flags, Exec: func(_ context.Context, args []string) error {
		got = args
		return nil
	}}
	root := func() *ffcli.Command {
		return &ffcli.Command{Subcommands: []*ffcli.Command{show}, FlagSet: quietFlags(), Exec: func(context.Context, []string) error { return errors.New("root") }}
	}
	if err := root().ParseAndRun(t.Context(), []string{"show", "ID", "--json"}); err != nil || !slices.Equal(got, []string{"ID", "--json"}) {
		t.Errorf("a flag behind an argument is a flag: %q, %v", got, err)
	}
	if err := root().ParseAndRun(t.Context(), []string{"shwo"}); err == nil || err.Error() != "root" {
		t.Errorf("an unknown command does not run its parent: %v", err)
	}
}

// refusing is a flag.Value that takes no text.
type refusing struct{ flag.Value }

func (*refusing) String() string   { return "" }
func (*refusing) Set(string) error { return errors.New("too short") }
