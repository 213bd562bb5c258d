//go:build packages

package packages

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestRelease: everything is there for both architectures, has the version, and is in SHA256SUMS.
func TestRelease(t *testing.T) {
	dist := released(t)
	want := []string{"httpipe-1.2.3-1.aarch64.rpm", "httpipe-1.2.3-1.x86_64.rpm", "httpipe-1.2.3-linux-amd64.tar.gz", "httpipe-1.2.3-linux-arm64.tar.gz",
		"httpipe-1.2.3.cdx.json", "httpipe-1.2.3.tar.gz", "httpipe.rb", "httpipe_1.2.3_amd64.deb", "httpipe_1.2.3_arm64.deb"}
	var summed []string
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		summed = append(summed, strings.Fields(line)[1])
	}
	if slices.Sort(summed); !slices.Equal(summed, want) {
		t.Errorf("the release has %q, want %q", summed, want)
	}
	run(t, "sh", "-c", `cd "$0" && sha256sum --check --quiet SHA256SUMS`, dist)

	for arch, machine := range map[string]string{"amd64": "X86-64", "arm64": "AArch64"} {
		dir := t.TempDir()
		run(t, "tar", "-C", dir, "-xzf", filepath.Join(dist, "httpipe-1.2.3-linux-"+arch+".tar.gz"))
		program := filepath.Join(dir, "httpipe-1.2.3-linux-"+arch, "httpipe")
		if header := run(t, "readelf", "--file-header", program); !strings.Contains(header, machine) {
			t.Errorf("%s: %s", arch, header)
		}
		if _, err := buildinfo.ReadFile(program); err != nil {
			t.Errorf("%s: %v", arch, err)
		}
		if control := run(t, "dpkg-deb", "--field", filepath.Join(dist, "httpipe_1.2.3_"+arch+".deb"), "Version", "Architecture"); control != "Version: 1.2.3\nArchitecture: "+arch {
			t.Errorf("%s: %s", arch, control)
		}
		if arch != run(t, "dpkg", "--print-architecture") {
			continue
		}
		if got := run(t, program, "version"); got != "httpipe v1.2.3" {
			t.Errorf("the program in the tarball says %q", got)
		}
		if page := run(t, "sh", "-c", `zcat "$0"/httpipe.1.gz`, filepath.Dir(program)); !strings.Contains(page, `.TH HTTPIPE 1 "" "httpipe v1.2.3"`) {
			t.Errorf("the manual page begins with %.100q", page)
		}
	}
	checkParts(t, filepath.Join(dist, "httpipe-1.2.3.cdx.json"))
}

// checkParts checks the list of a release's parts.
func checkParts(t *testing.T, list string) {
	t.Helper()
	var parts struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct{ Name, Version string }
		Metadata   struct {
			Component struct{ Name, Version string }
		}
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &parts); err != nil || parts.BOMFormat != "CycloneDX" || parts.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("the list of parts: %v, of %+v", err, parts.Metadata)
	}
	names := fmt.Sprint(parts.Components)
	for _, module := range []string{"github.com/mattn/go-sqlite3", "golang.org/x/crypto"} {
		if !strings.Contains(names, module) {
			t.Errorf("the list of parts lacks %s", module)
		}
	}
}

// noConnection is the end of what curl prints if nothing listens.
const noConnection = "exit status 7"

// newer makes a package of a later version with the same program.
func newer(t *testing.T, dist, packager, arch string) string {
	t.Helper()
	dir, files := t.TempDir(), t.TempDir()
	run(t, "tar", "-C", files, "--strip-components=1", "-xzf", filepath.Join(dist, "httpipe-1.2.3-linux-"+arch+".tar.gz"))
	script, err := os.ReadFile("scripts/release")
	if err != nil {
		t.Fatal(err)
	}
	_, nfpm, _ := strings.Cut(string(script), "\nnfpm=")
	nfpm, _, _ = strings.Cut(nfpm, " ")
	cmd := exec.Command("go", "run", nfpm, "package", "-f", "deploy/package/nfpm.yaml", "-p", packager, "-t", dir)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "VERSION=1.2.4", "ARCH="+arch, "FILES="+files)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found, _ := filepath.Glob(dir + "/*." + packager)
	return found[0]
}

