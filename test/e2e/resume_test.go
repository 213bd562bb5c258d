package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
)

// Download tools repeat a transfer that broke, and ask for the rest of it. The next message of a channel is
// not that rest. Here real tools meet each way in which an exchange can break.

// downloaders are command lines that save a URL as the file out.
var downloaders = map[string][]string{
	"wget":         {"wget", "-nv", "-O", "out"},
	"wget-c":       {"wget", "-nv", "-c", "-O", "out"},
	"curl-C":       {"curl", "-sS", "-C", "-", "-o", "out"},
	"curl-C-retry": {"curl", "-sS", "-C", "-", "-o", "out", "--retry", "3", "--retry-all-errors", "--retry-delay", "1"},
	"aria2c":       aria2c(),
	"aria2c-c":     aria2c("-c"),
	"aria2c-x4":    aria2c("-x4", "-s4", "-k1M"),
}

// aria2c returns a command line of aria2. When it has begun again after a chunked body, it knows the end of a
// message only by the end of the connection.
func aria2c(options ...string) []string {
	return append([]string{"aria2c", "-q", "-o", "out", "--retry-wait=1", "--disk-cache=0", "--enable-http-keep-alive=false"}, options...)
}

// A download is a downloader that runs.
type download struct {
	*exec.Cmd
	output strings.Builder
	done   chan struct{} // closed when it has exited
}

// startDownload starts a downloader in a directory of its own, which may hold a part of the file already.
func startDownload(t *testing.T, command []string, url, part string) *download {
	t.Helper()
	kit.NeedTool(t, command[0])
	d := &download{Cmd: exec.Command(command[0], append(slices.Clone(command[1:]), url)...), done: make(chan struct{})}
	d.Dir, d.Stdout, d.Stderr = t.TempDir(), &d.output, &d.output
	if part != "" {
		if err := os.WriteFile(filepath.Join(d.Dir, "out"), []byte(part), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.done)
		d.Wait()
	}()
	t.Cleanup(func() {
		d.Process.Kill()
		<-d.done
	})
	return d
}

// saved returns what is in the file.
func (d *download) saved() string {
	content, _ := os.ReadFile(filepath.Join(d.Dir, "out"))
	return string(content)
}

// completeOrNothing waits for the end of a download from a channel on which a message waits. Either the file is
// that message and the tool says so, or the tool ends with an error and the message still waits.
func (d *download) completeOrNothing(t *testing.T, url, message string) {
	t.Helper()
	<-d.done
	code, file := d.ProcessState.ExitCode(), d.saved()
	t.Logf("exit %d, %d bytes in the file; %s", code, len(file), strings.TrimSpace(d.output.String()))
	if code == 0 {
		if file != message {
			t.Fatalf("exit 0 with %d bytes that begin with %.10q", len(file), file)
		}
		return
	}
	if again := <-kit.Curl("-f", url+"?wait=5s"); again != message {
		t.Errorf("exit %d, and then the message that waited is %.80q (%d bytes)", code, again, len(again))
	}
}

// A breakage is one way for exchanges to end after a part of the body.
type breakage struct {
	outcome string
	options []string // of the server
	part    int      // bytes of that part, once it has ended
	happen  func(*scene)
}

// A scene is a server, and downloads that have got a part of a message from it.
type scene struct {
	t         *testing.T
	server    *kit.Server
	producers []*sender
	downloads []*download
}

const ( // sizes of a part
	somePart  = 200_000
	largePart = 12 << 20 // more than the kernels hold
)

var breakages = []breakage{
	{"producer_left", nil, somePart, func(s *scene) {
		for _, producer := range s.producers {
			producer.Close()
		}
	}},
	{"silent", []string{"--silence-timeout", "2s"}, somePart, func(*scene) {}},
	{"deleted", nil, somePart, func(s *scene) {
		request, err := http.NewRequest(http.MethodDelete, s.server.URL+"/channels/broken", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			s.t.Fatal(err)
		}
		response.Body.Close()
	}},
	{"stalled", []string{"--stall-timeout", "1s"}, largePart, func(s *scene) {
		for i, d := range s.downloads {
			d.Process.Signal(syscall.SIGSTOP)
			go s.producers[i].send(largePart - somePart)
		}
		s.server.WaitForRow(s.t, fmt.Sprintf("select 1 from exchanges where outcome = 'stalled' group by 1 having count(*) = %d", len(s.downloads)))
		for _, d := range s.downloads {
			d.Process.Signal(syscall.SIGCONT)
		}
	}},
	{"shut_down", []string{"--drain-timeout", "0s"}, somePart, func(s *scene) {
		s.server.Stop(s.t)
		s.restart()
	}},
	{"interrupted", nil, somePart, func(s *scene) {
		s.server.Process.Kill()
		<-s.server.Exited
		s.restart()
	}},
}

