package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/process"
)

// parseConfig returns what the relay is started with.
func parseConfig(args []string) (got Config, err error) {
	p := Program{Stdout: io.Discard, Stderr: io.Discard, Serve: func(_ context.Context, _ string, c *Config, _, _ io.Writer) error {
		got = *c
		return nil
	}}
	err = p.Run(context.Background(), args)
	return got, err
}

// runWith runs a command, and returns what it prints on both outputs.
func runWith(t *testing.T, args string) (output string, err error) {
	t.Helper()
	var b strings.Builder
	p := Program{Version: "v1.2.3", Stdout: &b, Stderr: &b, Serve: func(context.Context, string, *Config, io.Writer, io.Writer) error { return nil }}
	err = p.Run(t.Context(), strings.Fields(args))
	return b.String(), err
}

// defaults returns what parseConfig returns without flags, variables and file.
func defaults() Config {
	return Config{
		Port:         3000,
		CORSOrigins:  []string{"*"},
		ACMEURL:      "https://acme-v02.api.letsencrypt.org/directory",
		ACMEAddr:     ":80",
		ReadAhead:    64 << 10,
		StallTimeout: time.Minute, ReplyTimeout: time.Minute, MaxMessage: 1 << 20, MaxMessageMemory: 64 << 20, MessageTimeout: 10 * time.Second,
		DrainTimeout: 30 * time.Second,

		MaxWaitingPerChannel: 1000,
		MaxHeader:            32 << 10,
		HeaderTimeout:        10 * time.Second,

		AuditDB:   "httpipe.db",
		Audit:     AuditRequired,
		LogFormat: "text",
		LogLevel:  slog.LevelInfo,
	}
}

