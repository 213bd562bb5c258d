package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// flyKeys are the keys of a fly.toml that flyctl knows, of the sections that ours may have: those of its
// internal/appconfig/config.go (commit 0001e896) and service.go (c08be17e), and of superfly/fly-go's
// machine_types.go (005ce19b). What flyctl does not know, it ignores in silence.
var flyKeys = map[string]string{
	"":      "app primary_region kill_signal kill_timeout swap_size_mb console_command host_dedication_id machine_config container",
	"build": "builder args buildpacks image settings builtin dockerfile ignorefile build-target",
	"deploy": "strategy max_unavailable wait_timeout release_command release_command_timeout release_command_vm " +
		"seed_command",
	"mounts": "source destination initial_size snapshot_retention auto_extend_size_threshold " +
		"auto_extend_size_increment auto_extend_size_limit processes",
	"http_service": "internal_port force_https auto_stop_machines auto_start_machines min_machines_running processes " +
		"concurrency tls_options http_options checks machine_checks",
	"http_service.concurrency":  "type soft_limit hard_limit",
	"http_service.http_options": "compress response h2_backend idle_timeout headers_read_timeout replay_cache",
	"http_service.checks": "interval timeout grace_period method path protocol tls_skip_verify tls_server_name " +
		"headers",
	"restart": "policy retries processes",
	"vm":      "size memory cpu_kind cpus memory_mb gpus gpu_kind host_dedication_id persist_rootfs kernel_args processes",
	"metrics": "port path https processes",
}

func TestFlyKeys(t *testing.T) {
	fly, meta := ReadFly(t)
	_, help := kit.Run(t, t.TempDir(), "-h")
	for _, key := range meta.Keys() {
		section, name := strings.Join(key[:len(key)-1], "."), key[len(key)-1]
		_, isSection := flyKeys[key.String()]
		switch {
		case section == "env":
			option := regexp.MustCompile(`\b` + name + `\b`).MatchString(help)
			if !option && name != "GOMEMLIMIT" {
				t.Errorf("[env] has %s, which is no option", name)
			}
		case key.String() == "env", isSection:
		case !slices.Contains(strings.Fields(flyKeys[section]), name):
			t.Errorf("flyctl does not know %s", key)
		}
	}
	if fly.KillSignal != "SIGTERM" || fly.Deploy.Strategy != "rolling" || fly.HTTPService.AutoStop != "off" {
		t.Errorf("it is stopped by %s, deployed by %s, stopped when idle %s", fly.KillSignal, fly.Deploy.Strategy, fly.HTTPService.AutoStop)
	}
}

// A fakeFly stands for Fly.io: programs fly and curl, and a running relay.
type fakeFly struct {
	*kit.Server
	tools string // where the programs are
	state string // what exists on it
}

// startFly starts a Fly on which nothing exists yet. The relay runs already, in the environment that it
// would have there, and curl reaches it at https://my-relay.fly.dev as Fly's proxy would.
func startFly(t *testing.T) fakeFly {
	t.Helper()
	FlyEnvironment(t)
	t.Setenv("HTTPIPE_DROP_TO", "") // this relay runs as the user of the tests
	t.Setenv("HTTPIPE_METRICS_ADDR", "")
	t.Setenv("HTTPIPE_AUTH_SECRET", kit.Secret)
	program := kit.Binary(t)
	p := kit.Start(t, t.TempDir(), "--audit-db", "httpipe.db")
	f := fakeFly{p, t.TempDir(), t.TempDir()}
	real, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal(err)
	}
	script(t, filepath.Join(f.tools, "curl"), fmt.Sprintf(`
		for arg; do
			shift
			case $arg in
			https://my-relay.fly.dev*) set -- "$@" "%s${arg#https://my-relay.fly.dev}" ;;
			*) set -- "$@" "$arg" ;;
			esac
		done
		exec %s -H 'X-Forwarded-Proto: https' -H 'Fly-Client-IP: 192.0.2.7' "$@"`, p.URL, real))
	script(t, filepath.Join(f.tools, "fly"), fmt.Sprintf(`
		cd %s
		echo "$*" >>calls
		case "$1 $2" in
		"auth whoami") cat user ;;
		"auth login") echo me@example.com >user ;;
		"status -a") [ -e "app $3" ] ;;
		"apps create") touch "app $3" ;;
		"volumes list") cat volumes 2>/dev/null || echo '[]' ;;
		"volumes create") printf '[\n    {\n        "name": "%%s",\n        "size_gb": 1\n    }\n]\n' "$3" >volumes ;;
		"secrets list") [ ! -e deaf ] && { cat secrets 2>/dev/null || true; } ;;
		"secrets import") grep -E '^HTTPIPE_AUTH_SECRET=[0-9a-f]{64}$' | cut -d= -f1 >secrets && [ -s secrets ] ;;
		"deploy -a") [ ! -e broken ] ;;
		"ssh console")
			for last; do :; done
			httpipe() { %s "$@"; }
			eval "$(echo "$last" | sed 's|/data|%s|')" ;;
		*) echo "Error: unknown command $*" >&2; exit 1 ;;
		esac`, f.state, program, p.Dir))
	return f
}

