package main

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scrape returns what a server says of itself, after an exchange and an error, so that all there can be is there.
func scrape(t *testing.T, p *process) string {
	t.Helper()
	consumer := curl(p.url + "/channels/v1/do_work")
	if got := <-curl("-d", "hello", p.url+"/channels/v1/do_work"); got != "" {
		t.Fatalf("the producer was told %q", got)
	}
	<-consumer
	<-curl(p.url + "/nothing")
	code, text := execute(t, p.dir, "curl", "-sS", "-f", p.metrics)
	if code != 0 {
		t.Fatalf("curl %s: %d\n%s", p.metrics, code, text)
	}
	return text
}

// TestPromtool has Prometheus' own tool look at the names, units and explanations.
func TestPromtool(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not installed; scripts/test installs it")
	}
	text := scrape(t, start(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0"))
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

// TestReadmeMetrics compares the README's table with a scrape.
func TestReadmeMetrics(t *testing.T) {
	text := scrape(t, start(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0"))
	var want strings.Builder
	want.WriteString("| metric | type | labels | |\n| --- | --- | --- | --- |\n")
	family := regexp.MustCompile(`(?m)^# HELP (httpipe_\S+) (.*)\n# TYPE \S+ (\S+)\n\S+?(?:\{(.*)\})? `)
	for _, m := range family.FindAllStringSubmatch(text, -1) {
		labels := "–"
		if names := labelNames(m[4]); len(names) > 0 {
			labels = "`" + strings.Join(names, "`, `") + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", m[1], m[3], labels, m[2])
	}
	if !strings.Contains(readme(t), want.String()) {
		t.Errorf("the README's table of metrics should be:\n%s", want.String())
	}
}

// labelNames returns those of a sample, but for a histogram's own.
func labelNames(labels string) (names []string) {
	for _, m := range regexp.MustCompile(`(\w+)="[^"]*"`).FindAllStringSubmatch(labels, -1) {
		if m[1] != "le" {
			names = append(names, m[1])
		}
	}
	return slices.Compact(names)
}

// TestMetricsAddr: metrics are where they are asked for, and nowhere else, until the server has stopped.
func TestMetricsAddr(t *testing.T) {
	p := start(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0", "--audit", "off")
	for _, test := range []struct {
		method, url string
		want        int
	}{
		{"GET", p.metrics, 200},
		{"POST", p.metrics, 405},
		{"DELETE", p.metrics, 405},
		{"GET", strings.TrimSuffix(p.metrics, "metrics"), 404},
		{"GET", strings.TrimSuffix(p.metrics, "metrics") + "state", 404},
		{"GET", p.url + "/metrics", 404},
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

	// It can still be seen what a server that stops waits for.
	body, feed := io.Pipe()
	go http.Post(p.url+"/channels/v1/endless", "text/plain", body)
	go io.WriteString(feed, "a")
	resp, err := http.Get(p.url + "/channels/v1/endless")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stopped := make(chan struct{})
	go func() { defer close(stopped); p.stop(t) }()
	for health := 0; health != http.StatusServiceUnavailable; {
		r, err := http.Get(p.url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		health = r.StatusCode
	}
	if _, text := execute(t, p.dir, "curl", "-sS", p.metrics); !strings.Contains(text, "\nhttpipe_exchanges_running 1\n") {
		t.Errorf("while it stops the scrape is\n%s", text)
	}
	feed.Close()
	<-stopped
	if code, _ := execute(t, p.dir, "curl", "-sS", p.metrics); code != 7 {
		t.Errorf("after the stop curl ends with %d, want 7: nobody listens", code)
	}
}

// TestProcessors: the writer of the audit log has a thread of its own, unless GOMAXPROCS says how many there are.
func TestProcessors(t *testing.T) {
	threads := func(args ...string) (n int) {
		t.Helper()
		p := start(t, t.TempDir(), append(args, "--metrics-addr", "127.0.0.1:0")...)
		text, err := io.ReadAll(get(t, p.metrics).Body)
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
