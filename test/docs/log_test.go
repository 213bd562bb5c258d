package docs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"httpipe/access"
	"httpipe/test/kit"
)

// TestQueries runs all queries on a log in which each of them should find something.
func TestQueries(t *testing.T) {
	p := kit.Start(t, t.TempDir(), "--auth-secret", kit.Secret, "--anonymous", "produce:*/* consume:*/* look:*/*", "--message-timeout", "200ms")
	channel := p.URL + "/channels/demo/hello"
	if got := <-kit.Curl("-X", "DELETE", channel); !strings.HasPrefix(got, "unauthorized: ") {
		t.Fatalf("a DELETE without a token gets %q", got)
	}
	if got := <-kit.Curl(channel + "?wait=1ms"); got != "" {
		t.Fatalf("a consumer that did not wait printed %q", got)
	}
	consumer := kit.Curl(channel)
	p.WaitFor(t, "demo/hello", "0", "1")
	if got := <-kit.Curl("-d", "hello", channel); got != "" {
		t.Fatalf("the producer got %q", got)
	}
	<-consumer
	cutOff(t, p, "demo/cut")
	keepRunning(t, p.URL+"/channels/demo/running")
	call(t, p, "demo/upper")
	publish(t, p, "demo/news")
	p.WaitForRow(t, "select 1 from exchanges where channel = 'cut' and outcome = 'consumer_left'")
	p.WaitForRow(t, "select 1 from exchanges where channel = 'running' and outcome = 'open'")
	p.WaitForRow(t, "select 1 from requests where outcome = 'refused'")

	id := p.SQLite(t, "select id from exchanges limit 1")
	publication := p.SQLite(t, "select publication from deliveries limit 1")
	found := 0
	for _, page := range pages(t) {
		for _, query := range blocks(t, page, "sql") {
			found++
			one := id
			if strings.Contains(query, "deliveries") {
				one = publication
			}
			query = regexp.MustCompile(varying[0][0]).ReplaceAllString(query, one)
			if p.SQLite(t, query) == "" {
				t.Errorf("%s: finds nothing: %s", page, query)
			}
		}
	}
	if found < 10 {
		t.Errorf("the documentation has only %d queries", found)
	}
}

// TestViews compares the columns that docs/audit.md lists for each view with those that it has.
func TestViews(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	columns := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [^|]* \\| (.*) \\|$").FindAllStringSubmatch(read(t, "docs/audit.md"), -1) {
		text := regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(row[2], "") // the values of a column
		columns[row[1]] = strings.Join(regexp.MustCompile(`[a-z_]+`).FindAllString(text, -1), "\n")
	}
	columns["exchanges_by_channel"] = columns["exchanges"] // "the same"
	views := strings.Fields(p.SQLite(t, "select name from sqlite_schema where type = 'view' order by name"))
	if len(views) == 0 || len(views) != len(columns) {
		t.Errorf("the log has the views %q, the page %d", views, len(columns))
	}
	for _, view := range views {
		if has := p.SQLite(t, "select name from pragma_table_info('"+view+"')"); has != columns[view] {
			t.Errorf("the view %s has the columns\n%s\nand the page lists\n%s", view, has, columns[view])
		}
	}
}

// cutOff lets an exchange end as consumer_left.
func cutOff(t *testing.T, p *kit.Server, channel string) {
	t.Helper()
	url := p.URL + "/channels/" + channel
	large := kit.WriteFile(t, filepath.Join(t.TempDir(), "large"), strings.Repeat("\x00", 20<<20))
	producer := kit.Curl("-T", large, url)
	if got := <-kit.Curl("--max-filesize", "1000", "-o", "/dev/null", url); !strings.Contains(got, "exit 63") {
		t.Fatalf("a consumer that accepts at most 1000 bytes: %q", got)
	}
	if got := <-producer; !strings.HasPrefix(got, "consumer_left: ") {
		t.Fatalf("the producer of a cut transfer got %q", got)
	}
}

// call makes a call that is answered, and one that is not.
func call(t *testing.T, p *kit.Server, service string) {
	t.Helper()
	answered := kit.Curl("-d", "hello", p.URL+"/services/"+service)
	reply := <-kit.Curl("-o", "/dev/null", "-w", "%header{httpipe-reply}", p.URL+"/work/"+service)
	if got := <-kit.Curl("-d", "answer", p.URL+reply); got != "" {
		t.Fatalf("the worker got %q", got)
	}
	if got := <-answered; got != "answer" {
		t.Fatalf("the caller got %q", got)
	}
	given := kit.Curl("--max-time", "1", p.URL+"/services/"+service)
	<-kit.Curl(p.URL + "/work/" + service)
	<-given
	p.WaitForRow(t, "select 1 from calls where outcome = 'left'")
}

// publish publishes messages that one subscriber takes, and another one, which does not read, at first.
func publish(t *testing.T, p *kit.Server, topic string) {
	t.Helper()
	address := p.URL + "/topics/" + topic
	takes := kit.Curl("-o", "/dev/null", address)
	stuck, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	fmt.Fprintf(stuck, "GET /topics/%s?follow HTTP/1.1\r\nHost: x\r\n\r\n", topic)
	large := kit.WriteFile(t, filepath.Join(t.TempDir(), "large"), strings.Repeat("x", 1<<20))
	if got := <-kit.Curl("-T", large, address+"?subscribers=2"); got != "" {
		t.Fatalf("the publisher got %q", got)
	}
	<-takes
	for range 20 {
		if p.SQLite(t, "select 1 from publications where delivered < subscribers") != "" {
			return
		}
		<-kit.Curl("-T", large, address)
	}
	t.Fatal("the subscriber that does not read was not cut")
}

// keepRunning starts an exchange that runs until the test ends.
func keepRunning(t *testing.T, url string) {
	t.Helper()
	consumer := kit.Curl("-N", url)
	producer := exec.Command("curl", "-sS", "-T", "-", url)
	feed, err := producer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := producer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { feed.Close(); producer.Wait(); <-consumer })
	fmt.Fprintln(feed, "something")
}

// TestClaims signs the claims that docs/access.md shows, and checks what the token allows.
func TestClaims(t *testing.T) {
	secrets, err := access.ParseSecrets(kit.Secret)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	claims := theBlock(t, "docs/access.md", "json", `"sub"`)
	text := encode([]byte(`{"typ":"JWT","alg":"HS256"}`)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, []byte(kit.Secret))
	io.WriteString(mac, text)
	b, err := access.New(secrets, nil).Authenticate(text+"."+encode(mac.Sum(nil)), time.Unix(1795305600, 0))
	if err != nil || b.Name != "ci" || !b.May(access.Produce, "jobs", "a") || !b.May(access.Look, "logs", "ci") || b.May(access.Consume, "jobs", "a") {
		t.Errorf("the claims: %+v, %v", b, err)
	}
}
