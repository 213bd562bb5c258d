package crash

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"httpipe/store"

	"httpipe/test/kit"
)

// A disk fails under a busy server, for a moment or for some time. No producer gets 200 for an exchange that
// is not in the log; the server says why it refuses requests, and recovers by itself when the disk works again.
//
// strace makes the calls fail: it attaches to the running server, and detaches to end the failure.

// TestDiskFailsOnce makes a few calls fail: one of each thread, because strace counts by thread.
func TestDiskFailsOnce(t *testing.T) {
	needStrace(t)
	for name, what := range map[string]string{
		"Sync": "fsync,fdatasync:error=EIO:when=1",
		"Full": "pwrite64:error=ENOSPC:when=1",
	} {
		t.Run(name, func(t *testing.T) {
			p := kit.Start(t, t.TempDir())
			l := kit.StartLoad(t, p.URL, 8)
			l.More(t, 50)
			f := inject(t, p, what)
			f.await(1)
			f.stop(t)
			waitForHealth(t, p, http.StatusOK, "")
			l.More(t, 50)
			l.Stop(t)
			p.Stop(t)
			wantTruth(t, p.Dir, l)
		})
	}
}

func TestFailingDisk(t *testing.T) {
	needStrace(t)
	for _, test := range []struct {
		name   string
		fault  string
		reason string // what /healthz says
		heals  bool   // or the server is killed before
	}{
		{"Sync", "fsync,fdatasync:error=EIO", "disk I/O error", true},
		{"Write", "pwrite64:error=EIO", "disk I/O error", true},
		{"Full", "pwrite64:error=ENOSPC", "database or disk is full", true},
		{"FullAndKilled", "pwrite64:error=ENOSPC", "database or disk is full", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			p := kit.Start(t, t.TempDir())
			l := kit.StartLoad(t, p.URL, 8)
			l.More(t, 50)
			x := beginExchange(t, p.URL)
			f := inject(t, p, test.fault)
			waitForHealth(t, p, http.StatusServiceUnavailable, test.reason)
			wantNoService(t, p)
			id := x.wantUnrecorded(t)
			if !test.heals {
				l.Stop(t)
				p.Process.Kill()
				<-p.Exited
				kit.Start(t, p.Dir).Stop(t)
				wantTruth(t, p.Dir, l)
				return
			}
			wantOutage(t, p, f, 6)
			f.stop(t)
			waitForHealth(t, p, http.StatusOK, "")
			l.More(t, 50)
			l.Stop(t)
			p.Stop(t)
			if outcomes := wantTruth(t, p.Dir, l); outcomes[id] != "unrecorded" {
				t.Errorf("an exchange that ended while nothing could be written is on record as %q, want unrecorded", outcomes[id])
			}
		})
	}
}

// TestFullDisk is the same with a file system that is really full.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=4m", "httpipe-test", dir).CombinedOutput(); err != nil {
		t.Skipf("this test needs the permission to mount a file system: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	p := kit.Start(t, dir)
	l := kit.StartLoad(t, p.URL, 8)
	l.More(t, 50)
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	if n, err := io.Copy(filler, kit.Zeros{}); err == nil {
		t.Fatalf("the disk took %d bytes", n)
	}
	waitForHealth(t, p, http.StatusServiceUnavailable, "database or disk is full")
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	waitForHealth(t, p, http.StatusOK, "")
	l.More(t, 50)
	l.Stop(t)
	p.Stop(t)
	wantTruth(t, dir, l)
}

// wantTruth compares the log with the answers to the producers, and returns the outcomes in the log.
func wantTruth(t *testing.T, dir string, l *kit.Load) (outcomes map[string]string) {
	t.Helper()
	outcomes, err := read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range l.Acknowledged() {
		if outcomes[id] != store.Delivered {
			t.Errorf("a producer got 200, and the log has %q", outcomes[id])
		}
	}
	// The others may be in the log as delivered: all their bytes were sent, and a commit that failed may be found complete
	// in the WAL later.
	found := make(map[string]int)
	for _, id := range l.Unrecorded() {
		found[outcomes[id]]++
	}
	t.Logf("%d exchanges acknowledged, %d requests refused, %d exchanges unrecorded, which the log has as %v",
		len(l.Acknowledged()), l.Tally().Refused, len(l.Unrecorded()), found)
	p := &kit.Server{Dir: dir}
	if killed := p.SQLite(t, "SELECT min(clean) FROM runs") == "0"; killed {
		return outcomes // with rows in memory
	}
	if found["unrecorded"]+found[store.Delivered] != len(l.Unrecorded()) {
		t.Error("want them in the log as unrecorded or delivered")
	}
	if lost := p.SQLite(t, "SELECT sum(lost) FROM runs"); lost != "0" {
		t.Errorf("%s rows were lost", lost)
	}
	return outcomes
}