// deploy runs scripts/deploy, and returns the calls of fly that it made, repeated ones once.
func (f fakeFly) deploy(t *testing.T) (calls []string, err error) {
	t.Helper()
	os.Remove(filepath.Join(f.state, "calls"))
	cmd := exec.Command("scripts/deploy", "my-relay")
	cmd.Env = append(os.Environ(), "PATH="+f.tools+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	text, _ := os.ReadFile(filepath.Join(f.state, "calls"))
	// scripts/smoke looks again for a row that is not there yet.
	return slices.Compact(strings.Split(strings.TrimSpace(string(text)), "\n")), err
}

// matches reports whether each call is as its pattern wants.
func matches(calls, want []string) bool {
	return slices.EqualFunc(calls, want, func(call, want string) bool {
		return regexp.MustCompile("^" + want + "$").MatchString(call)
	})
}

func TestDeploy(t *testing.T) {
	f := startFly(t)
	const deploy = `deploy -a my-relay --ha=false --build-arg VERSION=\S+`
	look := []string{
		`ssh console -q -a my-relay -C httpipe token --name smoke .*`,
		`ssh console -q -a my-relay -C sqlite3 .*`, `ssh console -q -a my-relay -C sqlite3 .*`,
	}

	first := append([]string{
		"auth whoami", "auth login",
		"status -a my-relay", "apps create my-relay",
		"volumes list -a my-relay --json",
		"volumes create httpipe_data -a my-relay --yes --region fra --size 1 --snapshot-retention 14",
		"secrets list -a my-relay", "secrets import -a my-relay --stage",
		deploy}, look...)
	if calls, err := f.deploy(t); err != nil || !matches(calls, first) {
		t.Fatalf("the first time: %v\n%s", err, strings.Join(calls, "\n"))
	}
	again := append([]string{"auth whoami", "status -a my-relay", "volumes list -a my-relay --json", "secrets list -a my-relay", deploy}, look...)
	if calls, err := f.deploy(t); err != nil || !matches(calls, again) {
		t.Errorf("the second time: %v\n%s", err, strings.Join(calls, "\n"))
	}
	if got := f.SQLite(t, "select distinct producer_addr, producer_subject from exchanges"); got != "192.0.2.7|smoke" {
		t.Errorf("the clients are %s on record", got)
	}

	deaf := kit.WriteFile(t, filepath.Join(f.state, "deaf"), "")
	if calls, err := f.deploy(t); err == nil || !matches(calls, again[:4]) {
		t.Errorf("when the secrets cannot be listed: %v\n%s", err, strings.Join(calls, "\n"))
	}
	os.Remove(deaf)

	kit.WriteFile(t, filepath.Join(f.state, "broken"), "")
	if calls, err := f.deploy(t); err == nil || !matches(calls, again[:5]) {
		t.Errorf("when a deploy fails: %v\n%s", err, strings.Join(calls, "\n"))
	}
}

// TestDeployNothing: without a name, or without flyctl, it says so.
func TestDeployNothing(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "usage: scripts/deploy APP\n"},
		{[]string{"my-relay"}, "scripts/deploy: fly is missing; https://fly.io/docs/flyctl/install says how to get it\n"},
	} {
		cmd := exec.Command("scripts/deploy", test.args...)
		cmd.Env = append(os.Environ(), "PATH=/usr/bin:/bin")
		if _, err := exec.LookPath("/usr/bin/fly"); err == nil {
			t.Skip("flyctl is in a directory of system programs")
		}
		if out, err := cmd.CombinedOutput(); err == nil || string(out) != test.want {
			t.Errorf("%v: %v, %q", test.args, err, out)
		}
	}
}
