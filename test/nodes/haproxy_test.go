package nodes

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/nodes"
	"httpipe/test/kit"
)

// TestConfiguration: HAProxy finds nothing wrong with any form of the configuration.
func TestConfiguration(t *testing.T) {
	kit.NeedTool(t, "haproxy")
	dir := t.TempDir()
	kit.WriteFile(t, filepath.Join(dir, "relay.pem"), selfSigned(t, dir))
	plain := []string{"--node", "n1=http://10.0.0.1:3000", "--node", "n2=http://10.0.0.2:3000", "--node", "a.b-c=http://[2001:db8::1]:3000"}
	for name, args := range map[string][]string{
		"three nodes":      plain,
		"two nodes":        plain[:4],
		"many slots":       append([]string{"--slots", "1024"}, plain...),
		"TLS":              append([]string{"--tls-cert", filepath.Join(dir, "relay.pem")}, plain...),
		"an address":       append([]string{"--listen", "127.0.0.1:8080"}, plain...),
		"TLS to the nodes": {"--node", "n1=https://localhost", "--node", "n2=https://localhost:8443"},
		"names of machines": {"--resolver", "[fdaa::3]:53", "--node", "n1=http://148e.vm.app.internal:3000",
			"--node", "n2=http://2874.vm.app.internal:3000"},
	} {
		code, config := kit.Run(t, dir, append([]string{"nodes", "haproxy"}, args...)...)
		if code != 0 {
			t.Errorf("%s: %s", name, config)
			continue
		}
		file := kit.WriteFile(t, filepath.Join(dir, "haproxy.cfg"), config)
		out, err := exec.Command("haproxy", "-c", "-f", file).CombinedOutput()
		if err != nil || strings.Contains(string(out), "WARNING") {
			t.Errorf("%s: %v\n%s\n%s", name, err, out, config)
		}
	}
}

// TestOldClients: over HTTP/1.0 a message that is cut off would look whole behind HAProxy, so a client may send messages, but
// not receive them.
func TestOldClients(t *testing.T) {
	kit.NeedTool(t, "haproxy")
	c := &cluster{t: t, dir: t.TempDir(), shared: true}
	kit.WriteFile(t, c.file("n1"), "node n1 http://127.0.0.1:1\nnode n2 http://127.0.0.1:2\nslots 1\nslot 0 n1 n2\n")
	b := &balancer{cluster: c, address: freeAddress(t)}
	b.reload()
	for _, test := range []struct{ method, path, want string }{
		{"GET", "/channels/v1/old", "505 bad_request"},
		{"GET", "/topics/v1/old", "505 bad_request"},
		{"GET", "/work/v1/old", "505 bad_request"},
		{"POST", "/services/v1/old/a", "505 bad_request"},
		{"POST", "/channels/v1/old", "503 node_unreachable"}, // no node runs
		{"POST", "/work/v1/old/reply", "503 node_unreachable"},
		{"GET", "/healthz", "503 node_unreachable"},
	} {
		got := <-kit.Patient("--http1.0", "-o", "/dev/null", "-w", "%{http_code} %header{httpipe-error}", "-X", test.method, b.url()+test.path)
		if got != test.want {
			t.Errorf("%s %s over HTTP/1.0 gets %s, want %s", test.method, test.path, got, test.want)
		}
	}
}

// selfSigned returns a certificate and its key.
func selfSigned(t *testing.T, dir string) string {
	t.Helper()
	kit.NeedTool(t, "openssl")
	if code, out := kit.Execute(t, dir, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=relay.example",
		"-keyout", "key.pem", "-out", "cert.pem"); code != 0 {
		t.Fatal(out)
	}
	return readFile(t, filepath.Join(dir, "cert.pem")) + readFile(t, filepath.Join(dir, "key.pem"))
}

// TestHash compares the hash of names with HAProxy's.
func TestHash(t *testing.T) {
	kit.NeedTool(t, "haproxy")
	b := &balancer{cluster: &cluster{t: t, dir: t.TempDir()}, address: freeAddress(t)}
	b.reloadWith("defaults\n\tmode http\n\ttimeout connect 5s\n\ttimeout client 5s\n\ttimeout server 5s\nfrontend f\n\tbind " + b.address + "\n" +
		"\thttp-request return status 200 content-type text/plain lf-string \"%[path,field(3,/,2),crc32(1)]\"\n")
	for i := range 100 {
		namespace, name := fmt.Sprint("n", i%7), strings.Repeat("x", i)+fmt.Sprint("!$&'()*+,;=:@-._~", i)
		for _, path := range []string{"channels/%s/%s", "topics/%s/%s?wait=1s", "services/%s/%s/more/path", "work/%s/%s/"} {
			path = fmt.Sprintf(path, namespace, name)
			_, _, got, err := send(t.Context(), "GET", b.url()+"/"+path, "")
			if want := fmt.Sprint(nodes.Hash(namespace, name)); got != want || err != nil {
				t.Errorf("%s: HAProxy's hash is %q, ours %s; %v", path, got, want, err)
			}
		}
	}
}
