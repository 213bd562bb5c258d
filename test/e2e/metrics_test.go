package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestPromtool runs Prometheus' linter on the names, units and help texts.
func TestPromtool(t *testing.T) {
	kit.NeedTool(t, "promtool")
	text := kit.Scrape(t, kit.Start(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0"))
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	for _, others := range []string{"go_goroutines", "go_gc_duration_seconds", "process_open_fds", "process_resident_memory_bytes"} {
		if !strings.Contains(text, "\n"+others) {
			t.Errorf("the scrape is without %s", others)
		}
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "do_work") || strings.Contains(line, "v1") && !strings.HasPrefix(line, "go_info") {
			t.Errorf("a channel's name is in %s", line)
		}
	}
}

// TestMetricsAddr checks that metrics are served at --metrics-addr only, until the server has stopped.
func TestMetricsAddr(t *testing.T) {
	p := kit.Start(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0", "--audit", "off")
	for _, test := range []struct {
		method, url string
		want        int
	}{
		{"GET", p.Metrics, 200},
		{"POST", p.Metrics, 405},
		{"DELETE", p.Metrics, 405},
		{"GET", strings.TrimSuffix(p.Metrics, "metrics"), 404},
		{"GET", strings.TrimSuffix(p.Metrics, "metrics") + "state", 404},
		{"GET", p.URL + "/metrics", 404},
	} {
		req, err := http.NewRequest(test.method, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("%s %s: %s, want %d", test.method, test.url, resp.Status, test.want)
		}
	}

	// A server that drains still serves its metrics.
	body, feed := io.Pipe()
	go http.Post(p.URL+"/channels/v1/endless", "text/plain", body)
	go io.WriteString(feed, "a")
	resp, err := http.Get(p.URL + "/channels/v1/endless")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stopped := make(chan struct{})
	go func() { defer close(stopped); p.Stop(t) }()
	for health := 0; health != http.StatusServiceUnavailable; {
		r, err := http.Get(p.URL + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		health = r.StatusCode
	}
	if _, text := kit.Execute(t, p.Dir, "curl", "-sS", p.Metrics); !strings.Contains(text, "\nhttpipe_exchanges_running 1\n") {
		t.Errorf("while it stops the scrape is\n%s", text)
	}
	feed.Close()
	<-stopped
	if code, _ := kit.Execute(t, p.Dir, "curl", "-sS", p.Metrics); code != 7 {
		t.Errorf("after the stop curl ends with %d, want 7: connection refused", code)
	}
}

// TestProcessors checks that the audit log's writer gets an additional thread, unless GOMAXPROCS is set.
func TestProcessors(t *testing.T) {
	threads := func(args ...string) (n int) {
		t.Helper()
		p := kit.Start(t, t.TempDir(), append(args, "--metrics-addr", "127.0.0.1:0")...)
		text, err := io.ReadAll(kit.Get(t, p.Metrics).Body)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			fmt.Sscanf(line, "go_sched_gomaxprocs_threads %d", &n)
		}
		return n
	}
	t.Setenv("GOMAXPROCS", "")
	if with, without := threads(), threads("--audit", "off"); without == 0 || with != without+1 {
		t.Errorf("%d threads with a log, %d without", with, without)
	}
	t.Setenv("GOMAXPROCS", "1")
	if n := threads(); n != 1 {
		t.Errorf("%d threads, want the one that is asked for", n)
	}
}
