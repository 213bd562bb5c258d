package clients

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"httpipe/test/kit"
)

// A library is an HTTP client, with what it cannot do.
type library struct {
	name    string
	command func(t *testing.T) []string // runs a program of testdata/ with it

	opensEach bool   // a connection for each request
	noChunks  bool   // cannot produce without a length
	seesNoCut bool   // takes a reset for the end of the body, and there is no length
	afterCut  string // the result of a body that was cut, if that is not "broken"
}

var libraries = []library{
	{name: "curl", command: shell("curl"), opensEach: true},
	{name: "curl8", command: python("pycurl")},
	{name: "wget", command: shell("wget"), opensEach: true, noChunks: true, afterCut: "400"}, // to its second request
	{name: "nc", command: shell("nc"), opensEach: true, seesNoCut: true},
	{name: "urllib", command: python("urllib"), opensEach: true},
	{name: "requests", command: python("requests")},
	{name: "httpx", command: python("httpx")},
	{name: "aiohttp", command: python("aiohttp")},
	{name: "fetch", command: node("fetch")},
	{name: "node-http", command: node("http")},
	{name: "go", command: golang("local")},
	{name: "go1.23", command: golang("go1.23.12")},
}

func shell(program string) func(*testing.T) []string {
	return func(t *testing.T) []string {
		kit.NeedTool(t, program)
		return []string{"bash", "test/clients/testdata/shell/client.sh", program}
	}
}

func python(module string) func(*testing.T) []string {
	return func(t *testing.T) []string {
		packages := kit.Installed(t, "test/clients/testdata/python", "requirements.txt", "python3", "-m", "pip", "install", "--quiet",
			"--disable-pip-version-check", "--no-input", "--no-deps", "--target", ".", "--requirement", "requirements.txt")
		return []string{"env", "PYTHONPATH=" + packages, "PYTHONDONTWRITEBYTECODE=1", "python3", "test/clients/testdata/python/client.py", module}
	}
}

func node(module string) func(*testing.T) []string {
	return func(t *testing.T) []string {
		kit.NeedTool(t, "node")
		return []string{"node", "test/clients/testdata/node/client.mjs", module}
	}
}

// golang builds the client with a release of Go, which the go command gets from its proxy.
func golang(release string) func(*testing.T) []string {
	return func(t *testing.T) []string {
		program := filepath.Join(t.TempDir(), "client")
		build := exec.Command("go", "build", "-o", program, ".")
		build.Dir = "test/clients/testdata/go"
		build.Env = append(os.Environ(), "GOTOOLCHAIN="+release)
		if out, err := build.CombinedOutput(); err != nil {
			t.Skipf("cannot build with %s: %v\n%s", release, err, out)
		}
		return []string{program}
	}
}

// A process runs a library's program.
type process struct {
	library
	t       *testing.T
	in      io.Writer
	results *bufio.Scanner
}

func (l library) run(t *testing.T) *process {
	t.Helper()
	command := l.command(t)
	cmd := exec.Command(command[0], command[1:]...)
	kit.EndWithTest(cmd)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return &process{l, t, in, bufio.NewScanner(out)}
}

// consume starts to consume, and returns a function that waits for the result.
func (p *process) consume(url string) (result func() string) { return p.do("consume", url) }

// produce is consume for a producer.
func (p *process) produce(url, framing, file string) (result func() string) {
	return p.do("produce", url, framing, file)
}

func (p *process) do(words ...string) (result func() string) {
	if _, err := fmt.Fprintln(p.in, strings.Join(words, " ")); err != nil {
		p.t.Fatal(err)
	}
	late := time.AfterFunc(kit.Patience, func() { panic(fmt.Sprint(p.name, " hangs: ", words)) })
	return func() string {
		defer late.Stop()
		if !p.results.Scan() {
			p.t.Fatalf("%s has ended: %v", p.name, p.results.Err())
		}
		return p.results.Text()
	}
}

// TestClients runs each client through all that it can do.
func TestClients(t *testing.T) {
	s := kit.Start(t, t.TempDir(), "--max-body", "10MiB")
	for _, l := range libraries {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			p := l.run(t)
			url := s.URL + "/channels/clients/" + l.name
			p.testBodies(url)
			p.testRefusals(url)
			p.testKeepAlive(s, l.name)
			p.testCut(s, url)
		})
	}
}

var framings = []string{"length", "chunked"}

