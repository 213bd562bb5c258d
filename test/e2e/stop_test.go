package e2e

import (
	"bufio"
	"io"
	"net/http"
	"os/exec"
	"syscall"
	"testing"

	"httpipe/test/kit"
)

// TestSigterm checks that waiting requests end at once, that a running exchange may finish, and that the log has both.
func TestSigterm(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	waiter := kit.Curl("-w", "%{http_code}", p.URL+"/channels/v1/waiting")
	p.WaitFor(t, "v1/waiting", "0", "1")
	body, feed := io.Pipe()
	produced := make(chan string, 1)
	go func() {
		resp, err := http.Post(p.URL+"/channels/v1/slow", "text/plain", body)
		if err != nil {
			produced <- err.Error()
			return
		}
		resp.Body.Close()
		produced <- resp.Status
	}()
	go io.WriteString(feed, "first ")
	consumed, err := http.Get(p.URL + "/channels/v1/slow")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { consumed.Body.Close() })

	p.Process.Signal(syscall.SIGTERM)
	if got := <-waiter; got != "503" {
		t.Errorf("the waiter got %q, want an empty 503", got)
	}
	health, err := http.Get(p.URL + "/healthz")
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
	<-p.Exited
	if p.ExitErr != nil {
		t.Errorf("exit: %v", p.ExitErr)
	}
	for query, want := range map[string]string{
		"select outcome, bytes from exchanges":            "delivered|10",
		"select role, outcome from requests":              "consumer|shut_down",
		"select clean, stopped_at is not null from runs":  "1|1",
		"select distinct reason from channels order by 1": "shut_down",
		"pragma integrity_check":                          "ok",
	} {
		if got := p.SQLite(t, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// TestSecondSignal checks that it cuts the exchanges that the first signal let run.
func TestSecondSignal(t *testing.T) {
	p := kit.Start(t, t.TempDir(), "--drain-timeout", "1h")
	body, feed := io.Pipe()
	t.Cleanup(func() { feed.Close() })
	produced := make(chan string, 1)
	go func() {
		resp, err := http.Post(p.URL+"/channels/v1/endless", "text/plain", body)
		if err != nil {
			produced <- err.Error()
			return
		}
		resp.Body.Close()
		produced <- resp.Header.Get("Httpipe-Error")
	}()
	go io.WriteString(feed, "a")
	resp, err := http.Get(p.URL + "/channels/v1/endless")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	p.Process.Signal(syscall.SIGTERM)
	for health := 0; health != http.StatusServiceUnavailable; {
		r, err := http.Get(p.URL + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		health = r.StatusCode
	}
	p.Stop(t)
	if got := <-produced; got != "shut_down" {
		t.Errorf("the producer got %q", got)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the consumer's body looks whole")
	}
	if got := p.SQLite(t, "select outcome from exchanges"); got != "shut_down" {
		t.Errorf("outcome %q", got)
	}
}

// TestReaderOfStderrEnds checks that the server goes on when nobody can read its log lines any more, as in "httpipe 2>&1 | head".
func TestReaderOfStderrEnds(t *testing.T) {
	cmd := exec.Command(kit.Binary(t), kit.OnFreePort...)
	cmd.Dir = t.TempDir()
	kit.EndWithTest(cmd)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	url, _ := kit.Listening(t, bufio.NewReader(stderr))
	stderr.Close()
	for range 2 {
		consumer := kit.Curl(url + "/channels/v1/a")
		if got := <-kit.Curl("-d", "hello", "-w", "%{http_code}", url+"/channels/v1/a"); got != "200" {
			t.Errorf("the producer got %q", got)
		}
		if got := <-consumer; got != "hello" {
			t.Errorf("the consumer got %q", got)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}
