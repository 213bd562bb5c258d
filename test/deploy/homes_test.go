package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"httpipe/test/kit"
)

// analyze runs systemd-analyze, and returns its output.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	kit.NeedTool(t, "systemd-analyze")
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestUnit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "httpipe.service")
	// systemd looks whether the program is there.
	kit.WriteFile(t, path, kit.Deployed(t, "httpipe.service", "/usr/local/bin/httpipe", "/bin/true"))
	if out := analyze(t, "verify", path); out != "" {
		t.Errorf("verify: %s", out)
	}
	// 10 is anything goes, and 0 is nothing does.
	analyze(t, "security", "--offline=true", "--threshold=15", path)
}

// TestUnitFilters checks that the unit allows each system call that the relay makes while it works, as strace records them.
func TestUnitFilters(t *testing.T) {
	kit.NeedTool(t, "strace")
	allowed := map[string]bool{}
	for _, list := range Unit(t, "SystemCallFilter") {
		group, removed := strings.CutPrefix(list, "~")
		for _, call := range systemCalls(t, group) {
			allowed[call] = !removed
		}
	}
	dir := kit.PublicDir(t)
	path := kit.PublicBinary(t, dir)
	trace := filepath.Join(dir, "trace")
	cmd := exec.Command("strace", slices.Concat([]string{"-D", "-f", "-o", trace, path}, kit.OnFreePort)...)
	cmd.Dir = dir
	if os.Geteuid() == 0 { // as root SQLite makes further system calls
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: ordinaryUser(t, dir)}
	}
	p := kit.StartCommand(t, cmd)
	kit.Smoke(t, p.URL)
	p.Stop(t)

	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	calls := regexp.MustCompile(`(?m)^\d+ +(\w+)\((.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(calls) < 1000 {
		t.Fatalf("%d calls in the trace", len(calls))
	}
	families := strings.Fields(Unit(t, "RestrictAddressFamilies")[0])
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

func TestCompose(t *testing.T) {
	compose := ReadCompose(t)
	relay, caddy := compose.Services["httpipe"], compose.Services["caddy"]
	if secret := relay.Environment["HTTPIPE_AUTH_SECRET"]; !strings.HasPrefix(secret, "${HTTPIPE_AUTH_SECRET:?") {
		t.Errorf("Compose starts the server with the secret %q also if there is none", secret)
	}
	if relay.Build.Context != ".." || len(relay.Ports) > 0 {
		t.Errorf("it is built from %s, and reached past Caddy by %v", relay.Build.Context, relay.Ports)
	}
	if caddy.Environment["HTTPIPE"] != "httpipe:3000" {
		t.Errorf("Caddy goes to %s", caddy.Environment["HTTPIPE"])
	}
	for _, volume := range caddy.Volumes {
		if file, isFile := strings.CutPrefix(volume.Source, "./"); isFile {
			kit.Deployed(t, file)
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
	kit.NeedTool(t, "caddy")
	home := t.TempDir()
	cmd := exec.Command("caddy", "validate", "--adapter", "caddyfile", "--config", "deploy/Caddyfile")
	cmd.Env = append(os.Environ(), append(environment, "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("caddy validate: %v\n%s", err, out)
	}
}