// testBodies: bodies of all sizes arrive as they were sent, and both clients get 200.
func (p *process) testBodies(url string) {
	for _, size := range []int{0, 5, 2 << 20} {
		file := bodyOf(p.t, size)
		content, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		want := fmt.Sprintf("200 %x", sha256.Sum256(content))
		for _, framing := range framings {
			length := int64(size)
			if framing == "chunked" {
				length = -1
			}
			produced := kit.Post(p.t, url, strings.NewReader(string(content)), length)
			if got := p.consume(url)(); got != want || <-produced != "200" {
				p.t.Errorf("it consumes %d bytes, %s: %s, want %s", size, framing, got, want)
			}
			if p.noChunks && framing == "chunked" {
				continue
			}
			consumed := kit.Curl(url)
			if got := p.produce(url, framing, file)(); got != "200" {
				p.t.Errorf("it produces %d bytes, %s: %s", size, framing, got)
			}
			if got := <-consumed; got != string(content) {
				p.t.Errorf("of %d bytes, %s, curl consumed %d others", size, framing, len(got))
			}
		}
	}
}

// testRefusals: an answer that comes before the body has been read reaches the client.
func (p *process) testRefusals(url string) {
	if got := p.consume(url + "?wait=0")(); got != "408" {
		p.t.Errorf("a consumer that is refused gets %s", got)
	}
	for _, test := range []struct {
		framing, query string
		size           int
		want           string
	}{
		{"length", "?wait=0", 5, "408"},
		{"length", "?wait=0", 8 << 20, "408"},
		{"chunked", "?wait=0", 8 << 20, "408"},
		{"length", "", 12 << 20, "413"},
		{"length", "?wait=nonsense", 8 << 20, "400"},
	} {
		if p.noChunks && test.framing == "chunked" {
			continue
		}
		if got := p.produce(url+test.query, test.framing, bodyOf(p.t, test.size))(); got != test.want {
			p.t.Errorf("a producer of %d bytes, %s, that is refused gets %s, want %s", test.size, test.framing, got, test.want)
		}
	}
}

// testKeepAlive: a connection carries many requests of both kinds.
func (p *process) testKeepAlive(s *kit.Server, name string) {
	counted, connections := kit.Counted(p.t, s.URL)
	url := "/channels/kept/" + name
	file := bodyOf(p.t, 5)
	content, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	want := fmt.Sprintf("200 %x", sha256.Sum256(content))
	const rounds = 5
	for range rounds {
		produced := kit.Post(p.t, s.URL+url, strings.NewReader(string(content)), 5)
		if got := p.consume(counted + url)(); got != want || <-produced != "200" {
			p.t.Errorf("on a kept connection it consumes %s, want %s", got, want)
		}
		consumed := kit.Curl(s.URL + url)
		if got := p.produce(counted+url, "length", file)(); got != "200" || <-consumed != string(content) {
			p.t.Errorf("on a kept connection it produces: %s", got)
		}
	}
	expected := int64(1)
	if p.opensEach {
		expected = 2 * rounds
	}
	if got := connections.Load(); got != expected {
		p.t.Errorf("%d requests took %d connections, want %d", 2*rounds, got, expected)
	}
}

// testCut: a body that was cut does not look whole.
func (p *process) testCut(s *kit.Server, url string) {
	for _, test := range []struct{ framing, body string }{
		{"Content-Length: 1000", "hello"},
		{"Content-Length: 10000000", strings.Repeat("x", 1<<20)},
		{"Transfer-Encoding: chunked", "5\r\nhello\r\n"},
		{"Transfer-Encoding: chunked", "100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n5\r\nhe"},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			p.t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /channels/clients/%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n%s", p.name, test.framing, test.body)
		result := p.consume(url)
		open := "exists (select 1 from exchanges where outcome = 'open' and channel = '" + p.name + "')"
		s.WaitForRow(p.t, "select 1 where "+open)
		conn.Close()
		s.WaitForRow(p.t, "select 1 where not "+open)
		got := result()
		want := "broken"
		if p.afterCut != "" {
			want = p.afterCut
		}
		if p.seesNoCut && strings.HasPrefix(test.framing, "Transfer-Encoding") {
			want = "200"
		}
		if !strings.HasPrefix(got, want) {
			p.t.Errorf("a part of a body (%s): %s, want %s", test.framing, got, want)
		}
	}
}

// bodyOf returns a file of that size.
func bodyOf(t *testing.T, size int) string {
	t.Helper()
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	return kit.WriteFile(t, filepath.Join(t.TempDir(), "body"), string(content))
}