// TestDebian: on a fresh Debian without Go the package is installed by one command, and runs as a service with a
// secret; the first exchange is over TLS, with a certificate of one's own, on port 443; an upgrade keeps everything;
// and a purge leaves no trace.
func TestDebian(t *testing.T) {
	dist := released(t)
	m := newMachine(t)
	arch := run(t, "dpkg", "--print-architecture")
	run(t, "cp", filepath.Join(dist, "httpipe_1.2.3_"+arch+".deb"), m.root+"/root/httpipe.deb")
	run(t, "cp", newer(t, dist, "deb", arch), m.root+"/root/newer.deb")
	before := m.snapshot()
	m.boot()

	m.do("apt-get", "install", "-y", "-qq", "/root/httpipe.deb")
	m.until("it listens", func() bool { return !strings.HasSuffix(<-m.curl("http://localhost:3000/healthz"), noConnection) })
	if got := m.do("systemctl", "is-enabled", "httpipe"); got != "enabled" {
		t.Errorf("the service is %s", got)
	}
	secure(t, m)
	token := documentedToken(t, m)
	if got := <-m.curl("http://localhost:3000/channels/demo/a?wait=0", "-o", "/dev/null", "-w", "%{http_code}"); got != "401" {
		t.Errorf("without a token a client gets %s", got)
	}

	address := overTLS(t, m)
	consumer := m.curl(append(address, "-H", "Authorization: Bearer "+token, "https://relay.test/channels/demo/a")...)
	if got := <-m.curl(append(address, "-H", "Authorization: Bearer "+token, "-d", "hello", "https://relay.test/channels/demo/a")...); got != "" {
		t.Errorf("the producer was told %q", got)
	}
	if got := <-consumer; got != "hello" {
		t.Errorf("the consumer got %q", got)
	}
	backup(t, m)

	environment := m.read("etc/httpipe.env")
	m.do("apt-get", "install", "-y", "-qq", "/root/newer.deb")
	if m.read("etc/httpipe.env") != environment {
		t.Error("an upgrade changes /etc/httpipe.env")
	}
	m.until("the new version listens", func() bool {
		return strings.HasSuffix(<-m.curl(append(address, "-w", "%{http_code}", "https://relay.test/healthz")...), "200")
	})
	list := m.do("httpipe", "audit", "summary", "--audit-db", "/var/lib/httpipe/httpipe.db")
	if !strings.Contains(list, "delivered") {
		t.Errorf("after the upgrade the log says %s", list)
	}

	m.do("apt-get", "remove", "-y", "-qq", "httpipe")
	m.missing("usr/bin/httpipe", "usr/lib/systemd/system/httpipe.service", "etc/systemd/system/multi-user.target.wants/httpipe.service")
	if got := <-m.curl(append(address, "https://relay.test/healthz")...); !strings.HasSuffix(got, noConnection) {
		t.Errorf("after its removal it still answers %q", got)
	}
	if m.read("etc/httpipe.env") != environment || m.read("var/lib/httpipe/httpipe.db") == "" {
		t.Error("a removal takes the secret or the log")
	}
	m.do("apt-get", "purge", "-y", "-qq", "httpipe")
	m.do("rm", "-r", "/etc/ssl", "/root/httpipe.deb", "/root/newer.deb") // of this test
	after := m.snapshot()
	for _, line := range slices.Concat(before, after) {
		if slices.Contains(before, line) != slices.Contains(after, line) {
			t.Errorf("before it was installed, or after it was purged, there is %s", line)
		}
	}
}

// secure requires that the service's user is its own, and may listen on low ports and nothing else, and that nobody
// else can read the secret and the log.
func secure(t *testing.T, m *machine) {
	t.Helper()
	status := m.do("sh", "-c", "cat /proc/$(systemctl show -P MainPID httpipe)/status")
	for _, want := range []string{"CapEff:\t0000000000000400", "CapBnd:\t0000000000000400", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			t.Errorf("the process has not %q:\n%s", want, status)
		}
	}
	if got := m.do("stat", "-c", "%U %a", "/etc/httpipe.env", "/var/lib/httpipe", "/var/lib/httpipe/httpipe.db"); got != "root 600\nhttpipe 700\nhttpipe 600" {
		t.Errorf("the files belong to %q", got)
	}
}

