package cli

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"httpipe/access"
	"httpipe/test/kit"
)

const (
	aSecret       = kit.Secret
	anotherSecret = kit.AnotherSecret
)

// tokenFor runs `httpipe token` with the secret and these arguments.
func tokenFor(t *testing.T, secret string, args ...string) string {
	t.Helper()
	var stdout strings.Builder
	if err := (Program{Stdout: &stdout}).Run(t.Context(), append([]string{"token", "--auth-secret", secret}, args...)); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(stdout.String(), "\n")
}

func TestToken(t *testing.T) {
	noEnvironment(t)
	secrets, err := access.ParseSecrets(aSecret)
	if err != nil {
		t.Fatal(err)
	}
	guard := access.New(secrets, nil)
	for _, test := range []struct {
		args string
		good time.Duration // for how long
		can  string
	}{
		{"--name ci --allow produce --channels jobs/*", 30 * 24 * time.Hour, "produce jobs/a"},
		{"--name ci --allow produce --channels jobs/* --expires 2d", 48 * time.Hour, "produce jobs/a"},
		{"--name ci --allow produce --channels jobs/* --expires 12h", 12 * time.Hour, "produce jobs/a"},
		{"--name ci --allow produce --channels jobs/* --expires none", 90 * 365 * 24 * time.Hour, "produce jobs/a"},
		{"--name ci --allow look,consume --channels a/b --channels jobs/*", time.Hour, "look jobs/a consume jobs/a consume a/b"},
		{"--name ci --allow look --allow consume --channels jobs/*", time.Hour, "look jobs/a consume jobs/a"},
		{"--auth-secret " + aSecret + "," + anotherSecret + " --name ci --allow audit --channels */*", time.Hour, "audit x/y"},
	} {
		token := tokenFor(t, aSecret, strings.Fields(test.args)...)
		b, err := guard.Authenticate(token, time.Now().Add(test.good-time.Minute))
		if err != nil || b.Name != "ci" {
			t.Errorf("%s: %v, %v", test.args, b, err)
			continue
		}
		for can := strings.Fields(test.can); len(can) > 0; can = can[2:] {
			namespace, channel, _ := strings.Cut(can[1], "/")
			if !b.May(access.Permission(can[0]), namespace, channel) {
				t.Errorf("%s: not for %s on %s", test.args, can[0], can[1])
			}
		}
		if b.May(access.Delete, "jobs", "a") || b.May(access.Produce, "x", "y") {
			t.Errorf("%s: for more than that", test.args)
		}
		if _, err := guard.Authenticate(token, time.Now().Add(test.good+time.Minute)); test.good >= 12*time.Hour && err != access.Expired && !strings.Contains(test.args, "none") {
			t.Errorf("%s: afterwards the token is %v", test.args, err)
		}
	}
}

func TestTokenErrors(t *testing.T) {
	noEnvironment(t)
	const rest = " --name ci --allow produce --channels jobs/*"
	for args, want := range map[string]string{
		rest:                         "--auth-secret is missing",
		"--auth-secret short" + rest: "invalid value for --auth-secret (command line): a secret must have 32",
		"--auth-secret " + aSecret + " --allow produce --channels a/b":                        "--name is missing",
		"--auth-secret " + aSecret + " --name ci --channels a/b":                              "--allow is missing",
		"--auth-secret " + aSecret + " --name ci --allow produce":                             "--channels is missing",
		"--auth-secret " + aSecret + " --name secret --allow produce --channels a/b":          `cannot be named "secret"`,
		"--auth-secret " + aSecret + " --name ci --allow write --channels a/b":                `"write" is not a permission`,
		"--auth-secret " + aSecret + " --name ci --allow , --channels a/b":                    "want permissions",
		"--auth-secret " + aSecret + " --name ci --allow produce --channels a/b,c/d":          "separate several with spaces",
		"--auth-secret " + aSecret + rest + " --expires 30":                                   "want a time with its unit",
		"--auth-secret " + aSecret + rest + " --expires 0":                                    "must be more than 0; for a token that never expires, write none",
		"--auth-secret " + aSecret + rest + " --expires 0s":                                   "must be more than 0",
		"--auth-secret " + aSecret + rest + " --expires 0d":                                   "must be more than 0",
		"--auth-secret " + aSecret + rest + " --expires off":                                  "want seconds",
		"--auth-secret " + aSecret + rest + " --expires tomorrow":                             `invalid value "tomorrow" for --expires`,
		"--auth-secret " + aSecret + rest + " more":                                           `unexpected argument "more"`,
		"--auth-secret " + aSecret + rest + " --channels " + strings.Repeat("xy", 120) + "/*": "",
	} {
		stdout, err := runWith(t, "token "+args)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want) || stdout != ""):
			t.Errorf("httpipe token %s: %v, printed %q, want %q", args, err, stdout, want)
		case err != nil && (strings.Contains(err.Error(), aSecret) || strings.Contains(err.Error(), "\n")):
			t.Errorf("httpipe token %s: %v", args, err)
		}
	}
}

