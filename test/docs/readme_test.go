package docs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"httpipe/access"

	"httpipe/test/kit"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the fenced blocks of the README in the given language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(readme(t), -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		t.Fatalf("the README has no %s block", language)
	}
	return found
}

// Words that differ from run to run.
var (
	anID   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	aTime  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)
	aSize  = regexp.MustCompile(`schema \d+, [\d.]+ [KM]iB`)
	aRoute = regexp.MustCompile(`channels/[^\s/]+/[^\s/]+`)
)

func normal(s string) string {
	s = aSize.ReplaceAllString(strings.ReplaceAll(s, "\r", ""), "SIZE")
	return strings.TrimSpace(aTime.ReplaceAllString(anID.ReplaceAllString(s, "ID"), "TIME"))
}

// TestReadmeTranscripts replays what the README shows, with the real binary, curl and sqlite3.
func TestReadmeTranscripts(t *testing.T) {
	for _, block := range blocks(t, "console") {
		name, _, _ := strings.Cut(block, "\n")
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			license, err := os.ReadFile("LICENSE")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "LICENSE"), license, 0o600); err != nil {
				t.Fatal(err)
			}
			path := kit.Binary(t)
			addr := kit.FreeAddress(t) // for the block's own server, if it starts one
			if !ownServer.MatchString(block) {
				addr = strings.TrimPrefix(kit.Start(t, dir).URL, "http://")
			}
			script, want := transcript(block, "http://"+addr)
			bash := exec.Command("bash", "-c", script)
			bash.Dir = dir
			host, port, _ := strings.Cut(addr, ":")
			bash.Env = append(os.Environ(), "PATH="+filepath.Dir(path)+":"+os.Getenv("PATH"), "HTTPIPE_HOST="+host, "HTTPIPE_PORT="+port)
			out, err := bash.Output()
			got := strings.ReplaceAll(string(out), dir+"/", "")
			if err != nil || normal(got) != normal(want) {
				t.Errorf("%v; printed\n%s\nwant\n%s\nscript\n%s", err, got, want, script)
			}
		})
	}
}

var (
	// ownServer is in a block that starts a server.
	ownServer = regexp.MustCompile(`(?m)^\$ httpipe\b.*&$`)
	// assignment is a command that must run in the shell itself.
	assignment = regexp.MustCompile(`^(export )?\w+=`)
)

// transcript makes a script of a block's commands, and returns it with what it should print. Where a person would be slow
// enough, the script waits: for a command in the background to have arrived, and for the log to have all rows.
func transcript(block, url string) (script, want string) {
	for _, part := range strings.Split("\n"+strings.TrimSuffix(block, "\n"), "\n$ ")[1:] {
		command, printed, any := strings.Cut(part, "\n")
		if any {
			want += printed + "\n"
		}
		if strings.HasPrefix(command, "go run .") {
			continue // the test has started it
		}
		look := strings.HasPrefix(command, "sqlite3") || strings.HasPrefix(command, "httpipe audit") || strings.Contains(command, "/audit/exchanges")
		command = strings.ReplaceAll(command, "localhost:3000", url)
		switch background := strings.HasSuffix(command, "&"); {
		case background && strings.HasPrefix(command, "httpipe"):
			script += command + "\ntrap \"kill $!\" EXIT; disown\n"
			script += fmt.Sprintf("until curl -sf -o /dev/null %s/healthz; do :; done\n", url)
		case background:
			script += command + "\n"
			for _, route := range aRoute.FindAllString(command, -1) {
				script += fmt.Sprintf("until curl -sfI -u \":$HTTPIPE_AUTH_SECRET\" -o /dev/null %s/%s; do :; done\n", url, route)
			}
		case assignment.MatchString(command):
			script += command + "\n"
		case look:
			// The row of a refusal is committed soon after the answer. So the look is repeated while it prints too few lines.
			script += fmt.Sprintf("wait\nfor _ in {1..100}; do seen=$(%s)\n[ $(echo \"$seen\" | wc -l) -lt %d ] || break; sleep 0.05; done; echo \"$seen\"\n",
				command, strings.Count(strings.TrimSpace(printed), "\n")+1)
		default:
			// A shell's next prompt would stand behind a message that ends without a newline.
			script += command + ` | sed '$a\'` + "\n"
		}
	}
	return script + "wait\n", want
}