// restart starts a server at the address of the one that has exited.
func (s *scene) restart() {
	_, port, _ := strings.Cut(strings.TrimPrefix(s.server.URL, "http://"), ":")
	s.server = kit.Start(s.t, s.server.Dir, "--port", port)
}

// TestNothingIsGluedToHalfABody lets a message wait behind one that breaks.
func TestNothingIsGluedToHalfABody(t *testing.T) {
	t.Parallel() // it waits most of the time
	for _, breakage := range breakages {
		t.Run(breakage.outcome, func(t *testing.T) {
			t.Parallel()
			breakOff(t, breakage)
		})
	}
}

func breakOff(t *testing.T, breakage breakage) {
	s := &scene{t: t, server: kit.Start(t, t.TempDir(), breakage.options...)}
	names := map[*download]string{}
	for tool, command := range downloaders {
		for _, framing := range []string{"length", "chunked"} {
			name := tool + "-" + framing
			s.producers = append(s.producers, startMessage(t, s.server.URL, name, breakage.part+breakage.part/2, framing == "chunked"))
			s.server.WaitFor(t, "broken/"+name, "1", "0")
			d := startDownload(t, command, s.server.URL+"/channels/broken/"+name, "")
			names[d] = name
			s.downloads = append(s.downloads, d)
			for started := time.Now(); d.saved() == ""; { // now, because a breakage may come by itself
				select {
				case <-d.done:
					t.Fatalf("%s ended early: %s", name, d.output.String())
				case <-time.After(time.Millisecond):
				}
				if time.Since(started) > time.Minute {
					t.Fatalf("%s has saved nothing", name)
				}
			}
		}
	}
	breakage.happen(s)
	second := strings.Repeat("2", breakage.part+breakage.part/2)
	for _, d := range s.downloads {
		url := s.server.URL + "/channels/broken/" + names[d]
		sent := make(chan string, 1)
		go func() {
			response, err := http.Post(url, "text/plain", strings.NewReader(second))
			if err != nil {
				sent <- err.Error()
				return
			}
			response.Body.Close()
			sent <- response.Status
		}()
		t.Run(names[d], func(t *testing.T) {
			d.completeOrNothing(t, url, second)
			if status := <-sent; status != "200 OK" {
				t.Errorf("the producer of the second message got %s", status)
			}
		})
	}
}

// TestPartialFilesAreNotContinued has downloaders meet a message with a part of another one in their file: also
// with as many bytes as the refusal has, which curl would take for a complete file.
func TestPartialFilesAreNotContinued(t *testing.T) {
	t.Parallel() // curl waits for a second before each attempt
	server := kit.Start(t, t.TempDir())
	refusal := <-kit.Curl("-r", "1-", server.URL+"/channels/broken/partial")
	if !strings.HasPrefix(refusal, "not_a_consumer: ") {
		t.Fatalf("a client that resumes is told %q", refusal)
	}
	message := strings.Repeat("2", 3000)
	for _, tool := range []string{"wget-c", "curl-C", "curl-C-retry", "aria2c-c"} { // the others begin a new file
		for _, size := range []int{1000, len(refusal)} {
			name := fmt.Sprintf("%s-%d", tool, size)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				channel := "broken/" + name
				url := server.URL + "/channels/" + channel
				sent := kit.Curl("-w", "%{http_code}", "-d", message, url)
				server.WaitFor(t, channel, "1", "0")
				startDownload(t, downloaders[tool], url, strings.Repeat("1", size)).completeOrNothing(t, url, message)
				if status := <-sent; status != "200" {
					t.Errorf("the producer got %s", status)
				}
			})
		}
	}
}

// A sender is a producer that sends a message in pieces.
type sender struct {
	net.Conn
	chunked bool
}

// startMessage sends the head of a message of size bytes, and the first of them.
func startMessage(t *testing.T, url, channel string, size int, chunked bool) *sender {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	framing := fmt.Sprintf("Content-Length: %d", size)
	if chunked {
		framing = "Transfer-Encoding: chunked"
	}
	fmt.Fprintf(conn, "POST /channels/broken/%s HTTP/1.1\r\nHost: relay\r\n%s\r\n\r\n", channel, framing)
	s := &sender{conn, chunked}
	s.send(somePart)
	return s
}

// send sends so many bytes of the body, or as many as the server takes.
func (s *sender) send(n int) {
	piece := strings.Repeat("1", n)
	if s.chunked {
		piece = fmt.Sprintf("%x\r\n%s\r\n", n, piece)
	}
	io.WriteString(s, piece)
}
