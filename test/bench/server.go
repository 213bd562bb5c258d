//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A variant is a kind of server that is measured.
type variant struct {
	name    string   // the heading of its column
	command []string // httpipe with its options, or a reference server
	kind    kind
	from    string // an audit log to begin with; empty for none
}

type kind int

const (
	withLog    kind = iota // httpipe with an audit log
	withoutLog             // httpipe without one
	aReference
)

// logName is the file of a server's audit log, in the server's directory.
const logName = "httpipe.db"

// A server is a process of a variant.
type server struct {
	variant
	process *exec.Cmd
	addr    netip.AddrPort
	dir     string    // where it runs, and has its log
	started time.Time // just before it was
}

func (v variant) String() string { return v.name }

// start starts the variant in a directory of its own below temp, and returns when it listens.
func (v variant) start(temp string) (_ *server, err error) {
	s := &server{variant: v}
	if s.dir, err = os.MkdirTemp(temp, "server-"); err != nil {
		return nil, err
	}
	if v.from != "" && v.kind == withLog {
		if err := copyFile(filepath.Join(s.dir, logName), v.from); err != nil {
			return nil, err
		}
	}
	s.process = exec.Command(v.command[0], v.command[1:]...)
	s.process.Dir = s.dir
	s.process.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "HTTPIPE_") })
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := s.process.StderrPipe()
	if err != nil {
		return nil, err
	}
	s.started = time.Now()
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	said := bufio.NewReader(stderr)
	if s.addr, err = listening(said); err != nil {
		s.kill()
		return nil, fmt.Errorf("%s: %w", v.name, err)
	}
	go complaints(said)
	return s, nil
}

// listening reads a log until the line that says where the server listens.
func listening(log *bufio.Reader) (netip.AddrPort, error) {
	for {
		line, err := log.ReadString('\n')
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("it did not start: %s%w", line, err)
		}
		var entry struct{ Msg, Addr string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "listening" {
			return netip.ParseAddrPort(entry.Addr)
		}
	}
}

// offering are the variants that have anything at a path. Older builds have fewer.
func offering(path, temp string, variants []variant) (some []variant, err error) {
	for _, v := range variants {
		s, err := v.start(temp)
		if err != nil {
			return nil, err
		}
		request, err := http.NewRequest(http.MethodPost, "http://"+s.addr.String()+path, nil)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Prefer", "wait=0")
		response, err := http.DefaultClient.Do(request)
		s.kill()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v, err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			some = append(some, v)
		}
	}
	return some, nil
}

// complaints passes on a server's log lines, except those of level INFO.
func complaints(log *bufio.Reader) {
	for {
		line, err := log.ReadString('\n')
		if !strings.Contains(line, `"level":"INFO"`) {
			io.WriteString(os.Stderr, line)
		}
		if err != nil {
			return
		}
	}
}

// stop ends httpipe in order. Its directory stays.
func (s *server) stop() error {
	s.process.Process.Signal(syscall.SIGTERM)
	if err := s.process.Wait(); err != nil {
		return fmt.Errorf("%s, when it was stopped: %w", s.name, err)
	}
	return nil
}

// kill ends the server, if it still runs, and removes its directory.
func (s *server) kill() {
	s.process.Process.Kill()
	s.process.Wait()
	os.RemoveAll(s.dir)
}

// processorTime is how much of the processors the server has used so far, user and system, all threads, to the
// microsecond or better.
func (s *server) processorTime() (time.Duration, error) {
	// What clock_getcpuclockid(3) makes of a process id; 2 stands for the scheduler's account of all threads.
	clock := int32(^s.process.Process.Pid<<3 | 2)
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", s.name, err)
	}
	return time.Duration(t.Nano()), nil
}

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