// A running is an exchange of which only the first half has gone.
type running struct {
	rest     *io.PipeWriter
	produced chan *http.Response
	consumer *http.Response
}

func beginExchange(t *testing.T, url string) *running {
	t.Helper()
	url += "/channels/v1/running"
	body, rest := io.Pipe()
	x := &running{rest: rest, produced: make(chan *http.Response, 1)}
	go func() {
		defer close(x.produced)
		if resp, err := http.Post(url, "text/plain", body); err == nil {
			resp.Body.Close()
			x.produced <- resp
		}
	}()
	go io.WriteString(rest, "first ")
	t.Cleanup(func() { rest.Close() })
	var err error
	if x.consumer, err = http.Get(url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.consumer.Body.Close() })
	return x
}

// wantUnrecorded lets the second half go, checks that the consumer gets all and the producer no 200, and returns
// the exchange's id.
func (x *running) wantUnrecorded(t *testing.T) (id string) {
	t.Helper()
	io.WriteString(x.rest, "second")
	x.rest.Close()
	if got, err := io.ReadAll(x.consumer.Body); string(got) != "first second" || err != nil {
		t.Errorf("the consumer of a running exchange got %q, %v", got, err)
	}
	got := <-x.produced
	if got == nil || got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Httpipe-Error") != "audit_unavailable" || got.Header.Get("Httpipe-Exchange") == "" {
		t.Fatalf("the producer of a running exchange got %+v, want 503 audit_unavailable", got)
	}
	return got.Header.Get("Httpipe-Exchange")
}

// A fault is a strace that makes system calls fail.
type fault struct {
	*exec.Cmd
	failures chan struct{} // one for each call that has failed; closed when strace has left
	exited   chan struct{}
}

// inject makes the server's calls on the audit log fail.
func inject(t *testing.T, p *kit.Server, what string) *fault {
	t.Helper()
	log := filepath.Join(p.Dir, "httpipe.db")
	f := &fault{failures: make(chan struct{}, 10_000), exited: make(chan struct{})}
	f.Cmd = exec.Command("strace", "-f", "-p", strconv.Itoa(p.Process.Pid),
		"-P", log, "-P", log+"-wal", "-P", log+"-journal", "-e", "inject="+what)
	stderr, err := f.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Process.Kill()
		<-f.exited
	})
	lines := bufio.NewScanner(stderr)
	lines.Scan()
	first := lines.Text()
	go func() {
		defer close(f.exited)
		defer close(f.failures)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "(INJECTED)") {
				f.failures <- struct{}{}
			}
		}
		f.Wait()
	}()
	if !strings.Contains(first, "attached") {
		t.Skipf("this test needs the permission to use ptrace on a running process: %s", first)
	}
	return f
}

// await waits until another n calls have failed.
func (f *fault) await(n int) {
	for range n {
		<-f.failures
	}
}

// stop lets the disk work again.
func (f *fault) stop(t *testing.T) {
	t.Helper()
	if err := f.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-f.exited
}

// wantOutage checks that the server tries in vain, until that many more calls have failed, and does not say otherwise
// meanwhile.
func wantOutage(t *testing.T, p *kit.Server, f *fault, failures int) {
	t.Helper()
	for failures > 0 {
		if status, _ := health(t, p); status != http.StatusServiceUnavailable {
			t.Fatalf("/healthz says %d while all that the server tries fails", status)
		}
		select {
		case <-f.failures:
			failures--
		case <-time.After(5 * kit.Pause):
		}
	}
}

func health(t *testing.T, p *kit.Server) (status int, text string) {
	t.Helper()
	resp, err := http.Get(p.URL + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// waitForHealth polls until /healthz answers with that status and that word in its text.
func waitForHealth(t *testing.T, p *kit.Server, status int, word string) {
	t.Helper()
	deadline := time.Now().Add(kit.Patience)
	for ; ; time.Sleep(kit.Pause) {
		got, text := health(t, p)
		if got == status && strings.Contains(text, word) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("/healthz still says %d %q, want %d and %q", got, text, status, word)
		}
	}
}

// wantNoService checks that new requests are turned away.
func wantNoService(t *testing.T, p *kit.Server) {
	t.Helper()
	if got := <-kit.Curl("-w", "%{http_code}", p.URL+"/channels/v1/a"); got != "503" {
		t.Errorf("a consumer got %q, want an empty 503", got)
	}
	got := <-kit.Curl("-w", "%{http_code}", "-d", "a", p.URL+"/channels/v1/a")
	if want := "503"; !strings.HasPrefix(got, "audit_unavailable: ") || !strings.HasSuffix(got, want) {
		t.Errorf("a producer got %q, want audit_unavailable and %s", got, want)
	}
	if state, text := health(t, p); state != http.StatusServiceUnavailable || !strings.Contains(text, filepath.Join(p.Dir, "httpipe.db")) {
		t.Errorf("/healthz says %d %q, want 503 and the file's name", state, text)
	}
}