// TestReadmeQueries runs the README's queries on a log in which each of them should find something.
func TestReadmeQueries(t *testing.T) {
	p := kit.Start(t, t.TempDir(), "--auth-secret", kit.Secret, "--anonymous", "produce:*/* consume:*/* look:*/*")
	channel := p.URL + "/channels/v1/do_work"
	if got := <-kit.Curl("-X", "DELETE", channel); !strings.HasPrefix(got, "unauthorized: ") {
		t.Fatalf("who deletes without a token is told %q", got)
	}
	if got := <-kit.Curl(channel + "?wait=1ms"); got != "" {
		t.Fatalf("a consumer who did not wait printed %q", got)
	}
	consumer := kit.Curl(channel)
	p.WaitFor(t, "v1/do_work", "0", "1")
	if got := <-kit.Curl("-d", "hello", channel); got != "" {
		t.Fatalf("the producer was told %q", got)
	}
	<-consumer
	cutOff(t, p, "v1/cut")
	running := kit.Curl("-N", p.URL+"/channels/v1/running")
	endless := exec.Command("curl", "-sS", "-T", "-", p.URL+"/channels/v1/running")
	feed, err := endless.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := endless.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { feed.Close(); endless.Wait(); <-running })
	fmt.Fprintln(feed, "something")
	// The row of an ending may be later than what the two sides were told of it, if that was no 200.
	p.WaitForRow(t, "select 1 from exchanges where channel = 'cut' and outcome = 'consumer_left'")
	p.WaitForRow(t, "select 1 from exchanges where channel = 'running' and outcome = 'open'")

	id := p.SQLite(t, "select id from exchanges limit 1")
	for _, query := range blocks(t, "sql") {
		query = anID.ReplaceAllString(query, id)
		if p.SQLite(t, query) == "" {
			t.Errorf("finds nothing: %s", query)
		}
	}
}

// cutOff lets an exchange end as consumer_left.
func cutOff(t *testing.T, p *kit.Server, channel string) {
	t.Helper()
	url := p.URL + "/channels/" + channel
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	producer := kit.Curl("-T", large, url)
	if got := <-kit.Curl("--max-filesize", "1000", "-o", "/dev/null", url); !strings.Contains(got, "exit 63") {
		t.Fatalf("a consumer that wanted 1000 bytes at the most: %q", got)
	}
	if got := <-producer; !strings.HasPrefix(got, "consumer_left: ") {
		t.Fatalf("the producer of a cut transfer was told %q", got)
	}
}

// TestReadmeLoop runs the consumer's loop through waits that are over and three messages.
func TestReadmeLoop(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	feedLoop(t, p, strings.ReplaceAll(blocks(t, "sh")[0], "localhost:3000", p.URL))
}

// feedLoop runs a loop that receives jobs for ever, and prints them.
func feedLoop(t *testing.T, p *kit.Server, loop string) {
	t.Helper()
	bash := exec.Command("bash", "-c", strings.ReplaceAll(loop, "wait=50s", "wait=100ms"))
	bash.Dir = t.TempDir()
	out, err := bash.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bash.Process.Kill(); bash.Wait() })
	p.WaitForRow(t, "select 1 from requests where outcome = 'timed_out' limit 1")
	for _, job := range []string{"one", "two", "three"} {
		if got := <-kit.Curl("-d", job, p.URL+"/channels/v1/jobs"); got != "" {
			t.Fatalf("the producer was told %q", got)
		}
		read := make([]byte, len(job))
		if _, err := io.ReadFull(out, read); err != nil || string(read) != job {
			t.Fatalf("the loop handled %q, %v; want %q", read, err, job)
		}
	}
}

// TestReadmeCommands: what the README tells to type is there, and in the shell's grammar.
func TestReadmeCommands(t *testing.T) {
	for _, path := range regexp.MustCompile(`\b(?:scripts|deploy)/[\w.]*\w`).FindAllString(readme(t), -1) {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	for _, block := range blocks(t, "sh") {
		if out, err := exec.Command("bash", "-n", "-c", block).CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, out, block)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(readme(t), -1) {
		if _, err := os.Stat(link[1]); err != nil {
			t.Error(err)
		}
	}
}

// TestReadmeClaims: the claims that the README shows make a good token, whoever signs them.
func TestReadmeClaims(t *testing.T) {
	secrets, err := access.ParseSecrets(kit.Secret)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"typ":"JWT","alg":"HS256"}`)) + "." + encode([]byte(blocks(t, "json")[0]))
	mac := hmac.New(sha256.New, []byte(kit.Secret))
	io.WriteString(mac, text)
	b, err := access.New(secrets, nil).Judge(text+"."+encode(mac.Sum(nil)), time.Unix(1795305600, 0))
	if err != nil || b.Name != "ci" || !b.May(access.Produce, "jobs", "a") || !b.May(access.Look, "logs", "ci") || b.May(access.Consume, "jobs", "a") {
		t.Errorf("the claims are judged as %+v, %v", b, err)
	}
}
