//go:build linux

package soak

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"httpipe/test/kit"
)

// A relay is the server under test: one process after another, on the same port and the same log. It records what was done
// to them, because that explains some of what clients see.
type relay struct {
	t         *testing.T
	findings  *findings
	program   string
	addr      string
	dir       string // has the log
	small     bool   // dir is a file system of its own, which can be made full
	processes []*serverProcess
	outages   []span // in which the disk was full

	generation atomic.Int64 // how many processes there have been
}

// A serverProcess is one process of the relay.
type serverProcess struct {
	cmd      *exec.Cmd
	started  time.Time
	ready    time.Time // when it answered
	stopping time.Time // before it was sent the first signal
	killed   bool
	unsure   time.Time // if it was killed: rows of what happened since then may be missing
	ended    time.Time
	exited   chan struct{}
	err      error // what Wait returned; constant once exited

	descriptors int      // just after the start, without pipes; meaningful only if there are no clients yet
	complaints  []string // log lines that should not be there; constant once exited
}

// A span is an interval of time.
type span struct{ began, over time.Time }

func (s span) overlaps(from, to time.Time) bool { return s.began.Before(to) && s.over.After(from) }

func newRelay(t *testing.T, program string, f *findings) *relay {
	t.Helper()
	r := &relay{t: t, findings: f, program: program, dir: t.TempDir()}
	if err := unix.Mount("httpipe-soak", r.dir, "tmpfs", 0, "size=4g"); err != nil {
		t.Logf("the disk never fills up in this run: that needs the permission to mount a file system: %v", err)
	} else {
		r.small = true
		t.Cleanup(func() {
			if err := unix.Unmount(r.dir, 0); err != nil {
				t.Errorf("umount: %v", err)
			}
		})
	}
	// The port must not be one that the kernel may give to a client while the server is down.
	for r.addr == "" {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			r.addr = addr
		}
	}
	return r
}

func (r *relay) current() *serverProcess { return r.processes[len(r.processes)-1] }

// start starts a process, and returns when it listens.
func (r *relay) start() {
	r.t.Helper()
	_, port, _ := strings.Cut(r.addr, ":")
	s := &serverProcess{exited: make(chan struct{})}
	s.cmd = exec.Command(r.program, "--host", "127.0.0.1", "--port", port, "--log-format", "json",
		"--request-timeout", waitLimit.String(), "--stall-timeout", stallLimit.String(),
		"--silence-timeout", silenceLimit.String(), "--drain-timeout", drainLimit.String(), "--max-body", strconv.Itoa(sizeLimit),
		"--reply-timeout", replyLimit.String(), "--auth-secret", soakSecret)
	s.cmd.Dir = r.dir
	kit.EndWithTest(s.cmd)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	s.started = time.Now()
	if err := s.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		s.cmd.Process.Kill()
		<-s.exited
	})
	go func() {
		defer close(s.exited)
		s.listen(stderr)
		s.err = s.cmd.Wait()
		s.ended = time.Now()
	}()
	r.processes = append(r.processes, s)
	if err := s.answers(r.addr); err != nil {
		r.t.Fatalf("the server did not start: %v %q", err, s.complaints)
	}
	s.ready = time.Now()
	r.generation.Add(1)
	s.descriptors, _ = s.openDescriptors()
}

// complaint matches log lines that should not be there. "--log-level debug" may be.
var complaint = regexp.MustCompile(`\bbug\b|panic`)

// listen reads the log of the process and keeps the lines that should not be there.
func (s *serverProcess) listen(stderr io.Reader) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		line := lines.Text()
		orderly := json.Valid([]byte(line)) && !complaint.MatchString(line)
		if !orderly && len(s.complaints) < 20 {
			s.complaints = append(s.complaints, line)
		}
	}
}

// answers waits until the process answers.
func (s *serverProcess) answers(addr string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for ; ; time.Sleep(kit.Pause) {
		if resp, err := client.Get("http://" + addr + "/healthz"); err == nil {
			resp.Body.Close()
			return nil
		}
		if isClosed(s.exited) {
			return errors.New("it exited")
		}
	}
}

