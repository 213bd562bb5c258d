package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// auditKey returns the key that opens /audit, as the command prints it.
func (p *process) auditKey(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	code, output := execute(t, p.dir, path, "audit", "key")
	if code != 0 {
		t.Fatal(output)
	}
	return strings.TrimSuffix(output, "\n")
}

// statusOf returns the status of the answer to a GET.
func statusOf(t *testing.T, url, credential string) int {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// TestAuditKey: without a secret the audit log takes the key, which stays the same, and the log of the server does not have it.
func TestAuditKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := ""
	for range 2 {
		p := start(t, dir)
		p.exchange(t, "v1/c", "hello")
		if key == "" {
			key = p.auditKey(t)
		}
		for credential, want := range map[string]int{"": 401, "x" + key: 401, aSecret: 401, key: 200} {
			for _, path := range []string{"exchanges", "requests", "channels", "summary", "live"} {
				if got := statusOf(t, p.url+"/audit/"+path, credential); got != want {
					t.Errorf("/audit/%s with %q: %d, want %d", path, credential, got, want)
				}
			}
		}
		p.stop(t)
		if log := p.log.String(); strings.Contains(log, key) || !strings.Contains(log, "httpipe audit key") {
			t.Errorf("the log says %s", log)
		}
	}

	// With a secret there is none, and an old one opens nothing.
	p := start(t, dir, "--auth-secret", aSecret)
	for credential, want := range map[string]int{key: 401, aSecret: 200} {
		if got := statusOf(t, p.url+"/audit/exchanges", credential); got != want {
			t.Errorf("with a secret, %q: %d, want %d", credential, got, want)
		}
	}
	p.stop(t)
	fresh := t.TempDir()
	p = start(t, fresh, "--auth-secret", aSecret)
	p.stop(t)
	if files, err := filepath.Glob(fresh + "/*.key*"); len(files) > 0 || err != nil {
		t.Errorf("with a secret there are %v, %v", files, err)
	}
}

// TestAuditKeyCommand: it prints the key of the log that is meant, or says why not.
func TestAuditKeyCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir)
	key := p.auditKey(t)
	p.stop(t)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(filepath.Join(dir, "httpipe.db"), link); err != nil {
		t.Fatal(err)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"", 0, key + "\n"},
		{"--audit-db " + link, 0, key + "\n"},
		{"--audit-db none.db", 1, "httpipe: there is no audit key " + dir + "/none.db.key yet; the server makes it"},
		{"--auth-secret " + aSecret, 1, "httpipe: with --auth-secret there is no audit key; /audit opens to the secret"},
	} {
		code, output := execute(t, dir, append([]string{path, "audit", "key"}, strings.Fields(test.args)...)...)
		if code != test.code || !strings.HasPrefix(output, test.want) || strings.Count(output, "\n") != 1 {
			t.Errorf("%s: exit %d, %s\nwant %s", test.args, code, output, test.want)
		}
	}
	// A file that cannot be the key's stops the start, before anybody connects.
	for _, args := range [][]string{{"audit", "key"}, {"--port", "0", "--host", "127.0.0.1"}} {
		if err := os.WriteFile(dir+"/httpipe.db.key", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		code, output := execute(t, dir, append([]string{path}, args...)...)
		want := "httpipe: audit key " + dir + "/httpipe.db.key: the file is empty; remove it, and the server makes a new one when it starts\n"
		if code != 1 || !strings.HasSuffix(output, want[strings.Index(want, "httpipe.db.key"):]) {
			t.Errorf("%q: exit %d, %s\nwant %s", args, code, output, want)
		}
	}
}

// TestAuditKeyOnATerminal: there the address that opens the page is shown, as the browser needs it.
func TestAuditKeyOnATerminal(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script is not installed; it makes a terminal")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
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
			if got := statusOf(t, url+"/audit/live", key); got != 200 {
				t.Errorf("with the address on %s: %d", stream, got)
			}
			if log, _ := os.ReadFile(filepath.Join(dir, "log")); strings.Contains(string(log), key) {
				t.Errorf("what is not a terminal has the key: %s", log)
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
	for deadline := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func TestAuditURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ host, listens, want string }{
		{"", "::", "http://localhost:3000"},
		{"0.0.0.0", "0.0.0.0", "http://localhost:3000"},
		{"::", "::", "http://localhost:3000"},
		{"127.0.0.1", "127.0.0.1", "http://127.0.0.1:3000"},
		{"localhost", "127.0.0.1", "http://localhost:3000"},
		{"::1", "::1", "http://[::1]:3000"},
		{"relay.example", "192.0.2.1", "http://relay.example:3000"},
	} {
		if got := auditURL(test.host, &net.TCPAddr{IP: net.ParseIP(test.listens), Port: 3000}, "KEY"); got != test.want+"/audit#token=KEY" {
			t.Errorf("--host %q: %s, want %s", test.host, got, test.want)
		}
	}
}

// TestAuditPageKey: the page says where the key is, takes it out of its address at once, and keeps it in its tab.
func TestAuditPageKey(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	p.exchange(t, "v1/c", "hello")
	key := p.auditKey(t)
	tab := v.open("/audit#last=7d")
	tab.shows("#access-why", `Audit on */* takes the audit key; on the machine of the server "httpipe audit key" prints it.`)
	value[bool](tab, "(location.hash = 'token=wrong&last=7d', true)")
	tab.shows("#access-why", `This does not open the audit log. The server says: audit on */*: what came is not the audit key; on the machine of the server "httpipe audit key" prints it.`)
	value[bool](tab, "(location.hash = "+quoted("last=7d&token="+key)+", true)")
	for range 2 { // and after it was loaded again
		tab.shows("#link", "Live")
		tab.has("#rows tbody tr", 1)
		if got := value[string](tab, "location.hash"); got != "#last=7d" {
			t.Errorf("the address is %s", got)
		}
		if tab.text("#access") != "" {
			t.Error("the key is asked for")
		}
		for _, shown := range []string{"document.documentElement.outerHTML", "location.href", "document.cookie", "JSON.stringify(localStorage)"} {
			if strings.Contains(value[string](tab, shown), key) {
				t.Errorf("the key is in %s", shown)
			}
		}
		tab.do(chromedp.Reload())
	}
	fresh := v.open("/audit#token=" + key)
	fresh.shows("#link", "Live")
	fresh.has("#rows tbody tr", 1)
	if got := value[string](fresh, "location.href"); strings.Contains(got, key) {
		t.Errorf("the address is %s", got)
	}
}