// TestNoSecretStatus: only a secret that no source sets gives the exit status 3, which lets the systemd unit make one.
func TestNoSecretStatus(t *testing.T) {
	noEnvironment(t)
	const args = "token --name ci --allow look --channels a/a"
	for _, test := range []struct {
		file string
		want int
	}{
		{"", 3},
		{"max-body 1MB", 3},
		{"auth-secret " + aSecret, 0},
		{"auth-secret " + aSecret + "\nmax-boddy 1MB", 1},
		{"max-boddy 1MB", 1},
		{"auth-secret", 1},
		{"auth-secret short", 1},
	} {
		if _, err := runWith(t, args+" --config "+writeFile(t, test.file)); ExitCode(err) != test.want {
			t.Errorf("with the config file %q: exit %d, %v; want %d", test.file, ExitCode(err), err, test.want)
		}
	}
	t.Setenv("HTTPIPE_AUTH_SECRET", "")
	if _, err := runWith(t, args); ExitCode(err) != 1 {
		t.Errorf("with an empty variable: exit %d, %v; want 1", ExitCode(err), err)
	}
}

// The secret and the grants of all clients have the sources of all options, and a list comes from one source.
func TestAccessOptions(t *testing.T) {
	type env = map[string]string
	for _, test := range []struct {
		name      string
		env       env
		file      string
		args      string
		anonymous string
	}{
		{"flags", nil, "", "--anonymous produce:a/* --anonymous look:b/*", "produce:a/* look:b/*"},
		{"lines", nil, "anonymous produce:a/*\nport 1\nanonymous look:b/* audit:c/*", "-p 3000", "produce:a/* look:b/* audit:c/*"},
		{"variable", env{"HTTPIPE_ANONYMOUS": "produce:a/* look:b/*"}, "", "", "produce:a/* look:b/*"},
		{"flags over all", env{"HTTPIPE_ANONYMOUS": "produce:a/*"}, "anonymous produce:b/*", "--anonymous produce:c/* --anonymous look:c/*", "produce:c/* look:c/*"},
		{"variable over file", env{"HTTPIPE_ANONYMOUS": "produce:a/*"}, "anonymous produce:b/*\nanonymous look:b/*", "", "produce:a/*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := defaults()
			want.Anonymous, want.AuthSecret = grantsOf(test.anonymous), secretsOf(aSecret)
			got, err := parseWith(t, test.env, test.file, append(strings.Fields(test.args), "--auth-secret="+aSecret))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

// A secret that cannot be used is not shown, wherever it came from.
func TestWrongSecretIsNotShown(t *testing.T) {
	const wrong = "hunter2-hunter2"
	for name, test := range map[string]struct {
		env  map[string]string
		file string
		args []string
	}{
		"flag":     {args: []string{"--auth-secret", wrong}},
		"two":      {args: []string{"--auth-secret=" + aSecret + "," + wrong}},
		"variable": {env: map[string]string{"HTTPIPE_AUTH_SECRET": wrong}},
		"file":     {file: "auth-secret " + wrong},
		"odd file": {file: "auth-secret=" + aSecret + wrong},
		"odd name": {file: "AUTH-SECRET: " + wrong},
		"colon":    {file: "auth-secret:" + wrong},
		"quotes":   {file: "auth-secret '" + aSecret + wrong + "'"},
		"equals":   {file: "auth-secret = " + aSecret + wrong},
		"odd flag": {args: []string{"--auth-secrets=" + wrong}},
	} {
		_, err := parseWith(t, test.env, test.file, test.args)
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), aSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// secretsOf and grantsOf return what a text that is known to be right stands for.
func secretsOf(text string) access.Secrets {
	secrets, err := access.ParseSecrets(text)
	if err != nil {
		panic(err)
	}
	return secrets
}

func grantsOf(text string) []access.Grant {
	grants, err := access.ParseGrants(text)
	if err != nil {
		panic(err)
	}
	return grants
}
