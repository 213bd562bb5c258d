package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"httpipe/test/kit"
)

// TestAuditKey checks that without a secret the key opens the audit log, that it survives a restart, and that the server does
// not log it.
func TestAuditKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := ""
	for range 2 {
		p := kit.Start(t, dir)
		relayOne(t, p, "v1/c")
		if key == "" {
			key = p.AuditKey(t)
		}
		for credential, want := range map[string]int{"": 401, "x" + key: 401, kit.Secret: 401, key: 200} {
			for _, path := range []string{"exchanges", "requests", "channels", "summary", "live"} {
				if got := kit.Status(t, p.URL+"/audit/"+path, credential); got != want {
					t.Errorf("/audit/%s with %q: %d, want %d", path, credential, got, want)
				}
			}
		}
		p.Stop(t)
		if log := p.Log.String(); strings.Contains(log, key) || !strings.Contains(log, "httpipe audit key") {
			t.Errorf("the log says %s", log)
		}
	}

	// With a secret there is no key, and an old one is refused.
	p := kit.Start(t, dir, "--auth-secret", kit.Secret)
	for credential, want := range map[string]int{key: 401, kit.Secret: 200} {
		if got := kit.Status(t, p.URL+"/audit/exchanges", credential); got != want {
			t.Errorf("with a secret, %q: %d, want %d", credential, got, want)
		}
	}
	p.Stop(t)
	fresh := t.TempDir()
	p = kit.Start(t, fresh, "--auth-secret", kit.Secret)
	p.Stop(t)
	if files, err := filepath.Glob(fresh + "/*.key*"); len(files) > 0 || err != nil {
		t.Errorf("with a secret there are %v, %v", files, err)
	}
}

// TestAuditKeyCommand checks that it prints the key of the given log, or an error.
func TestAuditKeyCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := kit.Start(t, dir)
	key := p.AuditKey(t)
	p.Stop(t)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(filepath.Join(dir, "httpipe.db"), link); err != nil {
		t.Fatal(err)
	}
	path := kit.Binary(t)
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"", 0, key + "\n"},
		{"--audit-db " + link, 0, key + "\n"},
		{"--audit-db none.db", 1, "httpipe: there is no audit key " + dir + "/none.db.key; start the server, or restart it"},
		{"--auth-secret " + kit.Secret, 1, "httpipe: with --auth-secret there is no audit key; the secret opens /audit"},
	} {
		code, output := kit.Execute(t, dir, append([]string{path, "audit", "key"}, strings.Fields(test.args)...)...)
		if code != test.code || !strings.HasPrefix(output, test.want) || strings.Count(output, "\n") != 1 {
			t.Errorf("%s: exit %d, %s\nwant %s", test.args, code, output, test.want)
		}
	}
	// A broken key file is an error of the command and at start.
	for _, args := range [][]string{{"audit", "key"}, {"--port", "0", "--host", "127.0.0.1"}} {
		if err := os.WriteFile(dir+"/httpipe.db.key", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		code, output := kit.Execute(t, dir, append([]string{path}, args...)...)
		want := "httpipe: audit key " + dir + "/httpipe.db.key: the file is empty; remove it, and the server creates a new one at its next start\n"
		if code != 1 || !strings.HasSuffix(output, want[strings.Index(want, "httpipe.db.key"):]) {
			t.Errorf("%q: exit %d, %s\nwant %s", args, code, output, want)
		}
	}
}

// TestAuditKeyOnATerminal checks that a terminal, and nothing else, shows the URL with the key.
func TestAuditKeyOnATerminal(t *testing.T) {
	t.Parallel()
	kit.NeedTool(t, "script")
	path := kit.Binary(t)
	for _, audit := range []string{"required", "off"} {
		for stream, redirect := range map[string]string{"both": "", "standard output": " 2>log", "standard error": " >log"} {
			dir := t.TempDir()
			cmd := exec.Command("script", "-qfec", "exec "+path+" --port 0 --host 127.0.0.1 --audit "+audit+redirect, "typescript")
			cmd.Dir = dir
			input, err := cmd.StdinPipe() // at its end the terminal would hang up
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			shown := ""
			eventually(t, "the address is shown", func() bool {
				typescript, _ := os.ReadFile(filepath.Join(dir, "typescript"))
				shown = string(regexp.MustCompile(`http://127\.0\.0\.1:\d+/audit#token=[A-Z0-9]{26}`).Find(typescript))
				return shown != ""
			})
			url, key, _ := strings.Cut(shown, "/audit#token=")
			if got := kit.Status(t, url+"/audit/live", key); got != 200 {
				t.Errorf("with the address on %s: %d", stream, got)
			}
			if log, _ := os.ReadFile(filepath.Join(dir, "log")); strings.Contains(string(log), key) {
				t.Errorf("a file has the key: %s", log)
			}
			fmt.Fprint(input, "\x03") // as a person stops it
			if err := cmd.Wait(); err != nil {
				t.Errorf("stopped at %s: %v", stream, err)
			}
			input.Close()
		}
	}
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(kit.Patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}
