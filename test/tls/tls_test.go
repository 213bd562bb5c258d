package tls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
	"httpipe/test/rawhttp"
)

// TestSmoke: what scripts/smoke sees of a server over plain HTTP it sees over TLS, with the old version and the new one.
func TestSmoke(t *testing.T) {
	s := start(t)
	kit.Smoke(t, "--audit-db", filepath.Join(s.Dir, "httpipe.db"), s.URL)
	for _, version := range [][]string{{"--tlsv1.2", "--tls-max", "1.2"}, {"--tlsv1.3"}, {"--http1.0"}} {
		consumer := kit.Patient(append(version, s.URL+"/channels/v1/a")...)
		if got := <-kit.Patient(append(version, "-d", "hello", s.URL+"/channels/v1/a")...); got != "" {
			t.Errorf("%q: the producer was told %q", version, got)
		}
		if got := <-consumer; got != "hello" {
			t.Errorf("%q: the consumer got %q", version, got)
		}
	}
	if code, output := kit.Run(t, s.Dir, "healthcheck", "--port", strings.Split(s.addr(), ":")[1], "--tls-cert", s.certificate); code != 0 {
		t.Errorf("healthcheck: %d, %s", code, output)
	}
	t.Setenv("SSL_CERT_FILE", s.ca.file)
	if code, output := kit.Run(t, s.Dir, "healthcheck", s.URL); code != 0 {
		t.Errorf("healthcheck: %d, %s", code, output)
	}
	s.Stop(t)
	if log := s.Log.String(); strings.Contains(log, `"level":"WARN"`) || strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the log: %s", log)
	}
}

func TestPlainHTTP(t *testing.T) {
	s := start(t, "--log-level", "debug")
	for _, args := range [][]string{{"-d", "hello"}, {"-T", "/bin/sh"}, {"-L", "-d", "hello"}, {"--http1.0"}} {
		got := <-kit.Patient(append(args, "-w", " %{http_code} %{num_redirects}", "http://"+s.addr()+"/channels/v1/a")...)
		if !strings.HasPrefix(got, "https_required: ") || !strings.HasSuffix(got, " 403 0") {
			t.Errorf("curl %q: %q", args, got)
		}
	}
	if got := s.SQLite(t, "select count(*) from requests"); got != "0" {
		t.Errorf("%s requests are on record", got)
	}
	s.Stop(t)
	if log := s.Log.String(); strings.Count(log, `"level":"DEBUG","msg":"TLS handshake failed","client":"127.0.0.1"`) != 4 {
		t.Errorf("the log: %s", log)
	}
}

// TestOpenSSL: TLS 1.2 and 1.3 with HTTP/1.1, and nothing else.
func TestOpenSSL(t *testing.T) {
	kit.NeedTool(t, "openssl")
	s := start(t)
	for args, want := range map[string]string{
		"-tls1_2":                   "Protocol  : TLSv1.2",
		"-tls1_3 -alpn http/1.1":    "ALPN protocol: http/1.1",
		"-tls1_3 -alpn h2,http/1.1": "ALPN protocol: http/1.1",
		"-tls1_3":                   "Verify return code: 0 (ok)",
		"-tls1_3 -alpn h2":          "no application protocol",
		"-tls1_1":                   "alert protocol version",
	} {
		client := exec.Command("openssl", append([]string{"s_client", "-connect", s.addr(), "-CAfile", s.ca.file, "-cipher", "DEFAULT:@SECLEVEL=0"}, strings.Fields(args)...)...)
		client.Stdin = strings.NewReader("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		out, _ := client.CombinedOutput()
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("s_client %s: want %q\n%s", args, want, out)
		}
	}
}

// TestCutOff: curl never takes a body that was cut off for whole, whatever its framing, its version and the cause.
func TestCutOff(t *testing.T) {
	s := start(t)
	for _, version := range []string{"--http1.0", "--http1.1"} {
		for _, length := range []int64{-1, 100} {
			name := fmt.Sprintf("%s, length %d", version, length)
			cut := func(end func(feed *io.PipeWriter)) {
				t.Helper()
				body, feed := io.Pipe()
				defer feed.Close()
				kit.Post(t, s.URL+"/channels/v1/cut", body, length)
				file := filepath.Join(t.TempDir(), "got")
				consumer := kit.Patient(version, "-N", "-o", file, s.URL+"/channels/v1/cut")
				feed.Write([]byte("hello"))
				eventually(t, "the first bytes have come", func() bool { got, _ := os.ReadFile(file); return string(got) == "hello" })
				end(feed)
				got := <-consumer
				if !strings.HasSuffix(got, "[exit 18]") && !strings.HasSuffix(got, "[exit 56]") {
					t.Errorf("%s: curl says %q", name, got)
				}
			}
			cut(func(feed *io.PipeWriter) { feed.CloseWithError(errors.New("the producer dies")) })
			cut(func(*io.PipeWriter) { <-kit.Curl("-X", "DELETE", s.URL+"/channels/v1/cut") })
			if version == "--http1.1" || length > 0 {
				continue
			}
			cut(func(*io.PipeWriter) { s.Process.Kill() }) // the last one
			return
		}
	}
}