// terminate stops the process with SIGTERM, or at once with a second signal.
func (r *relay) terminate(impatient bool) {
	s := r.current()
	s.stopping = time.Now()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if impatient {
		s.cmd.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-s.exited:
	case <-time.After(drainLimit + 20*time.Second):
		r.findings.add("runs", "the server does not stop: %v", s)
		s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.exited
	}
}

// commitTime is how long it may take to commit a row on a busy machine.
const commitTime = 2 * time.Second

// kill ends the process with SIGKILL. Rows of what happened just before, or since the disk is full, may be missing.
func (r *relay) kill(full time.Time) {
	s := r.current()
	s.stopping, s.killed = time.Now(), true
	s.cmd.Process.Kill()
	<-s.exited
	if s.unsure = s.stopping.Add(-commitTime); !full.IsZero() && full.Before(s.unsure) {
		s.unsure = full
	}
}

// fill fills the disk, waits until the server has noticed, and returns when it began. The WAL has spare room, so fill
// truncates it first, which any process may do that can write to the log.
func (r *relay) fill() (began time.Time) {
	log, err := sql.Open("sqlite3", filepath.Join(r.dir, "httpipe.db")+"?_busy_timeout=1000")
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		r.t.Logf("the WAL could not be emptied: %v", err)
	}
	began = time.Now()
	var fs unix.Statfs_t
	for {
		if err := unix.Statfs(r.dir, &fs); err != nil {
			r.t.Fatal(err)
		}
		size := fmt.Sprintf("size=%d", int64(fs.Blocks-fs.Bfree)*fs.Bsize)
		if unix.Mount("httpipe-soak", r.dir, "tmpfs", unix.MS_REMOUNT, size) == nil {
			break // or else it has just grown: try again
		}
	}
	r.health(http.StatusServiceUnavailable, 5*time.Second)
	return began
}

// free makes room on the disk again.
func (r *relay) free() {
	if err := unix.Mount("httpipe-soak", r.dir, "tmpfs", unix.MS_REMOUNT, "size=4g"); err != nil {
		r.t.Fatal(err)
	}
}

// recovered waits until the server is healthy again after the disk was full.
func (r *relay) recovered(began time.Time) {
	if !r.health(http.StatusOK, 10*time.Second) {
		r.findings.add("runs", "the server does not recover from a full disk: %v", r.current())
	}
	r.outages = append(r.outages, span{began, time.Now()})
}

// health reports whether /healthz answered with that status in the time given.
func (r *relay) health(status int, within time.Duration) bool {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(kit.Pause) {
		resp, err := http.Get("http://" + r.addr + "/healthz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == status {
			return true
		}
	}
	return false
}

// openDescriptors returns how many descriptors the process has open: those of pipes, and all others.
func (s *serverProcess) openDescriptors() (others, pipes int) {
	for _, name := range s.openFiles() {
		if strings.HasPrefix(name, "pipe:") {
			pipes++
		} else {
			others++
		}
	}
	return others, pipes
}

// openFiles returns what the descriptors of the process are.
func (s *serverProcess) openFiles() (names []string) {
	dir := fmt.Sprintf("/proc/%d/fd/", s.cmd.Process.Pid)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		name, _ := os.Readlink(dir + e.Name())
		names = append(names, filepath.Base(name))
	}
	return names
}

// memory returns the anonymous resident memory of the process, in bytes.
func (s *serverProcess) memory() int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	_, after, _ := strings.Cut(string(status), "RssAnon:")
	var kilobytes int64
	fmt.Sscan(after, &kilobytes)
	return kilobytes << 10
}

func (s *serverProcess) String() string {
	how := "runs"
	switch {
	case s.killed:
		how = "killed " + clock(s.stopping)
	case !s.stopping.IsZero():
		how = "SIGTERM " + clock(s.stopping)
	}
	return fmt.Sprintf("process %d (from %s, %s)", s.cmd.Process.Pid, clock(s.started), how)
}