// noEnvironment unsets every variable that an option is read from, so that the
// ones of the machine do not disturb.
func noEnvironment(t *testing.T) {
	t.Helper()
	for _, o := range options(&Config{}) {
		for _, name := range o.variables() {
			t.Setenv(name, "") // so that the test's end restores it
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// writeFile writes a config file and returns its path.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "httpipe.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// parseWith runs parseConfig with these variables and, unless it is empty, this config file.
func parseWith(t *testing.T, env map[string]string, file string, args []string) (Config, error) {
	t.Helper()
	noEnvironment(t)
	for name, value := range env {
		t.Setenv(name, value)
	}
	if file != "" {
		args = append([]string{"--config", writeFile(t, file)}, args...)
	}
	c, err := parseConfig(args)
	c.ConfigFile = "" // a temporary name
	return c, err
}

// One text for each option that is not its default, and what it makes of the defaults.
var examples = map[string]struct {
	text string
	want func(*Config)
}{
	"port":                    {"8080", func(c *Config) { c.Port = 8080 }},
	"host":                    {"127.0.0.1", func(c *Config) { c.Host = "127.0.0.1" }},
	"require-https":           {"true", func(c *Config) { c.RequireHTTPS = true }},
	"drop-to":                 {"65532:65533", func(c *Config) { c.DropTo = process.Account{Given: "65532:65533", UID: 65532, GID: 65533} }},
	"cors-origin":             {"https://a.example", func(c *Config) { c.CORSOrigins = []string{"https://a.example"} }},
	"metrics-addr":            {"127.0.0.1:9091", func(c *Config) { c.MetricsAddr = "127.0.0.1:9091" }},
	"tls-cert":                {"relay.pem", func(c *Config) { c.TLSCert = "relay.pem" }},
	"tls-key":                 {"relay.key", func(c *Config) { c.TLSKey = "relay.key" }},
	"tls-domain":              {"relay.example.com", func(c *Config) { c.TLSDomain = "relay.example.com" }},
	"acme-url":                {"https://ca.example/dir", func(c *Config) { c.ACMEURL = "https://ca.example/dir" }},
	"acme-addr":               {"127.0.0.1:5002", func(c *Config) { c.ACMEAddr = "127.0.0.1:5002" }},
	"nodes":                   {"nodes.txt", func(c *Config) { c.Nodes = "nodes.txt" }},
	"node":                    {"n1", func(c *Config) { c.Node = "n1" }},
	"request-timeout":         {"2.5", func(c *Config) { c.RequestTimeout = 2500 * time.Millisecond }},
	"read-ahead":              {"1MiB", func(c *Config) { c.ReadAhead = 1 << 20 }},
	"max-body":                {"10MB", func(c *Config) { c.MaxBody = 10_000_000 }},
	"stall-timeout":           {"off", func(c *Config) { c.StallTimeout = 0 }},
	"silence-timeout":         {"5m", func(c *Config) { c.SilenceTimeout = 5 * time.Minute }},
	"max-message":             {"2MiB", func(c *Config) { c.MaxMessage = 2 << 20 }},
	"max-message-memory":      {"1GiB", func(c *Config) { c.MaxMessageMemory = 1 << 30 }},
	"message-timeout":         {"3s", func(c *Config) { c.MessageTimeout = 3 * time.Second }},
	"reply-timeout":           {"5m", func(c *Config) { c.ReplyTimeout = 5 * time.Minute }},
	"drain-timeout":           {"0", func(c *Config) { c.DrainTimeout = 0 }},
	"auth-secret":             {aSecret, func(c *Config) { c.AuthSecret = secretsOf(aSecret) }},
	"anonymous":               {"produce:hooks/* look:a/b", func(c *Config) { c.Anonymous = grantsOf("produce:hooks/* look:a/b") }},
	"max-waiting":             {"50", func(c *Config) { c.MaxWaiting = 50 }},
	"max-waiting-per-channel": {"off", func(c *Config) { c.MaxWaitingPerChannel = 0 }},
	"max-waiting-per-client":  {"3", func(c *Config) { c.MaxWaitingPerClient = 3 }},
	"rate-per-client":         {"60", func(c *Config) { c.RatePerClient = 60 }},
	"client-ip-header":        {"Fly-Client-IP", func(c *Config) { c.ClientIPHeader = "Fly-Client-IP" }},
	"max-header":              {"64KiB", func(c *Config) { c.MaxHeader = 64 << 10 }},
	"header-timeout":          {"3s", func(c *Config) { c.HeaderTimeout = 3 * time.Second }},
	"audit-db":                {"my books.db", func(c *Config) { c.AuditDB = "my books.db" }},
	"audit":                   {"best-effort", func(c *Config) { c.Audit = AuditBestEffort }},
	"audit-retention":         {"90d", func(c *Config) { c.AuditRetention = 90 * 24 * time.Hour }},
	"log-format":              {"json", func(c *Config) { c.LogFormat = "json" }},
	"log-level":               {"debug", func(c *Config) { c.LogLevel = slog.LevelDebug }},
}

// companions are the options without which another one has no effect.
var companions = map[string]string{"tls-cert": "tls-key", "tls-key": "tls-cert", "nodes": "node", "node": "nodes", "anonymous": "auth-secret"}

func TestEveryOptionFromEverySource(t *testing.T) {
	for _, o := range options(&Config{}) {
		if o.name == "config" {
			continue // TestConfigFile
		}
		example, ok := examples[o.name]
		if !ok {
			t.Errorf("no example for --%s", o.name)
			continue
		}
		want := defaults()
		example.want(&want)
		var with []string
		if other, ok := companions[o.name]; ok {
			examples[other].want(&want)
			with = []string{"--" + other + "=" + examples[other].text}
		}
		check := func(source string, env map[string]string, file string, args ...string) {
			args = append(args, with...)
			t.Run(o.name+" from "+source, func(t *testing.T) {
				got, err := parseWith(t, env, file, args)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
				}
			})
		}
		check("flag", nil, "", "--"+o.name+"="+example.text)
		if o.arg == "" {
			check("flag alone", nil, "", "--"+o.name)
		} else {
			check("flag and value", nil, "", "--"+o.name, example.text)
		}
		check("file", nil, o.name+" "+example.text+"\n")
		for _, name := range o.variables() {
			check(name, map[string]string{name: example.text}, "")
		}
		if o.short != "" {
			check("short flag", nil, "", "-"+o.short, example.text)
			check("short line", nil, o.short+" "+example.text+"\n")
		}
	}
}

func TestPrecedence(t *testing.T) {
	type env = map[string]string
	for _, tt := range []struct {
		name string
		env  env
		file string
		args string
		port int
	}{
		{"nothing", nil, "", "", 3000},
		{"flag over all", env{"HTTPIPE_PORT": "2", "PORT": "3"}, "port 4", "--port 1", 1},
		{"short flag over all", env{"HTTPIPE_PORT": "2", "PORT": "3"}, "port 4", "-p 1", 1},
		{"short flag over plain variable", env{"PORT": "9000"}, "", "-p 1", 1},
		{"short flag over file", nil, "port 4", "-p 1", 1},
		{"flag over short line", nil, "p 4", "--port 1", 1},
		{"last flag, short", nil, "", "--port 1 -p 2", 2},
		{"last flag, long", nil, "", "-p 2 --port 1", 1},
		{"own variable over plain and file", env{"HTTPIPE_PORT": "2", "PORT": "3"}, "port 4", "", 2},
		{"plain variable over file", env{"PORT": "3"}, "p 4", "", 3},
		{"file over default", nil, "port 4", "", 4},
		{"default typed as a flag", env{"PORT": "3"}, "port 4", "-p 3000", 3000},

		{"empty own variable", env{"HTTPIPE_PORT": "", "PORT": "3"}, "port 4", "", 3},
		{"empty variables", env{"HTTPIPE_PORT": "", "PORT": ""}, "port 4", "", 4},
		{"variables of short names", env{"P": "5", "R": "abc", "T": "abc", "HTTPIPE_P": "6"}, "", "", 3000},
		{"plain variables of others", env{"HOST": "h/h", "AUDIT": "x", "CONFIG": "/nope"}, "", "", 3000},
		{"unknown variable", env{"HTTPIPE_PROT": "6", "HTTPIPE_PORT_3000_TCP": "tcp://x"}, "", "", 3000},
		{"Kubernetes, default", env{"HTTPIPE_PORT": "tcp://10.0.0.1:3000"}, "", "", 3000},
		{"Kubernetes, file", env{"HTTPIPE_PORT": "tcp://10.0.0.1:3000"}, "port 4", "", 4},
		{"Kubernetes, plain", env{"HTTPIPE_PORT": "tcp://10.0.0.1:3000", "PORT": "3"}, "port 4", "", 3},

		{"garbage under a flag", env{"HTTPIPE_PORT": "x", "PORT": "y"}, "port z", "-p 1", 1},
		{"garbage under a variable", env{"HTTPIPE_PORT": "2", "PORT": "y"}, "port z", "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := defaults()
			want.Port = tt.port
			got, err := parseWith(t, tt.env, tt.file, strings.Fields(tt.args))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestConfigErrors(t *testing.T) {
	type env = map[string]string
	for _, tt := range []struct {
		name string
		env  env
		file string
		args []string
		want string // a part of the error, words separated by …
	}{
		{"unknown flag", nil, "", []string{"--prot", "1"}, "unknown option --prot (did you mean --port?)…"},
		{"flag without a value", nil, "", []string{"--host", "::1", "--port"}, "--port needs a value"},
		{"short flag without a value", nil, "", []string{"-p"}, "-p needs a value"},
		{"stray argument", nil, "", []string{"-p", "1", "serve"}, `unexpected argument "serve": a command comes before its options; see httpipe serve -h`},
		{"wrong flag", nil, "", []string{"--port=x"}, `invalid value "x" for --port (command line): want a number`},
		{"wrong short flag", nil, "", []string{"-r", "-1"}, `invalid value "-1" for --request-timeout (command line)`},
		{"wrong flag over good sources", env{"PORT": "1"}, "port 2", []string{"-p", "x"}, "(command line)"},
		{"wrong own variable", env{"HTTPIPE_PORT": "x", "PORT": "1"}, "", nil, `"x" for --port (variable HTTPIPE_PORT)`},
		{"wrong plain variable", env{"PORT": "tcp://x"}, "", nil, `"tcp://x" for --port (variable PORT)`},
		{"wrong line", nil, "# mine\n\nport x", nil, `"x" for --port (file …httpipe.conf, line 3): want`},
		{"wrong short line", nil, "p x", nil, `"x" for --port (file …httpipe.conf, line 1): want`},
		{"unknown line", nil, "port 1\nprot 2\n", nil, `unknown option "prot" (file …httpipe.conf, line 2) (did you mean port?)`},
		{"variable's name as a line", nil, "HTTPIPE_AUTH_SECRET 1", nil, `unknown option "HTTPIPE_AUTH_SECRET" (file …, line 1) (did you mean auth-secret?)`},
		{"capitals", nil, "AUTH-SECRET 1", nil, `unknown option "AUTH-SECRET" (file …, line 1) (did you mean auth-secret?)`},
		{"mark and line", nil, "\ufeffprot 1", nil, `unknown option "prot" (file`},
		{"line with :", nil, "port: 42020", nil, `line 1: write a space, not ":", between an option and its value: "port VALUE"`},
		{"line with space and =", nil, "auth-secret = " + aSecret, nil, `line 1: write a space, not "=", between an option and its value: "auth-secret VALUE"`},
		{"double quotes", nil, `auth-secret "` + aSecret + `"`, nil, `httpipe.conf, line 1: write the value of auth-secret without quotes`},
		{"single quotes", nil, "\naudit-db 'my # books.db'", nil, `httpipe.conf, line 2: write the value of audit-db without quotes`},
		{"quotes in a variable", env{"HTTPIPE_AUTH_SECRET": `"` + aSecret + `"`}, "", nil, `--auth-secret (variable HTTPIPE_AUTH_SECRET): the secret is in quotes`},
		{"count", nil, "", []string{"--rate-per-client", "-1"}, "want a whole number, 1 or more, or 0 for no limit"},
		{"count without off", nil, "", []string{"--max-waiting", "0"}, "want a whole number, 1 or more, or auto"},
		{"time", nil, "", []string{"--request-timeout", "-1"}, "up to 100 years, or 0 for no limit"},
		{"small size", nil, "", []string{"--read-ahead", "0"}, "want a number of bytes from 1KiB to 16MiB"},
		{"part of a byte", nil, "", []string{"--max-body", "1.5"}, "want a number of bytes, such as 65536, 64KiB or 10MB, or 0 for no limit"},
		{"line without a value", nil, "max-body\nport # any", nil, `"" for --port (file …, line 2): want`},
		{"line with =", nil, "host ::1\nport=42020", nil, `httpipe.conf, line 2: write a space, not "=", between an option and its value: "port VALUE"`},
		{"unknown line with =", nil, "hots=::1", nil, `unknown option "hots" (file …httpipe.conf, line 1) (did you mean host?)`},
		{"line given twice", nil, "port 1\n# and\nport 1", nil, `option "port" is given twice (file …httpipe.conf, lines 1 and 3)`},
		{"short and long line", nil, "port 1\np 1", nil, `option "port" is given twice (file …, lines 1 and 2)`},
		{"config in the file", nil, "config other.conf", nil, "--config cannot…(file …, line 1)"},
		{"endless line", nil, strings.Repeat("x", 1<<17), nil, "file …httpipe.conf: …too long"},
		{"empty flag", nil, "", []string{"--port="}, `invalid value "" for --port (command line)`},
		{"empty audit-db", nil, "", []string{"--audit-db="}, `"" for --audit-db (command line): must not be empty`},
		{"unknown line with a value", nil, "auth-secret=" + aSecret, nil, `httpipe.conf, line 1: write a space, not "=", between an option and its value: "auth-secret VALUE"`},
		{"missing file", nil, "", []string{"--config", "/nope/x"}, "--config (command line): …/nope/x: no such file"},
		{"missing file by variable", env{"HTTPIPE_CONFIG": "/nope/y"}, "", nil, "(variable HTTPIPE_CONFIG): …/nope/y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseWith(t, tt.env, tt.file, tt.args)
			if err == nil {
				t.Fatalf("no error, want %s", tt.want)
			}
			rest := err.Error()
			for part := range strings.SplitSeq(tt.want, "…") {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Fatalf("error %q lacks %q", err, part)
				}
				rest = after
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err)
			}
		})
	}
}

// TestSetButEmpty: an empty text for an option whose default is more open than any value stops the start in every
// source, and nothing of lower precedence hides it. For all other options an empty variable is none.
func TestSetButEmpty(t *testing.T) {
	guarded := []string{"auth-secret", "client-ip-header", "config", "cors-origin", "host", "node", "nodes", "require-https", "tls-cert", "tls-key", "tls-domain"}
	for _, o := range options(&Config{}) {
		if o.guarded != slices.Contains(guarded, o.name) {
			t.Errorf("guarded is %t for --%s", o.guarded, o.name)
		}
		example := examples[o.name].text
		for _, text := range []string{"", " ", "\t\n"} {
			check := func(source string, env map[string]string, file string, args ...string) {
				got, err := parseWith(t, env, file, args)
				switch {
				case o.guarded && (err == nil || !strings.HasPrefix(err.Error(), "--"+o.name+" ("+source) ||
					!strings.Contains(err.Error(), ") is set but empty: probably a variable that is not set (such as $SECRET)") || strings.Contains(err.Error(), "\n")):
					t.Errorf("--%s is %q by %s: %v", o.name, text, source, err)
				case !o.guarded && text == "" && env != nil && (err != nil || !reflect.DeepEqual(got, defaults())):
					t.Errorf("--%s is %q by %s: %+v, %v", o.name, text, source, got, err)
				}
			}
			for _, name := range o.variables() {
				check("variable "+name, map[string]string{name: text}, "")
			}
			if !o.guarded {
				continue
			}
			check("command line", nil, "", "--"+o.name+"="+text)
			if o.name == "config" {
				continue
			}
			check("variable "+o.env(), map[string]string{o.env(): text}, o.name+" "+example+"\n")
			if text != "\t\n" {
				check("file ", nil, o.name+text+"\n")
			}
		}
	}
	if _, err := parseWith(t, map[string]string{"HTTPIPE_AUTH_SECRET": ""}, "", []string{"--auth-secret", aSecret}); err != nil {
		t.Errorf("an empty variable that a flag overrides: %v", err)
	}
	t.Setenv("HTTPIPE_AUTH_SECRET", "")
	if _, err := runWith(t, "token"); err == nil || !strings.HasPrefix(err.Error(), "--auth-secret (variable HTTPIPE_AUTH_SECRET) is set but empty") {
		t.Errorf("httpipe token with an empty secret: %v", err)
	}
}

func TestEmptyAuditDBIfOff(t *testing.T) {
	got, err := parseWith(t, map[string]string{"HTTPIPE_AUDIT": "off"}, "", []string{"--audit-db="})
	if err != nil || got.AuditDB != "" || got.Audit != AuditOff {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A wrong value elsewhere does not keep the help from being printed.
func TestHelpDespiteErrors(t *testing.T) {
	noEnvironment(t)
	t.Setenv("PORT", "garbage")
	for _, args := range []string{"-h", "--help", "-help", "-p x -h"} {
		if output, err := runWith(t, args); err != nil || !strings.Contains(output, "--stall-timeout") {
			t.Errorf("%s: %v, printed %q", args, err, output)
		}
	}
}

// The flag package would print errors and its own help; printing is main's.
func TestParsePrintsNothing(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stderr := os.Stderr
	os.Stderr = out
	defer func() { os.Stderr = stderr }()
	for _, arg := range []string{"-h", "--prot", "--port"} {
		if _, err := parseWith(t, nil, "", []string{arg}); (err == nil) != (arg == "-h") {
			t.Errorf("%s: %v", arg, err)
		}
	}
	printed, err := os.ReadFile(out.Name())
	if err != nil || len(printed) > 0 {
		t.Errorf("printed %q, %v", printed, err)
	}
}
