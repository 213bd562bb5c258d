package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"httpipe/test/kit"
)

func TestMain(m *testing.M) { os.Exit(kit.Main(m)) }

func TestRunUntilContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-p", "0", "--host", "127.0.0.1", "--log-format", "json", "--audit-db", filepath.Join(t.TempDir(), "a.db")}, io.Discard, w)
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
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"a mistyped command", []string{"verison"}, `unknown command "verison"`},
		{"an unknown option", []string{"--prot", "1"}, "-prot"},
		{"a wrong value", []string{"--port", "http"}, `invalid value "http" for --port (command line)`},
		{"what needs no token, where nothing does", []string{"--port", "0", "--audit", "off", "--anonymous", "produce:a/*"}, "--anonymous has no effect without --auth-secret"},
		{"a port in use", []string{"--port", port, "--host", "127.0.0.1", "--audit", "off"}, "port " + port + " is in use"},
		{"a log in use", []string{"--port", "0", "--audit-db", filepath.Join(dir, "httpipe.db")}, "httpipe.db"},
		{"a certificate without its key", []string{"--port", "0", "--audit", "off", "--tls-cert", "a.pem"}, "--tls-cert and --tls-key must be set together"},
		{"two certificates", []string{"--port", "0", "--audit", "off", "--tls-cert", "a.pem", "--tls-domain", "relay.example"}, "--tls-domain gets a certificate"},
		{"no certificate", []string{"--port", "0", "--audit", "off", "--tls-cert", filepath.Join(dir, "a.pem"), "--tls-key", "a.key"}, "a.pem: no such file"},
		{"a table without a name", []string{"--port", "0", "--audit", "off", "--nodes", table}, "--nodes and --node must be set together"},
		{"a name without a table", []string{"--port", "0", "--audit", "off", "--node", "n1"}, "--nodes and --node must be set together"},
		{"no table", []string{"--port", "0", "--audit", "off", "--nodes", table + "x", "--node", "n1"}, "no such file or directory; httpipe nodes table prints one"},
		{"a name that is not in the table", []string{"--port", "0", "--audit", "off", "--nodes", table, "--node", "n3"}, `there is no node "n3" in the table; its nodes are n1, n2`},
		{"a log in no directory", []string{"--port", "0", "--audit-db", filepath.Join(dir, "no", "a.db")}, "a.db"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr strings.Builder
			err := run(t.Context(), test.args, io.Discard, &stderr)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %q", err, test.want)
			}
			if strings.Contains(stderr.String(), "listening") {
				t.Errorf("it listened: %s", stderr.String())
			}
		})
	}
}

// TestImports keeps the direction of the packages' dependencies, also of those that test the program from outside.
func TestImports(t *testing.T) {
	const sqlite, uuid, unix, kit = "github.com/mattn/go-sqlite3", "github.com/google/uuid", "golang.org/x/sys/unix", "httpipe/test/kit"
	for dir, allowed := range map[string][]string{
		"./access":     {"github.com/golang-jwt/jwt/v5", "github.com/hashicorp/golang-lru/v2"},
		"./certs":      {"golang.org/x/crypto/acme", "golang.org/x/crypto/acme/autocert"},
		"./pipe":       {},
		"./migrations": {},
		"./store":      {"httpipe/migrations", sqlite, unix},
		"./metrics":    {"httpipe/pipe", "httpipe/store", "github.com/prometheus/client_golang/prometheus", "github.com/prometheus/client_golang/prometheus/collectors", "github.com/prometheus/client_golang/prometheus/promhttp"},
		"./audit":      {"httpipe/pipe", "httpipe/reply", "httpipe/store"},
		"./reply":      {"httpipe/pipe"},
		"./relay":      {"httpipe/pipe", "httpipe/relay/http1", "httpipe/reply", unix},
		"./web":        {"github.com/boombuler/barcode/qr"},
		"./nodes":      {},
		"./httpapi":    {"httpipe/access", "httpipe/audit", "httpipe/metrics", "httpipe/nodes", "httpipe/pipe", "httpipe/relay", "httpipe/reply", "httpipe/store", "httpipe/web", uuid, "github.com/gorilla/handlers", "github.com/hashicorp/golang-lru/v2/simplelru", "golang.org/x/time/rate"},

		"./relay/http1": {},

		"./process": {"github.com/KimMachineGun/automemlimit/memlimit", unix},
		"./client":  {"httpipe/reply"},
		"./cli":     {"httpipe/access", "httpipe/audit", "httpipe/client", "httpipe/nodes", "httpipe/pipe", "httpipe/process", "httpipe/store", "github.com/dustin/go-humanize", "github.com/dustin/go-humanize/english", "github.com/peterbourgon/ff/v3", "github.com/peterbourgon/ff/v3/ffcli", "github.com/schollz/progressbar/v3", "golang.org/x/term"},

		"./test/kit":      {sqlite, unix},
		"./test/rawhttp":  {"httpipe/pipe", "httpipe/reply"},
		"./test/e2e":      {kit, unix, "httpipe/process"},
		"./test/tls":      {kit, "httpipe/test/rawhttp"},
		"./test/docs":     {kit, "httpipe/access"},
		"./test/packages": {kit},
		"./test/nodes":    {kit, "httpipe/nodes", "httpipe/pipe"},
		"./test/proxies":  {kit},
		"./test/browser":  {kit, "github.com/chromedp/"},
		"./test/deploy":   {kit, "httpipe/access", "github.com/BurntSushi/toml", "github.com/dustin/go-humanize", "httpipe/cli", "httpipe/process"},
		"./test/crash":    {kit, "httpipe/store"},
		"./test/soak":     {kit, sqlite, unix},
		"./test/bench":    {"httpipe/pipe", "httpipe/store", sqlite, uuid, unix},
	} {
		format := `{{join .Imports "\n"}}`
		if strings.HasPrefix(dir, "./test/") {
			format += `{{"\n"}}{{join .TestImports "\n"}}`
		}
		out, err := exec.Command("go", "list", "-f", format, dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range strings.Fields(string(out)) {
			standard := !strings.Contains(strings.Split(imported, "/")[0], ".") && !strings.HasPrefix(imported, "httpipe/")
			if (dir == "./pipe" || dir == "./relay/http1") && imported != "net/url" && // which knows no network
				(strings.HasPrefix(imported, "net") || strings.HasPrefix(imported, "database")) {
				t.Errorf("%s imports %s", dir, imported)
			}
			known := slices.ContainsFunc(allowed, func(a string) bool {
				return imported == a || strings.HasSuffix(a, "/") && strings.HasPrefix(imported, a)
			})
			if !standard && !known {
				t.Errorf("%s imports %s, which it should not know", dir, imported)
			}
		}
	}
}
