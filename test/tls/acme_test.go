package tls

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/test/kit"
)

const (
	pebbleModule = "github.com/letsencrypt/pebble/v2/cmd/"
	pebbleAt     = "@v2.10.3"

	domain = "relay.test" // a name that only the tests' own name server knows
)

// A pebble is a certificate authority with ACME, which Let's Encrypt publishes for tests.
type pebble struct {
	url     string // of its directory
	rootURL string // of the certificate that signs what it issues
	ca      *ca    // of its own https
	cmd     *exec.Cmd
}

// startPebble starts one that issues certificates for so many seconds, and asks on these ports of this machine.
func startPebble(t *testing.T, validity int, httpPort, tlsPort string) *pebble {
	t.Helper()
	bin := filepath.Join(kit.Scratch, "pebble")
	install := exec.Command("go", "install", pebbleModule+"pebble"+pebbleAt, pebbleModule+"pebble-challtestsrv"+pebbleAt)
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("go install: %v\n%s", err, out)
	}
	names, directory, management := kit.FreeAddress(t), kit.FreeAddress(t), kit.FreeAddress(t)
	background(t, exec.Command(filepath.Join(bin, "pebble-challtestsrv"), "-dnsserver", names, "-defaultIPv6", "", "-management", kit.FreeAddress(t),
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""))

	dir := t.TempDir()
	p := &pebble{url: "https://" + directory + "/dir", rootURL: "https://" + management + "/roots/0", ca: newCA(t)}
	certificate, key, file := filepath.Join(dir, "pebble.pem"), filepath.Join(dir, "pebble.key"), filepath.Join(dir, "pebble.json")
	p.ca.write(t, 1, certificate, key)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": directory, "managementListenAddress": management, "certificate": certificate, "privateKey": key,
		"httpPort": json.Number(httpPort), "tlsPort": json.Number(tlsPort), "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "-", "validityPeriod": validity}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	kit.WriteFile(t, file, string(config))
	p.cmd = exec.Command(filepath.Join(bin, "pebble"), "-config", file, "-dnsserver", names, "-strict")
	p.cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	background(t, p.cmd)
	eventually(t, "Pebble answers", func() bool {
		response, err := http.Get(p.url)
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
	t.Setenv("SSL_CERT_FILE", p.ca.file) // for the server, which has to trust it
	return p
}

// background runs a command until the end of the test.
func background(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	kit.EndWithTest(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// root returns the certificate that signs what p issues.
func (p *pebble) root(t *testing.T) *x509.Certificate {
	t.Helper()
	response, err := http.Get(p.rootURL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// TestIssue: a server gets its certificate by a question on its plain port. Clients trust it; it is still there
// after a restart without the authority; and no other user can read it.
func TestIssue(t *testing.T) {
	questions := kit.FreeAddress(t)
	p := startPebble(t, 90*24*3600, port(questions), "1")
	dir := t.TempDir()
	args := []string{"--tls-domain", domain, "--acme-url", p.url, "--acme-addr", questions}
	s := kit.Start(t, dir, args...)
	addr := strings.TrimPrefix(s.URL, "https://")
	var first *big.Int
	eventually(t, "there is a certificate", func() bool {
		shown, err := served(addr, domain)
		if err == nil {
			first = shown.SerialNumber
		}
		return err == nil
	})

	root := p.root(t)
	rootFile := filepath.Join(t.TempDir(), "root.pem")
	kit.WriteFile(t, rootFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})))
	url := "https://" + domain + ":" + port(addr)
	options := []string{"--cacert", rootFile, "--resolve", domain + ":" + port(addr) + ":127.0.0.1"}
	consumer := kit.Patient(append(options, url+"/channels/v1/a")...)
	if got := <-kit.Patient(append(options, "-d", "hello", url+"/channels/v1/a")...); got != "" {
		t.Errorf("the producer was told %q", got)
	}
	if got := <-consumer; got != "hello" {
		t.Errorf("the consumer got %q", got)
	}
	if shown, err := served(addr, ""); err != nil || shown.SerialNumber.Cmp(first) != 0 {
		t.Errorf("without a name: %v, %v", shown, err)
	}
	if _, err := served(addr, "another.test"); err == nil {
		t.Error("it has a certificate for another name")
	}
	if code, output := kit.Run(t, dir, "healthcheck", "--port", port(addr), "--tls-domain", domain); code != 0 {
		t.Errorf("healthcheck: %d, %s", code, output)
	}
	for _, request := range [][]string{{}, {"-L", "-d", "x"}, {"-L", "-T", "/bin/sh"}} {
		got := <-kit.Patient(append(request, "-w", " %{http_code} %{num_redirects}", "http://"+questions+"/channels/v1/a")...)
		if !strings.HasPrefix(got, "https_required: ") || !strings.HasSuffix(got, " 403 0") {
			t.Errorf("curl %q on the plain port: %q", request, got)
		}
	}

	isPrivate(t, filepath.Join(dir, "httpipe.db.tls"))
	s.Stop(t)
	p.cmd.Process.Kill()
	again := kit.Start(t, dir, args...)
	addr = strings.TrimPrefix(again.URL, "https://")
	eventually(t, "the certificate is there after a restart", func() bool {
		shown, err := served(addr, domain)
		return err == nil && shown.SerialNumber.Cmp(first) == 0
	})
}

// isPrivate requires that no other user can read a directory with keys, and the files in it.
func isPrivate(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(dir + "/*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range append(files, dir) {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v, %v", file, info.Mode(), err)
		}
	}
}

