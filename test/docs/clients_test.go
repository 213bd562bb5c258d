package docs

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// A client is a program of the documentation, completed with a main part: it sends or receives.
type client struct{ language, needs, file, head, foot string }

var clients = []client{
	{"python", "python3", "client.py", "import sys\n", `
body = sys.argv[3].encode() if sys.argv[1] == "send" else None
print(request(sys.argv[2], body).decode(), end="")
`},
	{"js", "node", "client.mjs", "", `
const [, , , url, body] = process.argv;
process.stdout.write(await request(url, body));
`},
	{"go", "go", "main.go", "package main\nimport (\"bytes\"; \"errors\"; \"io\"; \"log\"; \"net/http\"; \"os\"; \"time\")\n", `
func main() {
	method, body := "GET", []byte(nil)
	if os.Args[1] == "send" { method, body = "POST", []byte(os.Args[3]) }
	got, err := request(method, os.Args[2], body)
	if err != nil { log.Fatal(err) }
	os.Stdout.Write(got)
}
`},
}

// install writes the program to a directory, and returns the command that runs it.
func (c client) install(t *testing.T) []string {
	t.Helper()
	program, err := exec.LookPath(c.needs)
	if err != nil {
		t.Skipf("no %s here", c.needs)
	}
	dir := t.TempDir()
	shown := blocks(t, "docs/clients.md", c.language)
	if len(shown) != 1 {
		t.Fatalf("docs/clients.md has %d %s blocks, want 1", len(shown), c.language)
	}
	source := kit.WriteFile(t, filepath.Join(dir, c.file), c.head+strings.Replace(shown[0], "wait=50s", "wait=100ms", 1)+c.foot)
	if c.language != "go" {
		return []string{program, source}
	}
	built := filepath.Join(dir, "client")
	if out, err := exec.Command("go", "build", "-o", built, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []string{built}
}

// TestClients runs the programs of docs/clients.md: they send and receive, wait in rounds, and fail for what no retry helps and
// for a body that does not arrive whole.
func TestClients(t *testing.T) {
	for _, c := range clients {
		t.Run(c.language, func(t *testing.T) {
			command := c.install(t)
			run := func(args ...string) (code int, output string) {
				return kit.Execute(t, ".", append(command, args...)...)
			}
			p := kit.Start(t, t.TempDir())
			url := p.URL + "/channels/demo/hello"

			consumer := kit.Curl(url)
			if code, output := run("send", url, "hello"); code != 0 || output != "" || <-consumer != "hello" {
				t.Errorf("send: exit %d, %s", code, output)
			}
			producer := kit.Curl("-d", "hello", url)
			if code, output := run("receive", url); code != 0 || output != "hello" || <-producer != "" {
				t.Errorf("receive: exit %d, %s", code, output)
			}
			for _, do := range []struct {
				args, partner []string
				role, output  string
			}{
				{[]string{"send", url, "hello"}, []string{url}, "producer", ""},
				{[]string{"receive", url}, []string{url, "-d", "hello"}, "consumer", "hello"},
			} {
				ended := make(chan string, 1)
				go func() {
					code, output := run(do.args...)
					ended <- fmt.Sprint(code, " ", output)
				}()
				p.WaitForRow(t, "select 1 from requests where outcome = 'timed_out' and role = '"+do.role+"' limit 1")
				<-kit.Curl(do.partner...)
				if got := <-ended; got != "0 "+do.output {
					t.Errorf("%s in rounds: %s", do.args, got)
				}
			}
			wrong := p.URL + "/channels/demo/%41" // which no retry makes a name
			if code, output := run("send", wrong, "hello"); code == 0 {
				t.Errorf("send to a wrong name succeeds: %s", output)
			}
			if code, output := run("receive", wrong); code == 0 {
				t.Errorf("receive from a wrong name succeeds: %s", output)
			}
			for framing, body := range map[string]string{
				"Content-Length: 1000":       "hello",
				"Transfer-Encoding: chunked": "5\r\nhello\r\n",
			} {
				breakOff(t, p, framing, body, func() {
					if code, output := run("receive", url); code == 0 {
						t.Errorf("receive of half a body (%s) succeeds: %s", framing, output)
					}
				})
			}
		})
	}
}

// breakOff runs a consumer of demo/hello and sends it a part of a body: the producer leaves when the exchange runs.
func breakOff(t *testing.T, p *kit.Server, framing, body string, consume func()) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /channels/demo/hello HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n%s", framing, body)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		consume()
	}()
	p.WaitForRow(t, "select 1 from exchanges where outcome = 'open'")
	conn.Close()
	<-ended
	p.WaitForRow(t, "select 1 from exchanges where outcome = 'producer_left' and not exists (select 1 from exchanges where outcome = 'open')")
}
