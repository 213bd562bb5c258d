package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// analyze runs systemd-analyze, and returns what it prints.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed; scripts/test installs it")
	}
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// unit returns the settings of deploy/httpipe.service with that name.
func unit(t *testing.T, name string) []string {
	t.Helper()
	var values []string
	for line := range strings.Lines(deployed(t, "httpipe.service")) {
		if key, value, found := strings.Cut(line, "="); found && key == name {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

func TestUnit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "httpipe.service")
	// systemd looks whether the program is there.
	write(t, path, deployed(t, "httpipe.service", "/usr/local/bin/httpipe", "/bin/true"))
	if out := analyze(t, "verify", path); out != "" {
		t.Errorf("verify: %s", out)
	}
	// 10 is anything goes, and 0 is nothing does.
	analyze(t, "security", "--offline=true", "--threshold=15", path)

	noEnvironment(t)
	for _, line := range unit(t, "Environment") {
		for _, variable := range strings.Fields(line) {
			name, value, _ := strings.Cut(variable, "=")
			t.Setenv(name, value)
		}
	}
	c, err := parseConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.host != "127.0.0.1" || c.clientIPHeader != "X-Real-IP" || !c.requireHTTPS {
		t.Errorf("behind the proxy it listens on %q, for clients of %q, and requires https: %t", c.host, c.clientIPHeader, c.requireHTTPS)
	}
	if state := unit(t, "StateDirectory")[0]; filepath.Dir(c.auditDB) != "/var/lib/"+state {
		t.Errorf("the log is %s, and the directory that it may write is %s", c.auditDB, state)
	}
	stop, err := parseDuration(unit(t, "TimeoutStopSec")[0])
	if err != nil || stop < c.drainTimeout+10*time.Second {
		t.Errorf("it is killed after %v, and drains for %v, %v", stop, c.drainTimeout, err)
	}
	files, err := parseCount(unit(t, "LimitNOFILE")[0])
	if err != nil {
		t.Fatal(err)
	}
	if waiting, err := waitingLimitOf(0, int64(files)); err != nil || waiting != mostWaiting {
		t.Errorf("with %d files %d may wait, %v", files, waiting, err)
	}
}

// TestUnitFilters: the unit's restrictions leave the relay what it needs. It does its job under strace, and
// each system call that it makes is one that the unit lets it make.
func TestUnitFilters(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed; scripts/test installs it")
	}
	allowed := map[string]bool{}
	for _, list := range unit(t, "SystemCallFilter") {
		group, removed := strings.CutPrefix(list, "~")
		for _, call := range systemCalls(t, group) {
			allowed[call] = !removed
		}
	}
	dir := publicDir(t)
	path := publicBinary(t, dir)
	trace := filepath.Join(dir, "trace")
	cmd := exec.Command("strace", slices.Concat([]string{"-D", "-f", "-o", trace, path}, onFreePort)...)
	cmd.Dir = dir
	if os.Geteuid() == 0 { // for whom SQLite would do more
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: ordinaryUser(t, dir)}
	}
	p := startCommand(t, cmd)
	smoke(t, p.url)
	p.stop(t)

	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	calls := regexp.MustCompile(`(?m)^\d+ +(\w+)\((.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(calls) < 1000 {
		t.Fatalf("%d calls in the trace", len(calls))
	}
	families := strings.Fields(unit(t, "RestrictAddressFamilies")[0])
	for _, call := range calls {
		name, args := call[1], call[2]
		switch family, _, _ := strings.Cut(args, ","); {
		case !allowed[name]:
			t.Errorf("the unit forbids %s", call[0])
		case name == "socket" && !slices.Contains(families, family):
			t.Errorf("the unit forbids %s", call[0])
		case (name == "mmap" || name == "mprotect") && strings.Contains(args, "PROT_WRITE|PROT_EXEC"):
			t.Errorf("the unit forbids %s", call[0])
		}
	}
}

// systemCalls returns the calls of one of systemd's groups, @something.
func systemCalls(t *testing.T, group string) []string {
	t.Helper()
	var calls []string
	for line := range strings.Lines(analyze(t, "syscall-filter", group)) {
		switch word := strings.TrimSpace(line); {
		case strings.HasPrefix(word, "#"), word == group:
		case strings.HasPrefix(word, "@"):
			calls = append(calls, systemCalls(t, word)...)
		default:
			calls = append(calls, word)
		}
	}
	return calls
}

// composeTool is what Docker Compose reads its files with.
const composeTool = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"

func TestCompose(t *testing.T) {
	cmd := exec.Command("go", "run", composeTool, "-no-interpolation", "-no-path-resolution", "-format", "json", "compose.yaml")
	cmd.Dir = "deploy"
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	var compose struct {
		Services map[string]struct {
			Build       struct{ Context string }
			Environment map[string]string
			Grace       string `json:"stop_grace_period"`
			Ports       []struct{ Target int }
			Volumes     []struct{ Source, Target string }
		}
	}
	if err := json.Unmarshal(out, &compose); err != nil {
		t.Fatal(err)
	}
	relay, caddy := compose.Services["httpipe"], compose.Services["caddy"]

	imageEnvironment(t)
	for name, value := range relay.Environment {
		t.Setenv(name, value)
	}
	if secret := relay.Environment["HTTPIPE_AUTH_SECRET"]; !strings.HasPrefix(secret, "${HTTPIPE_AUTH_SECRET:?") {
		t.Errorf("Compose starts it with the secret %q also if there is none", secret)
	}
	t.Setenv("HTTPIPE_AUTH_SECRET", aSecret)
	c, err := parseConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.clientIPHeader != "X-Real-IP" || !c.requireHTTPS {
		t.Errorf("behind Caddy its clients are in %q, and it requires https: %t", c.clientIPHeader, c.requireHTTPS)
	}
	if relay.Build.Context != ".." || len(relay.Ports) > 0 {
		t.Errorf("it is built from %s, and reached past Caddy by %v", relay.Build.Context, relay.Ports)
	}
	if len(relay.Volumes) != 1 || relay.Volumes[0].Target != filepath.Dir(c.auditDB) {
		t.Errorf("the log is %s, the volumes are %v", c.auditDB, relay.Volumes)
	}
	for name, service := range compose.Services {
		if grace, err := time.ParseDuration(service.Grace); err != nil || grace < c.drainTimeout+10*time.Second {
			t.Errorf("%s is killed after %v, and the relay drains for %v, %v", name, grace, c.drainTimeout, err)
		}
	}
	if caddy.Environment["HTTPIPE"] != "httpipe:3000" || c.port != 3000 {
		t.Errorf("Caddy goes to %s, and the relay listens on %d", caddy.Environment["HTTPIPE"], c.port)
	}
	for _, volume := range caddy.Volumes {
		if file, isFile := strings.CutPrefix(volume.Source, "./"); isFile {
			deployed(t, file)
		}
	}
	validateCaddy(t, "DOMAIN=relay.example.com", "HTTPIPE="+caddy.Environment["HTTPIPE"])
}

func TestCaddyfile(t *testing.T) {
	validateCaddy(t)
}

// validateCaddy lets Caddy check its file in that environment.
func validateCaddy(t *testing.T, environment ...string) {
	t.Helper()
	if _, err := exec.LookPath("caddy"); err != nil {
		t.Skip("caddy is not installed; scripts/test installs it")
	}
	home := t.TempDir()
	cmd := exec.Command("caddy", "validate", "--adapter", "caddyfile", "--config", "deploy/Caddyfile")
	cmd.Env = append(os.Environ(), append(environment, "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("caddy validate: %v\n%s", err, out)
	}
}
