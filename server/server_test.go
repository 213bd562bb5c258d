package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"httpipe/cli"
	"httpipe/test/kit"
)

func TestMain(m *testing.M) { os.Exit(kit.Main(m)) }

// mkdir makes a directory and returns its path.
func mkdir(t *testing.T, path string) string {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs httpipe with these arguments in this process, as main does.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	return cli.Program{Version: "v1.2.3", Stdout: io.Discard, Stderr: stderr, Serve: Run}.Run(ctx, args)
}

func TestRunUntilContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-p", "0", "--host", "127.0.0.1", "--log-format", "json", "--audit-db", filepath.Join(t.TempDir(), "a.db")}, w)
		w.Close()
	}()
	log := bufio.NewReader(r)
	url, _ := kit.Listening(t, log)
	go io.Copy(io.Discard, log)
	resp, err := http.Get(url + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("healthz: %v %v", resp, err)
	}
	resp.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestRunRefusesToStart(t *testing.T) {
	dir := t.TempDir()
	busy := kit.Start(t, dir)
	_, port, _ := strings.Cut(strings.TrimPrefix(busy.URL, "http://"), ":")
	table := kit.WriteFile(t, filepath.Join(dir, "nodes.txt"), "node n1 http://a\nnode n2 http://b\nslots 1\nslot 0 n1 n2\n")
	backup := filepath.Join(dir, "backup.db")
	if code, output := kit.Run(t, dir, "audit", "backup", backup); code != 0 {
		t.Fatal(output)
	}
	kit.WriteFile(t, mkdir(t, backup+".key.new")+"/file", "") // so that no key can be created
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"a mistyped command", []string{"verison"}, `unknown command "verison"`},
		{"an unknown option", []string{"--prot", "1"}, "-prot"},
		{"a wrong value", []string{"--port", "http"}, `invalid value "http" for --port (command line)`},
		{"a port in use", []string{"--port", port, "--host", "127.0.0.1", "--audit", "off"}, "port " + port + " is in use"},
		{"another machine's address", []string{"--port", "0", "--host", "192.0.2.1", "--audit", "off"}, "this machine does not have the address 192.0.2.1; choose one of its own with --host"},
		{"an unknown host", []string{"--port", "0", "--host", "no-such.invalid", "--audit", "off"}, "cannot find the address of no-such.invalid: "},
		{"a port in use for scrapes", []string{"--port", "0", "--host", "127.0.0.1", "--audit", "off", "--metrics-addr", "127.0.0.1:" + port}, "(--metrics-addr): listen tcp 127.0.0.1:" + port + ": bind: address already in use; choose another"},
		{"a log in use", []string{"--port", "0", "--audit-db", filepath.Join(dir, "httpipe.db")}, "httpipe.db"},
		{"no certificate", []string{"--port", "0", "--audit", "off", "--tls-cert", filepath.Join(dir, "a.pem"), "--tls-key", "a.key"}, "a.pem: no such file"},
		{"no table", []string{"--port", "0", "--audit", "off", "--nodes", table + "x", "--node", "n1"}, "no such file or directory; httpipe nodes table prints one"},
		{"a name that is not in the table", []string{"--port", "0", "--audit", "off", "--nodes", table, "--node", "n3"}, `there is no node "n3" in the table; its nodes are n1, n2`},
		{"no key beside a log to show", []string{"--port", "0", "--audit", "read-only", "--audit-db", backup}, "or set --auth-secret, which replaces the key"},
		{"a log in no directory", []string{"--port", "0", "--audit-db", filepath.Join(dir, "no", "a.db")}, "a.db"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr strings.Builder
			err := run(t.Context(), test.args, &stderr)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %q", err, test.want)
			}
			if strings.Contains(stderr.String(), "listening") {
				t.Errorf("it listened: %s", stderr.String())
			}
		})
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config  cli.Config
		listens string
		port    int
		want    string
	}{
		{cli.Config{}, "::", 3000, "http://localhost:3000"},
		{cli.Config{Host: "0.0.0.0"}, "0.0.0.0", 3000, "http://localhost:3000"},
		{cli.Config{Host: "::"}, "::", 3000, "http://localhost:3000"},
		{cli.Config{Host: "127.0.0.1"}, "127.0.0.1", 3000, "http://127.0.0.1:3000"},
		{cli.Config{Host: "localhost"}, "127.0.0.1", 3000, "http://localhost:3000"},
		{cli.Config{Host: "::1"}, "::1", 3000, "http://[::1]:3000"},
		{cli.Config{Host: "relay.example"}, "192.0.2.1", 3000, "http://relay.example:3000"},
		{cli.Config{TLSCert: "a", TLSKey: "b"}, "::", 3000, "https://localhost:3000"},
		{cli.Config{TLSDomain: "relay.example"}, "::", 3000, "https://relay.example:3000"},
		{cli.Config{TLSDomain: "relay.example", Host: "192.0.2.1"}, "192.0.2.1", 443, "https://relay.example"},
	} {
		if got := baseURL(&test.config, &net.TCPAddr{IP: net.ParseIP(test.listens), Port: test.port}); got != test.want {
			t.Errorf("%+v: %s, want %s", test.config, got, test.want)
		}
	}
}

// The certificates of --tls-domain belong to the server's user with and without a log.
func TestOwnFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config cli.Config
		want   []string
	}{
		{cli.Config{Audit: cli.AuditOff}, nil},
		{cli.Config{Audit: cli.AuditOff, TLSDomain: "relay.example"}, []string{"httpipe.db.tls/"}},
		{cli.Config{Audit: cli.AuditRequired, AuditDB: "/data/a.db", TLSDomain: "relay.example"}, []string{"/data/a.db", "/data/a.db-journal", "/data/a.db.tls/"}},
	} {
		got := ownFiles(&test.config)
		if (len(got) == 0) != (len(test.want) == 0) {
			t.Errorf("%+v: %q, want %q", test.config, got, test.want)
		}
		for _, file := range test.want {
			if !slices.Contains(got, file) {
				t.Errorf("%+v: %q, want %q among them", test.config, got, file)
			}
		}
	}
}