// TestHangUp: a client that hangs up while it waits is out of the queue: killed, or after a close_notify.
func TestHangUp(t *testing.T) {
	s := start(t)
	for _, signal := range []os.Signal{syscall.SIGKILL, syscall.SIGINT} {
		for _, waiter := range [][]string{{}, {"-d", "never"}, {"-T", "/bin/sh"}} {
			curl := exec.Command("curl", append(waiter, "-sS", s.URL+"/channels/v1/left")...)
			kit.EndWithTest(curl)
			if err := curl.Start(); err != nil {
				t.Fatal(err)
			}
			if len(waiter) == 0 {
				s.WaitFor(t, "v1/left", "0", "1")
			} else {
				s.WaitFor(t, "v1/left", "1", "0")
			}
			curl.Process.Signal(signal)
			curl.Wait()
			s.WaitFor(t, "v1/left", "", "")
		}
	}
	rawhttp.Eventually(t, 5*time.Second, "the log has six clients that left", func() bool { // nobody waits for these rows
		return s.SQLite(t, "select outcome, sum(count) from requests group by outcome") == "left|6"
	})
}

// TestStalled: a consumer that stops reading is cut off, and a slow one is not.
func TestStalled(t *testing.T) {
	s := start(t, "--stall-timeout", "2s")
	stopped := exec.Command("curl", "-sS", "-o", os.DevNull, s.URL+"/channels/v1/big")
	kit.EndWithTest(stopped)
	if err := stopped.Start(); err != nil {
		t.Fatal(err)
	}
	defer stopped.Wait()
	defer stopped.Process.Kill()
	s.WaitFor(t, "v1/big", "0", "1")
	stopped.Process.Signal(syscall.SIGSTOP)
	slow := kit.Patient("--limit-rate", "2M", "-o", os.DevNull, "-w", "%{size_download}", s.URL+"/channels/v1/slow")
	done := kit.Post(t, s.URL+"/channels/v1/slow", io.LimitReader(kit.Zeros{}, 12<<20), 12<<20)
	if got := <-kit.Post(t, s.URL+"/channels/v1/big", io.LimitReader(kit.Zeros{}, 64<<20), 64<<20); got != "504" {
		t.Errorf("the producer of a consumer that is stopped got %s", got)
	}
	if got := <-slow; got != fmt.Sprint(12<<20) {
		t.Errorf("the slow consumer got %s", got)
	}
	if got := <-done; got != "200" {
		t.Errorf("its producer got %s", got)
	}
	if got := s.SQLite(t, "select channel, outcome from exchanges order by channel"); got != "big|stalled\nslow|delivered" {
		t.Errorf("on record is %s", got)
	}
}

// TestDrain: a server that stops ends its waiters with 503, and lets an exchange end.
func TestDrain(t *testing.T) {
	s := start(t)
	waiter := kit.Patient("-w", "%{http_code}", s.URL+"/channels/v1/waiting")
	s.WaitFor(t, "v1/waiting", "0", "1")
	body, feed := io.Pipe()
	produced := kit.Post(t, s.URL+"/channels/v1/slow", body, -1)
	consumer := kit.Patient(s.URL + "/channels/v1/slow")
	feed.Write([]byte("first "))
	s.WaitForRow(t, "select 1 from exchanges where channel = 'slow'")
	s.Process.Signal(syscall.SIGTERM)
	if got := <-waiter; got != "503" {
		t.Errorf("the waiter got %q", got)
	}
	feed.Write([]byte("last"))
	feed.Close()
	if got := <-consumer; got != "first last" {
		t.Errorf("the consumer got %q", got)
	}
	if got := <-produced; got != "200" {
		t.Errorf("the producer got %s", got)
	}
	<-s.Exited
	if s.ExitErr != nil {
		t.Errorf("exit: %v", s.ExitErr)
	}
}

// TestReload: files that change are read again, and no connection ends.
func TestReload(t *testing.T) {
	s := start(t)
	serial := func() string {
		shown, err := served(s.addr(), "localhost")
		if err != nil {
			return err.Error()
		}
		return shown.SerialNumber.String()
	}
	old := kit.Patient(s.URL + "/channels/v1/old")
	s.WaitFor(t, "v1/old", "0", "1")

	s.ca.write(t, 2, s.certificate, s.key)
	eventually(t, "the second certificate is served", func() bool { return serial() == "2" })
	if got := <-kit.Patient("-d", "hello", s.URL+"/channels/v1/old"); got != "" {
		t.Errorf("the producer was told %q", got)
	}
	if got := <-old; got != "hello" {
		t.Errorf("the consumer from before got %q", got)
	}
}

// TestManyHandshakes: clients that connect without a handshake do not exclude others when descriptors run out.
func TestManyHandshakes(t *testing.T) {
	kit.NeedTool(t, "prlimit")
	s := startBy(t, []string{"prlimit", "--nofile=128:128"}, "--header-timeout", "1h")
	consumer := kit.Patient(s.URL + "/channels/v1/a")
	s.WaitFor(t, "v1/a", "0", "1")
	var silent []net.Conn // kept reachable, and so open
	for range 120 {
		conn, err := net.DialTimeout("tcp", s.addr(), time.Second)
		if err != nil {
			break // the queue of connections that the server has not accepted is full, too
		}
		silent = append(silent, conn)
	}
	if got := <-kit.Patient("-d", "hello", s.URL+"/channels/v1/a"); got != "" {
		t.Errorf("the producer was told %q", got)
	}
	if got := <-consumer; got != "hello" {
		t.Errorf("the consumer got %q", got)
	}
	for _, conn := range silent {
		conn.Close()
	}
}

// TestGoClient: many requests on kept connections.
func TestGoClient(t *testing.T) {
	s := start(t)
	load := kit.StartLoad(t, s.URL, 8)
	load.More(t, 500)
	load.Stop(t)
	response, err := http.Get(s.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(text), "curl "+s.URL) {
		t.Errorf("the manual: %.100s…, %v", text, err)
	}
}
