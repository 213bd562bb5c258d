package kit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Server is a running httpipe.
type Server struct {
	*exec.Cmd
	URL     string // http://127.0.0.1:…, or https://…
	Metrics string // URL to scrape; empty without --metrics-addr
	Dir     string // its working directory, which has the audit log

	// Exited is closed when the process has exited. Then ExitErr is what Wait returned, and Log is all that it logged.
	Exited  chan struct{}
	ExitErr error
	Log     bytes.Buffer
}

// Start runs the binary in dir on a free port, and returns when it listens. The end of the test kills it if it still
// runs.
func Start(t *testing.T, dir string, args ...string) *Server {
	t.Helper()
	return StartBy(t, dir, nil, args...)
}

// StartBy is Start through a command that executes the command line that is appended to it.
func StartBy(t *testing.T, dir string, by []string, args ...string) *Server {
	t.Helper()
	return startIn(t, dir, slices.Concat(by, []string{Binary(t)}, OnFreePort, args))
}

// StartPlain is Start for PlainBinary.
func StartPlain(t *testing.T, dir string, args ...string) *Server {
	t.Helper()
	return startIn(t, dir, slices.Concat([]string{PlainBinary(t)}, OnFreePort, args))
}

func startIn(t *testing.T, dir string, command []string) *Server {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	return StartCommand(t, cmd)
}

// OnFreePort are the options that let a server listen on a free port and log its address in a form that Listening reads.
var OnFreePort = []string{"--port", "0", "--host", "127.0.0.1", "--log-format", "json"}

// StartCommand is Start for a command that runs httpipe with the options of OnFreePort.
func StartCommand(t *testing.T, cmd *exec.Cmd) *Server {
	t.Helper()
	p := &Server{Cmd: cmd, Dir: cmd.Dir, Exited: make(chan struct{})}
	EndWithTest(cmd)
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(io.TeeReader(stderr, &p.Log))
	p.URL, p.Metrics = Listening(t, lines)
	go func() {
		defer close(p.Exited)
		io.Copy(io.Discard, lines)
		p.ExitErr = p.Wait()
	}()
	t.Cleanup(func() {
		p.Process.Kill()
		<-p.Exited
	})
	return p
}

// Listening reads the log until the line that gives the addresses, and returns their URLs.
func Listening(t *testing.T, log *bufio.Reader) (url, metrics string) {
	t.Helper()
	printed := ""
	for {
		line, err := log.ReadString('\n')
		printed += line
		if err != nil {
			t.Fatalf("the server did not start: %s%v", printed, err)
		}
		var entry struct {
			Msg, Addr, URL string
			Metrics        string `json:"metrics_addr"`
		}
		if json.Unmarshal([]byte(line), &entry) != nil || entry.Msg != "listening" {
			continue
		}
		if entry.Metrics != "" {
			metrics = "http://" + entry.Metrics + "/metrics"
		}
		scheme, _, _ := strings.Cut(entry.URL, "://")
		return scheme + "://" + entry.Addr, metrics
	}
}

// Stop sends SIGTERM and requires a clean exit.
func (p *Server) Stop(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.Exited
	if p.ExitErr != nil {
		t.Fatalf("after SIGTERM: %v", p.ExitErr)
	}
}

// WaitFor polls until so many producers and consumers wait on the channel. It fails the test after Patience.
func (p *Server) WaitFor(t *testing.T, channel string, producers, consumers string) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for ; ; time.Sleep(Pause) {
		resp, err := http.Head(p.URL + "/channels/" + channel)
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

// Execute runs a command in dir, and returns its exit code with its output and error output.
func Execute(t *testing.T, dir string, command ...string) (code int, output string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// SQLite runs a query on the audit log with the sqlite3 command, and returns what it prints.
func (p *Server) SQLite(t *testing.T, query string) string {
	t.Helper()
	return SQLite(t, filepath.Join(p.Dir, "httpipe.db"), query, "-readonly")
}

// SQLite is Server.SQLite for any database file.
func SQLite(t *testing.T, path, query string, options ...string) string {
	t.Helper()
	out, err := exec.Command("sqlite3", append(options, path, query)...).CombinedOutput()
	if err != nil {
		t.Fatalf("sqlite3 %q: %v\n%s", query, err, out)
	}
	return strings.TrimSpace(string(out))
}

// WaitForRow polls until the query prints something. It fails the test after Patience.
func (p *Server) WaitForRow(t *testing.T, query string) {
	t.Helper()
	for deadline := time.Now().Add(Patience); p.SQLite(t, query) == ""; time.Sleep(5 * Pause) {
		if time.Now().After(deadline) {
			t.Fatalf("the query still finds nothing: %s", query)
		}
	}
}
