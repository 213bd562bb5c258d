package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// workshop is a directory for what is built once for all tests.
var workshop string

func TestMain(m *testing.M) {
	var err error
	if workshop, err = os.MkdirTemp("", "httpipe-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	closeChromium()
	os.RemoveAll(workshop)
	os.Exit(code)
}

// binary is the program, for the tests that need a process of it.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(workshop, "httpipe")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// A process is a running httpipe.
type process struct {
	*exec.Cmd
	url     string // http://127.0.0.1:…
	metrics string // where they can be scraped; empty without --metrics-addr
	dir     string // where it runs, and has its log

	// exited is closed when the process has; err is then what Wait returned, and log all that it logged.
	exited chan struct{}
	err    error
	log    bytes.Buffer
}

// start runs the binary in dir on a free port, and returns when it listens. It is killed at the test's
// end if it still runs.
func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	return startBy(t, dir, nil, args...)
}

// startBy is start through a command that executes what stands behind it.
func startBy(t *testing.T, dir string, by []string, args ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	command := slices.Concat(by, []string{path}, onFreePort, args)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	return startCommand(t, cmd)
}

// onFreePort are the options with which a process tells where it listens.
var onFreePort = []string{"--port", "0", "--host", "127.0.0.1", "--log-format", "json"}

// startCommand is start for a command that is a httpipe which logs in JSON.
func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd, dir: cmd.Dir, exited: make(chan struct{})}
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(io.TeeReader(stderr, &p.log))
	p.url, p.metrics = listening(t, lines)
	go func() {
		defer close(p.exited)
		io.Copy(io.Discard, lines)
		p.err = p.Wait()
	}()
	t.Cleanup(func() {
		p.Process.Kill()
		<-p.exited
	})
	return p
}

// listening reads the log until the line that gives the addresses, and returns their URLs.
func listening(t *testing.T, log *bufio.Reader) (url, metrics string) {
	t.Helper()
	for {
		line, err := log.ReadString('\n')
		if err != nil {
			t.Fatalf("the server did not start: %s%v", line, err)
		}
		var entry struct {
			Msg, Addr string
			Metrics   string `json:"metrics_addr"`
		}
		if json.Unmarshal([]byte(line), &entry) != nil || entry.Msg != "listening" {
			continue
		}
		if entry.Metrics != "" {
			metrics = "http://" + entry.Metrics + "/metrics"
		}
		return "http://" + entry.Addr, metrics
	}
}

// stop sends SIGTERM and requires a clean exit.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if p.err != nil {
		t.Fatalf("after SIGTERM: %v", p.err)
	}
}

// waitFor polls until the server says so of a channel, which only a kernel and a scheduler decide.
func (p *process) waitFor(t *testing.T, channel string, producers, consumers string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		resp, err := http.Head(p.url + "/channels/" + channel)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Header.Get("Httpipe-Producers") == producers && resp.Header.Get("Httpipe-Consumers") == consumers {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %s producers and %s consumers", channel, resp.Header.Get("Httpipe-Producers"), resp.Header.Get("Httpipe-Consumers"))
		}
	}
}

// execute runs a command in dir, and returns its exit code and all that it printed.
func execute(t *testing.T, dir string, command ...string) (code int, output string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// sqlite runs a query with the sqlite3 command on the server's log, and returns what that prints.
func (p *process) sqlite(t *testing.T, query string) string {
	t.Helper()
	return sqliteIn(t, filepath.Join(p.dir, "httpipe.db"), query, "-readonly")
}

// sqliteIn is sqlite for a file that need not be a server's.
func sqliteIn(t *testing.T, path, query string, options ...string) string {
	t.Helper()
	out, err := exec.Command("sqlite3", append(options, path, query)...).CombinedOutput()
	if err != nil {
		t.Fatalf("sqlite3 %q: %v\n%s", query, err, out)
	}
	return strings.TrimSpace(string(out))
}

// waitForRow polls until the query finds something.
func (p *process) waitForRow(t *testing.T, query string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); p.sqlite(t, query) == ""; {
		if time.Now().After(deadline) {
			t.Fatalf("still nothing: %s", query)
		}
	}
}

// curl runs curl in the background and returns what it will have printed, with its exit code.
func curl(args ...string) <-chan string {
	done := make(chan string, 1)
	go func() {
		out, err := exec.Command("curl", append([]string{"-sS"}, args...)...).CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err == nil:
		case errors.As(err, &exit):
			out = fmt.Appendf(out, " [exit %d]", exit.ExitCode())
		default:
			out = fmt.Appendf(out, " [%v]", err)
		}
		done <- string(out)
	}()
	return done
}

func TestRunUntilContextIsDone(t *testing.T) {
	noEnvironment(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-p", "0", "--host", "127.0.0.1", "--log-format", "json", "--audit-db", filepath.Join(t.TempDir(), "a.db")}, io.Discard, w)
		w.Close()
	}()
	log := bufio.NewReader(r)
	url, _ := listening(t, log)
	go io.Copy(io.Discard, log)
	resp, err := http.Get(url + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("healthz: %v %v", resp, err)
	}
	resp.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestRunRefusesToStart(t *testing.T) {
	noEnvironment(t)
	dir := t.TempDir()
	busy := start(t, dir)
	_, port, _ := strings.Cut(strings.TrimPrefix(busy.url, "http://"), ":")
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"a mistyped command", []string{"verison"}, `unknown command "verison"`},
		{"an unknown option", []string{"--prot", "1"}, "-prot"},
		{"a wrong value", []string{"--port", "http"}, `invalid value "http" for --port (command line)`},
		{"a port in use", []string{"--port", port, "--host", "127.0.0.1", "--audit", "off"}, "port " + port + " is in use"},
		{"a log in use", []string{"--port", "0", "--audit-db", filepath.Join(dir, "httpipe.db")}, "httpipe.db"},
		{"a log in no directory", []string{"--port", "0", "--audit-db", filepath.Join(dir, "no", "a.db")}, "a.db"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr strings.Builder
			err := run(t.Context(), test.args, io.Discard, &stderr)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %q", err, test.want)
			}
			if strings.Contains(stderr.String(), "listening") {
				t.Errorf("it listened: %s", stderr.String())
			}
		})
	}
}

