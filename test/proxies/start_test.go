package proxies

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
)

// A proxy is a reverse proxy that deploy/ has a configuration for, with its limitations.
type proxy struct {
	name string // also the program's, and that of Debian's package
	// command makes a command that runs the proxy in the foreground as deploy/ configures it, but for
	// the addresses, on listen (host:port) in front of relay, and for changes (old, new, old, new, …).
	command func(t *testing.T, dir, listen, relay string, changes ...string) *exec.Cmd

	losesCut    bool // a chunked body that was cut off arrives as if it were whole
	answersLate bool // a producer that pauses has its answer only when its body ends
	resetsEarly bool // a client that sent Expect: 100-continue may lose an answer before the body's end
}

// A route is a relay with a proxy in front of it.
type route struct {
	*kit.Server // the relay
	proxy
	via string // the proxy's URL
}

var proxies = []proxy{
	{name: "nginx", command: nginxCommand},
	{name: "caddy", command: caddyCommand, losesCut: true, answersLate: true, resetsEarly: true},
	{name: "haproxy", command: haproxyCommand},
}

func nginxCommand(t *testing.T, dir, listen, relay string, changes ...string) *exec.Cmd {
	site := kit.WriteFile(t, filepath.Join(dir, "site"), kit.Deployed(t, "nginx.conf", append(changes, "listen 80 ", "listen "+listen+" ", "127.0.0.1:3000", relay)...))
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // only root could read the test's directory
	}
	// Around the site stands what Debian's nginx.conf has that matters here.
	config := kit.WriteFile(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`%s
		daemon off;
		pid %[2]s/pid;
		events { worker_connections 768; }
		http {
			sendfile on;
			tcp_nopush on;
			gzip on;
			access_log off;
			client_body_temp_path %[2]s/body;
			proxy_temp_path %[2]s/proxy;
			fastcgi_temp_path %[2]s/fastcgi;
			uwsgi_temp_path %[2]s/uwsgi;
			scgi_temp_path %[2]s/scgi;
			include %[3]s;
		}`, user, dir, site))
	return exec.Command("nginx", "-e", "stderr", "-c", config)
}

func caddyCommand(t *testing.T, dir, listen, relay string, changes ...string) *exec.Cmd {
	_, port, _ := strings.Cut(listen, ":")
	config := kit.Deployed(t, "Caddyfile", append(changes, "{$DOMAIN:relay.example.com}", "http://relay.example.com:"+port+", http://"+listen, "{$HTTPIPE:127.0.0.1:3000}", relay)...)
	options := fmt.Sprintf("{\n\tadmin off\n\tstorage file_system %s\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n", dir)
	cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", kit.WriteFile(t, filepath.Join(dir, "Caddyfile"), options+config))
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	return cmd
}

func haproxyCommand(t *testing.T, dir, listen, relay string, changes ...string) *exec.Cmd {
	config := kit.Deployed(t, "haproxy.cfg", append(changes, "bind :80\n", "bind "+listen+"\n", "127.0.0.1:3000", relay)...)
	return exec.Command("haproxy", "-db", "-q", "-f", kit.WriteFile(t, filepath.Join(dir, "haproxy.cfg"), config))
}

// lost reports whether curl got a reset instead of an early answer, as this proxy may do to a client that sends Expect.
// It is no answer at all, and without Expect there must be one.
func (x proxy) lost(args []string, printed string) bool {
	return x.resetsEarly && slices.Contains(args, "-T") && !slices.Contains(args, "Expect:") && strings.Contains(printed, "Connection reset by peer")
}

// start runs the proxy in front of relay (a URL) until the test's end, and returns its own URL.
func (x proxy) start(t *testing.T, relay string) string { return x.startWith(t, relay) }

// startWith is start with changes to the configuration, in which {relay} is the relay's address.
func (x proxy) startWith(t *testing.T, relay string, changes ...string) string {
	t.Helper()
	kit.NeedTool(t, x.name)
	listen, address := kit.FreeAddress(t), strings.TrimPrefix(relay, "http://")
	changes = slices.Clone(changes)
	for i := range changes {
		changes[i] = strings.ReplaceAll(changes[i], "{relay}", address)
	}
	cmd := x.command(t, t.TempDir(), listen, address, changes...)
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		// Caddy would take its time over SIGTERM; nginx has workers, which SIGKILL would leave behind.
		if x.name == "nginx" {
			cmd.Process.Signal(syscall.SIGTERM)
		} else {
			cmd.Process.Kill()
		}
		<-exited
		if t.Failed() {
			t.Logf("%s printed:\n%s", x.name, &printed)
		}
	})
	url := "http://" + listen
	for deadline := time.Now().Add(20 * time.Second); !answers(url); {
		select {
		case <-exited:
			t.Fatalf("%s has exited", x.name)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", x.name)
		}
	}
	return url
}

// answers reports whether a server answers HTTP there.
func answers(url string) bool {
	resp, err := http.Head(url + "/healthz")
	if err == nil {
		resp.Body.Close()
	}
	return err == nil
}

// open starts curl with an input that stays open.
func open(t *testing.T, args ...string) (*exec.Cmd, io.Writer) {
	t.Helper()
	cmd := exec.Command("curl", slices.Concat(kit.MaxTime, []string{"-sS"}, args)...)
	feed, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, feed
}

// reading starts curl as a consumer that prints each byte as it arrives.
func reading(t *testing.T, url string) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command("curl", append(slices.Clone(kit.MaxTime), "-sSN", url)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, out
}

// largeFile makes a file of 20 MB, and returns its path.
func largeFile(t *testing.T) string {
	t.Helper()
	content := make([]byte, 20<<20)
	random := rand.NewChaCha8([32]byte{})
	random.Read(content)
	return kit.WriteFile(t, filepath.Join(t.TempDir(), "large"), string(content))
}