// TestRenewal: a certificate that lives for seconds is renewed, by a question on the port itself. A client
// that is connected and waits notices nothing.
func TestRenewal(t *testing.T) {
	_, relayPort, _ := net.SplitHostPort(kit.FreeAddress(t))
	p := startPebble(t, 9, "1", relayPort)
	s := kit.Start(t, t.TempDir(), "--port", relayPort, "--tls-domain", domain, "--acme-url", p.url, "--acme-addr", "off")
	addr := strings.TrimPrefix(s.URL, "https://")
	roots := x509.NewCertPool()
	roots.AddCert(p.root(t))
	client := &http.Client{Timeout: kit.Patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: domain}}}
	var waiter chan string
	serials := map[string]bool{}
	eventually(t, "a second certificate is served", func() bool {
		shown, err := served(addr, domain)
		if err != nil {
			return false
		}
		if serials[shown.SerialNumber.String()] = true; waiter == nil {
			waiter = make(chan string, 1)
			go func() { waiter <- ask(client, http.MethodGet, s.URL+"/channels/v1/a", "") }()
		}
		return len(serials) == 2
	})
	if got := ask(client, http.MethodPost, s.URL+"/channels/v1/a", "hello"); got != "200 " {
		t.Errorf("the producer was told %q", got)
	}
	if got := <-waiter; got != "200 hello" {
		t.Errorf("the client that waited got %q", got)
	}
}

// ask returns the status and the body of the answer to a request.
func ask(client *http.Client, method, url, body string) string {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(response.StatusCode, " ", string(text))
}

// TestNoCertificate: a server whose authority does not answer says so, and starts without it.
func TestNoCertificate(t *testing.T) {
	s := kit.Start(t, t.TempDir(), "--tls-domain", domain, "--acme-url", "https://"+kit.FreeAddress(t)+"/dir", "--acme-addr", "off")
	eventually(t, "handshakes fail", func() bool {
		_, err := served(strings.TrimPrefix(s.URL, "https://"), domain)
		return err != nil
	})
	s.Stop(t)
	if log := s.Log.String(); !strings.Contains(log, "no TLS certificate, so no client can connect") || !strings.Contains(log, "connection refused") {
		t.Errorf("the log: %s", log)
	}
}