// documentedToken runs the command that /etc/httpipe.env shows.
func documentedToken(t *testing.T, m *machine) string {
	t.Helper()
	_, command, found := strings.Cut(m.read("etc/httpipe.env"), "#   (set -a;")
	command, _, _ = strings.Cut(command, "\n")
	if !found {
		t.Fatal("/etc/httpipe.env shows no command for a token")
	}
	return m.do("sh", "-c", "(set -a;"+command)
}

// overTLS gives the service a certificate and port 443, as /etc/httpipe.env says, and returns the options with which
// curl reaches it.
func overTLS(t *testing.T, m *machine) []string {
	t.Helper()
	dir := t.TempDir()
	run(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=relay.test",
		"-addext", "subjectAltName=DNS:relay.test", "-keyout", dir+"/key.pem", "-out", dir+"/cert.pem")
	m.do("mkdir", "-p", "/etc/ssl/httpipe")
	run(t, "cp", dir+"/key.pem", dir+"/cert.pem", m.root+"/etc/ssl/httpipe")
	m.do("chown", "-R", "httpipe", "/etc/ssl/httpipe")
	text := m.read("etc/httpipe.env")
	for old, changed := range map[string]string{"\nHTTPIPE_HOST=127.0.0.1\n": "\n", "#HTTPIPE_PORT=443": "HTTPIPE_PORT=443", "#HTTPIPE_TLS_CERT": "HTTPIPE_TLS_CERT", "#HTTPIPE_TLS_KEY": "HTTPIPE_TLS_KEY"} {
		if !strings.Contains(text, old) {
			t.Fatalf("/etc/httpipe.env has no %q", old)
		}
		text = strings.Replace(text, old, changed, 1)
	}
	m.put("etc/httpipe.env", text)
	m.do("systemctl", "restart", "httpipe")
	options := []string{"--cacert", dir + "/cert.pem", "--resolve", "relay.test:443:127.0.0.1"}
	m.until("it listens on port 443", func() bool {
		return strings.HasSuffix(<-m.curl(append(options, "-w", "%{http_code}", "https://relay.test/healthz")...), "200")
	})
	return options
}

// backup checks that root's commands work beside the service, and leave no file that the service cannot use.
func backup(t *testing.T, m *machine) {
	t.Helper()
	m.do("httpipe", "audit", "check", "--audit-db", "/var/lib/httpipe/httpipe.db")
	m.do("httpipe", "audit", "backup", "--audit-db", "/var/lib/httpipe/httpipe.db", "/var/lib/httpipe/backup.db")
	if got := m.do("sh", "-c", "stat -c '%U %a' /var/lib/httpipe/*"); strings.Contains(got, "root") {
		t.Errorf("after commands of root the files belong to %q", got)
	}
}

// TestRPM installs, upgrades and erases the other package, where nothing is booted.
func TestRPM(t *testing.T) {
	kit.NeedTool(t, "rpm")
	dist := released(t)
	m := newMachine(t)
	arch := run(t, "dpkg", "--print-architecture")
	rpm := func(args ...string) {
		t.Helper()
		run(t, slices.Concat([]string{"rpm", "--root", m.root, "--dbpath", "/var/lib/rpm", "--nodeps"}, args)...) // whose names are those of other distributions
	}
	rpm("--install", filepath.Join(dist, map[string]string{"amd64": "httpipe-1.2.3-1.x86_64.rpm", "arm64": "httpipe-1.2.3-1.aarch64.rpm"}[arch]))
	if got := m.do("httpipe", "version"); got != "httpipe v1.2.3" {
		t.Errorf("installed is %s", got)
	}
	environment := m.read("etc/httpipe.env")
	documentedToken(t, m)
	if got := m.do("stat", "-c", "%U %a", "/etc/httpipe.env", "/var/lib/httpipe"); got != "root 600\nhttpipe 700" {
		t.Errorf("the files belong to %q", got)
	}
	rpm("--upgrade", newer(t, dist, "rpm", arch))
	if m.read("etc/httpipe.env") != environment {
		t.Error("an upgrade changes /etc/httpipe.env")
	}
	m.do("httpipe", "version")
	rpm("--erase", "httpipe")
	m.missing("usr/bin/httpipe", "usr/lib/systemd/system/httpipe.service", "usr/share/man/man1/httpipe.1.gz")
	if m.read("etc/httpipe.env") != environment {
		t.Error("its removal takes the secret")
	}
}
