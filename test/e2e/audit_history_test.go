package e2e

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
)

// httpipe runs the binary in the directory of p, and returns what it printed.
func httpipe(t *testing.T, p *kit.Server, args ...string) (string, error) {
	t.Helper()
	path := kit.Binary(t)
	cmd := exec.Command(path, args...)
	cmd.Dir = p.Dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// relayOne relays one message.
func relayOne(t *testing.T, p *kit.Server, channel string) {
	t.Helper()
	consumer := kit.Curl(p.URL + "/channels/" + channel)
	if got := <-kit.Curl("-d", "hello", p.URL+"/channels/"+channel) + <-consumer; got != "hello" {
		t.Fatalf("the two got %q", got)
	}
}

// TestHistoryCommands runs the commands on the log of a running server.
func TestHistoryCommands(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	relayOne(t, p, "v1/a")
	relayOne(t, p, "v1/=b")
	<-kit.Curl(p.URL + "/channels/v1/c?wait=0")
	p.WaitForRow(t, "select 1 from requests")
	id := p.SQLite(t, "select id from exchanges where channel = 'a'")
	for _, test := range []struct{ args, want, lacks string }{
		{"audit list", "v1/=b", ""},
		{"audit list --namespace v1 --channel a --from 1h", id, "v1/=b"},
		{"audit list --outcome stalled", "MATCHED  CHANNEL  OUTCOME", "v1"},
		{"audit list --limit 1", "v1/=b", "v1/a"},
		{"audit list requests", "consumer  timed_out", ""},
		{"audit list channels --namespace v1", "idle", ""},
		{"audit list --json --channel a", `"channel":"a"`, `"=b"`},
		{"audit show " + id, "producer_agent       curl/", ""},
		{"audit show --json " + id, `{"id":"` + id + `"`, "\n{"},
		{"audit summary", "exchanges 2, bytes 10", ""},
		{"audit summary --json --channel a", `"complete":true`, ""},
		{"audit tail --limit 1", "delivered", "v1/a"},
		{"audit export", ",v1,'=b,delivered,5,", ""},
		{"audit export --format ndjson requests", `"outcome":"timed_out"`, ""},
	} {
		got, err := httpipe(t, p, strings.Fields(test.args)...)
		if err != nil || !strings.Contains(got, test.want) || test.lacks != "" && strings.Contains(got, test.lacks) {
			t.Errorf("httpipe %s: %v\n%s", test.args, err, got)
		}
	}
	for args, want := range map[string]string{
		"audit list everything":               `unknown "everything"; want one of exchanges, requests, channels`,
		"audit list --outcome lost":           `--outcome="lost": want one of`,
		"audit list --role producer":          "--role applies only to requests: httpipe audit list requests --role producer",
		"audit list channels --outcome left":  "--outcome applies only to exchanges, requests, calls, publications and subscriptions: httpipe audit list exchanges --outcome left",
		"audit show none":                     `no exchange has an id that begins with "none"`,
		"audit export --format xml":           "want one of csv, ndjson",
		"audit summary --audit-db nowhere.db": "there is no such file",
	} {
		if got, err := httpipe(t, p, strings.Fields(args)...); err == nil || !strings.Contains(got, want) {
			t.Errorf("httpipe %s: %v, %s", args, err, got)
		}
	}
	p.Stop(t)
	if got, err := httpipe(t, p, "audit", "list"); err != nil || !strings.Contains(got, id) {
		t.Errorf("after the server: %v, %s", err, got)
	}
}

// TestAuditTail checks that an exchange is printed when it ends, also one that had begun before.
func TestAuditTail(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	relayOne(t, p, "v1/first")
	consumer := kit.Curl("-N", p.URL+"/channels/v1/long")
	long := exec.Command("curl", "-sS", "-T", "-", p.URL+"/channels/v1/long")
	feed, err := long.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := long.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { feed.Close(); long.Wait(); <-consumer })
	feed.Write([]byte("something\n"))
	p.WaitForRow(t, "select 1 from exchanges where outcome = 'open'")

	path := kit.Binary(t)
	tail := exec.Command(path, "audit", "tail", "-f", "--json")
	tail.Dir = p.Dir
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(30*time.Second, func() { tail.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewScanner(out)
	next := func(channel, outcome string) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the tail has ended, want %s on %s", outcome, channel)
		}
		var row struct{ Channel, Outcome string }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil || row.Channel != channel || row.Outcome != outcome {
			t.Errorf("the tail says %s, %v; want %s on %s", lines.Text(), err, outcome, channel)
		}
	}
	next("first", "delivered")
	next("long", "open")
	relayOne(t, p, "v1/second")
	next("second", "delivered")
	feed.Close()
	next("long", "delivered")
	if err := tail.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if lines.Scan() {
		t.Errorf("the tail goes on: %s", lines.Text())
	}
	if err := tail.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}