// TestSigterm: waiters are sent away at once, a running exchange may end, and the log tells it all.
func TestSigterm(t *testing.T) {
	p := start(t, t.TempDir())
	waiter := curl("-w", "%{http_code}", p.url+"/channels/v1/nobody")
	p.waitFor(t, "v1/nobody", "0", "1")
	body, feed := io.Pipe()
	produced := make(chan string, 1)
	go func() {
		resp, err := http.Post(p.url+"/channels/v1/slow", "text/plain", body)
		if err != nil {
			produced <- err.Error()
			return
		}
		resp.Body.Close()
		produced <- resp.Status
	}()
	go io.WriteString(feed, "first ")
	consumed, err := http.Get(p.url + "/channels/v1/slow")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { consumed.Body.Close() })

	p.Process.Signal(syscall.SIGTERM)
	if got := <-waiter; got != "503" {
		t.Errorf("the waiter got %q, want an empty 503", got)
	}
	health, err := http.Get(p.url + "/healthz")
	if err != nil || health.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("healthz while draining: %v %v", health, err)
	} else {
		health.Body.Close()
	}
	io.WriteString(feed, "last")
	feed.Close()
	whole, err := io.ReadAll(consumed.Body)
	if string(whole) != "first last" || err != nil {
		t.Errorf("the consumer got %q, %v", whole, err)
	}
	if got := <-produced; got != "200 OK" {
		t.Errorf("the producer got %s", got)
	}
	<-p.exited
	if p.err != nil {
		t.Errorf("exit: %v", p.err)
	}
	for query, want := range map[string]string{
		"select outcome, bytes from exchanges":            "delivered|10",
		"select role, outcome from requests":              "consumer|shut_down",
		"select clean, stopped_at is not null from runs":  "1|1",
		"select distinct reason from channels order by 1": "shut_down",
		"pragma integrity_check":                          "ok",
	} {
		if got := p.sqlite(t, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// TestSecondSignal: it cuts what the first one let run.
func TestSecondSignal(t *testing.T) {
	p := start(t, t.TempDir(), "--drain-timeout", "1h")
	body, feed := io.Pipe()
	t.Cleanup(func() { feed.Close() })
	produced := make(chan string, 1)
	go func() {
		resp, err := http.Post(p.url+"/channels/v1/endless", "text/plain", body)
		if err != nil {
			produced <- err.Error()
			return
		}
		resp.Body.Close()
		produced <- resp.Header.Get("Httpipe-Error")
	}()
	go io.WriteString(feed, "a")
	resp, err := http.Get(p.url + "/channels/v1/endless")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	p.Process.Signal(syscall.SIGTERM)
	for health := 0; health != http.StatusServiceUnavailable; {
		r, err := http.Get(p.url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		health = r.StatusCode
	}
	p.stop(t)
	if got := <-produced; got != "shut_down" {
		t.Errorf("the producer got %q", got)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the consumer's body looks whole")
	}
	if got := p.sqlite(t, "select outcome from exchanges"); got != "shut_down" {
		t.Errorf("outcome %q", got)
	}
}

// TestImports keeps the direction of the packages' dependencies.
func TestImports(t *testing.T) {
	for dir, allowed := range map[string][]string{
		"./access":            {"github.com/golang-jwt/jwt/v5", "github.com/hashicorp/golang-lru/v2"},
		"./pipe":              {},
		"./migrations":        {},
		"./store":             {"httpipe/migrations", "github.com/mattn/go-sqlite3", "golang.org/x/sys/unix"},
		"./metrics":           {"httpipe/pipe", "httpipe/store", "github.com/prometheus/client_golang/prometheus", "github.com/prometheus/client_golang/prometheus/collectors", "github.com/prometheus/client_golang/prometheus/promhttp"},
		"./httpapi":           {"httpipe/access", "httpipe/metrics", "httpipe/pipe", "httpipe/store", "github.com/google/uuid", "github.com/gorilla/handlers", "github.com/hashicorp/golang-lru/v2/simplelru", "golang.org/x/sys/unix", "golang.org/x/time/rate"},
		"./scripts/benchmark": {"httpipe/pipe", "httpipe/store", "github.com/google/uuid", "github.com/mattn/go-sqlite3", "golang.org/x/sys/unix"},
	} {
		out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range strings.Fields(string(out)) {
			standard := !strings.Contains(strings.Split(imported, "/")[0], ".") && !strings.HasPrefix(imported, "httpipe/")
			if dir == "./pipe" && (strings.HasPrefix(imported, "net") || strings.HasPrefix(imported, "database")) {
				t.Errorf("%s imports %s", dir, imported)
			}
			if !standard && !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s, which it should not know", dir, imported)
			}
		}
	}
}
