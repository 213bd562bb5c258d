package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/access"
	"httpipe/test/kit"
)

// These tests run what the documentation and deploy/ have for making a secret where there is none.

// unitPre returns the command that deploy/httpipe.service runs before the server, as systemd would, with its state in dir.
func unitPre(t *testing.T, dir, program string) *exec.Cmd {
	t.Helper()
	text := strings.ReplaceAll(kit.Deployed(t, "httpipe.service"), "\\\n", " ")
	for line := range strings.Lines(text) {
		if command, found := strings.CutPrefix(line, "ExecStartPre=/bin/sh -c '"); found {
			command, _, _ = strings.Cut(command, "'")
			command = strings.NewReplacer("$$", "$", "/var/lib/httpipe", dir, "/usr/local/bin/httpipe", program).Replace(command)
			cmd := exec.Command("/bin/sh", "-c", "umask "+Unit(t, "UMask")[0]+"; "+command)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
			cmd.Dir = dir
			return cmd
		}
	}
	t.Fatal("deploy/httpipe.service has no ExecStartPre")
	return nil
}

// oneSecret returns the line that follows before in an environment file. The line must be the last, and set a valid secret;
// only the file's owner may read the file.
func oneSecret(t *testing.T, path, before string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s has the mode %v, %v", path, info.Mode(), err)
	}
	line := strings.TrimSuffix(strings.TrimPrefix(string(text), before), "\n")
	secret, found := strings.CutPrefix(line, "HTTPIPE_AUTH_SECRET=")
	if _, err := access.ParseSecrets(secret); !found || err != nil || !strings.HasPrefix(string(text), before) {
		t.Errorf("%s holds %d characters, %v", path, len(line), err)
	}
	return line
}

func TestUnitMakesSecret(t *testing.T) {
	program := kit.Binary(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "secret.env")
	if files := Unit(t, "EnvironmentFile"); len(files) != 2 || files[0] != "-/var/lib/httpipe/secret.env" || files[1] != "-/etc/httpipe.env" {
		t.Errorf("systemd reads %q", files)
	}
	config := kit.WriteFile(t, filepath.Join(dir, "config"), "auth-secret "+kit.Secret+"\n")
	wrong := kit.WriteFile(t, filepath.Join(dir, "wrong"), "auth-secret "+kit.Secret+"\nmax-boddy 1MB\n")
	for _, variable := range []string{
		"HTTPIPE_AUTH_SECRET=" + kit.Secret, "HTTPIPE_AUTH_SECRET=", "HTTPIPE_CONFIG=" + config, "HTTPIPE_CONFIG=" + wrong, "HTTPIPE_CONFIG=" + dir + "/none",
	} {
		pre := unitPre(t, dir, program)
		pre.Env = append(pre.Env, variable)
		if out, err := pre.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("with %s: %v, %s", variable, err, out)
		}
		if _, err := os.Stat(file); err == nil {
			t.Fatalf("with %s it makes a secret", variable)
		}
	}
	want := "made a secret: " + file + "\n"
	if out, err := unitPre(t, dir, program).CombinedOutput(); err != nil || string(out) != want {
		t.Fatalf("%v, %s", err, out)
	}
	line := oneSecret(t, file, "")

	// From then on systemd gives it to the server and to the command.
	pre := unitPre(t, dir, program)
	pre.Env = append(pre.Env, line)
	if out, err := pre.CombinedOutput(); err != nil || len(out) > 0 || oneSecret(t, file, "") != line {
		t.Errorf("the next time: %v, %s", err, out)
	}
	// The command that the unit's head shows makes a token that a server with this secret takes.
	_, command, found := strings.Cut(kit.Deployed(t, "httpipe.service", "/var/lib/httpipe", dir), "#   (set -a;")
	if !found {
		t.Fatal("the unit shows no command for a token")
	}
	command, _, _ = strings.Cut("(set -a;"+command, "\n")
	sh := exec.Command("sh", "-c", command)
	sh.Env = []string{"PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH")}
	token, err := sh.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	t.Setenv("HTTPIPE_AUTH_SECRET", strings.TrimPrefix(line, "HTTPIPE_AUTH_SECRET="))
	p := kit.Start(t, t.TempDir())
	for credential, want := range map[string]string{strings.TrimSpace(string(token)): "408", "none": "401"} {
		got := <-kit.Curl("-o", "/dev/null", "-w", "%{http_code}", "-u", ":"+credential, p.URL+"/channels/demo/a?wait=0")
		if got != want {
			t.Errorf("with the token %.10s… a consumer gets %s, want %s", credential, got, want)
		}
	}
}

// TestDockerSecret runs what docs/deploy.md has for Docker and for Compose: it makes a secret, once. README.md runs the
// image without one, so for this machine alone.
func TestDockerSecret(t *testing.T) {
	const make = `grep -qs '^HTTPIPE_AUTH_SECRET=.' deploy/.env || (umask 077; printf '\nHTTPIPE_AUTH_SECRET=%s\n' "$(head -c 32 /dev/urandom | base64)" >>deploy/.env; chmod 600 deploy/.env)` + "\n"
	if !strings.Contains(kit.Deployed(t, "compose.yaml"), "#   "+make) {
		t.Error("deploy/compose.yaml does not show how to make a secret")
	}
	runs := 0
	for _, block := range kit.Blocks(t, "README.md", "sh") {
		if strings.Contains(block, "docker") && !strings.Contains(block, " -p 127.0.0.1:") {
			t.Errorf("a relay without a secret that others can reach:\n%s", block)
		}
	}
	for _, block := range kit.Blocks(t, "docs/deploy.md", "sh") {
		if !strings.Contains(block, "docker run") && !strings.Contains(block, "docker compose") {
			continue
		}
		before, after, found := strings.Cut(block, make)
		if !found || strings.Contains(before, "docker") || strings.Contains(after, "docker run") && !strings.Contains(after, "--env-file deploy/.env ") {
			t.Errorf("a relay without a secret:\n%s", block)
		}
		runs++
	}
	if runs != 2 {
		t.Errorf("docs/deploy.md runs Docker in %d blocks", runs)
	}
	for _, before := range []string{"", "DOMAIN=relay.example.com", "# HTTPIPE_AUTH_SECRET=x\nHTTPIPE_AUTH_SECRET=\n"} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "deploy"), 0o755); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "deploy/.env")
		if before != "" {
			if err := os.WriteFile(file, []byte(before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var secrets []string
		for range 2 {
			sh := exec.Command("sh", "-c", make)
			sh.Dir = dir
			if out, err := sh.CombinedOutput(); len(out) > 0 {
				t.Fatalf("%v, %s", err, out)
			}
			secrets = append(secrets, oneSecret(t, file, before+"\n"))
		}
		if secrets[0] != secrets[1] {
			t.Errorf("after %q: the second time makes another secret", before)
		}
	}
	if out, err := exec.Command("git", "check-ignore", "deploy/.env").CombinedOutput(); err != nil {
		t.Errorf("git would take deploy/.env: %s", fmt.Sprint(err, string(out)))
	}
}
