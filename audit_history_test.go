package main

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"httpipe/store"
)

// httpipe runs the binary in the directory of p, and returns what it printed.
func (p *process) httpipe(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = p.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// relayOne lets an exchange happen.
func (p *process) relayOne(t *testing.T, channel string) {
	t.Helper()
	consumer := curl(p.url + "/channels/" + channel)
	if got := <-curl("-d", "hello", p.url+"/channels/"+channel) + <-consumer; got != "hello" {
		t.Fatalf("the two got %q", got)
	}
}

// TestHistoryCommands: what the commands tell of a log that a server writes at the same time.
func TestHistoryCommands(t *testing.T) {
	p := start(t, t.TempDir())
	p.relayOne(t, "v1/a")
	p.relayOne(t, "v1/=b")
	<-curl(p.url + "/channels/v1/c?wait=0")
	p.waitForRow(t, "select 1 from requests")
	id := p.sqlite(t, "select id from exchanges where channel = 'a'")
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
		got, err := p.httpipe(t, strings.Fields(test.args)...)
		if err != nil || !strings.Contains(got, test.want) || test.lacks != "" && strings.Contains(got, test.lacks) {
			t.Errorf("httpipe %s: %v\n%s", test.args, err, got)
		}
	}
	for args, want := range map[string]string{
		"audit list everything":               `unknown "everything"; there are exchanges, requests and channels`,
		"audit list --outcome lost":           `outcome="lost": want one of`,
		"audit list --role producer":          `"role" is no filter here`,
		"audit show none":                     `no exchange "none" is on record`,
		"audit export --format xml":           "want one of csv, ndjson",
		"audit summary --audit-db nowhere.db": "there is no such file",
	} {
		if got, err := p.httpipe(t, strings.Fields(args)...); err == nil || !strings.Contains(got, want) {
			t.Errorf("httpipe %s: %v, %s", args, err, got)
		}
	}
	p.stop(t)
	if got, err := p.httpipe(t, "audit", "list"); err != nil || !strings.Contains(got, id) {
		t.Errorf("after the server: %v, %s", err, got)
	}
}

// TestAuditTail: an exchange is printed when it has ended, also one that ran already.
func TestAuditTail(t *testing.T) {
	p := start(t, t.TempDir())
	p.relayOne(t, "v1/first")
	consumer := curl("-N", p.url+"/channels/v1/long")
	long := exec.Command("curl", "-sS", "-T", "-", p.url+"/channels/v1/long")
	feed, err := long.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := long.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { feed.Close(); long.Wait(); <-consumer })
	feed.Write([]byte("something\n"))
	p.waitForRow(t, "select 1 from exchanges where outcome = 'open'")

	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	tail := exec.Command(path, "audit", "tail", "-f", "--json")
	tail.Dir = p.dir
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
	p.relayOne(t, "v1/second")
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

// TestTailBetween: what happens between two questions of a tail is printed once, and of what it asks later it goes through nothing old.
func TestTailBetween(t *testing.T) {
	log, err := store.Open(store.Config{Path: filepath.Join(t.TempDir(), "httpipe.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	relay := func(channel string) {
		t.Helper()
		id, now := uuid.Must(uuid.NewV7()).String(), time.Now()
		log.ExchangeMatched(store.Match{ID: id, Namespace: "v1", Channel: channel, At: now})
		if err := log.ExchangeEnded(store.End{ID: id, At: now, Outcome: store.Delivered}).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	var printed []string
	between := func() { relay("between") }
	tail := &tail{history: log.History(), running: make(map[string]bool), print: func(page store.Page) error {
		for i := range page.Rows {
			printed = append(printed, page.Value(i, "channel").(string))
		}
		between()
		between = func() {}
		return nil
	}}
	relay("before")
	if err := tail.begin(t.Context(), 10, true); err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{"after", "later"} {
		relay(channel)
		if err := tail.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(printed, " "); got != "before between after later" {
		t.Errorf("printed is %q", got)
	}
	if time.Since(tail.since) > time.Minute {
		t.Errorf("it looks through all since %v", tail.since)
	}
}
