package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"httpipe/test/kit"
)

// TestPublishAndSubscribe: each subscriber gets each message, however it takes it. After the relay was killed it is subscribed
// again, and told what it missed.
func TestPublishAndSubscribe(t *testing.T) {
	t.Parallel()
	p := kit.Start(t, t.TempDir())
	_, port, _ := strings.Cut(strings.TrimPrefix(p.URL, "http://"), ":")
	dir, url := t.TempDir(), p.URL+"/topics/demo/news"
	kit.WriteFile(t, filepath.Join(dir, "text"), "one\n\ntwo")
	kit.WriteFile(t, filepath.Join(dir, "binary"), "\xff\x00\r\n")
	plain := startClient(t, dir, "subscribe", url)
	json := startClient(t, dir, "subscribe", "--json", url)
	waitForSubscribers(t, url, 2)
	third := startClient(t, dir, "publish", "--json", "--subscribers", "3", "--round", "100ms", "text", "binary", url)
	p.WaitForRow(t, "select 1 from requests where outcome = 'timed_out' limit 1")
	commands := startClient(t, dir, "subscribe", url, "--", "sh", "-c", `touch seen$(wc -c); [ -n "$HTTPIPE_PUBLICATION" ]`)
	if sent, _ := third.end(t, 0); strings.Count(sent, `"subscribers":3,"delivered":3`) != 2 || !strings.Contains(sent, `"file":"binary"`) {
		t.Errorf("publish printed %s", sent)
	}
	waitForFiles(t, dir, "seen8", "seen4")
	commands.Process.Signal(syscall.SIGTERM)
	if _, stderr := commands.end(t, 0); stderr != "" {
		t.Errorf("the commands failed: %q", stderr)
	}

	for _, c := range []*command{plain, json} {
		c.Process.Signal(syscall.SIGSTOP) // so that they do not return before something is published
	}
	p.Process.Kill()
	<-p.Exited
	p = kit.Start(t, p.Dir, "--port", port)
	if got := <-kit.Patient("-d", "missed", url); got != "" {
		t.Errorf("the publisher got %q", got)
	}
	for _, c := range []*command{plain, json} {
		c.Process.Signal(syscall.SIGCONT)
	}
	waitForSubscribers(t, url, 2)
	if code, output := kit.Execute(t, dir, "sh", "-c", `echo last | "$0" publish "$1"`, kit.Binary(t), url); code != 0 || output != "" {
		t.Errorf("publish: %d, %s", code, output)
	}
	plain.Process.Signal(syscall.SIGTERM)
	json.Process.Signal(syscall.SIGTERM)
	if got, stderr := plain.end(t, 0); got != "one\n\ntwo\n\xff\x00\r\nlast\n" || !strings.Contains(stderr, "httpipe: messages missed: 1\n") {
		t.Errorf("subscribe printed %q, %q", got, stderr)
	}
	got, _ := json.end(t, 0)
	for i, want := range []string{`"text":"one\n\ntwo"}`, `"base64":"/wANCg=="}`, `"missed":"1"}`, `"text":"last\n"}`} {
		if lines := strings.Split(got, "\n"); len(lines) != 5 || !strings.HasSuffix(lines[i], want) {
			t.Fatalf("subscribe --json printed\n%swant %s in line %d", got, want, i+1)
		}
	}
	if code, output := kit.Run(t, dir, "subscribe", p.URL+"/channels/demo/news"); code != 2 || !strings.Contains(output, "is not the URL of a topic, such as "+p.URL+"/topics/demo/hello") {
		t.Errorf("of a channel: %d, %s", code, output)
	}
}
