//go:build packages

package packages

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/test/kit"
)

// A machine is a fresh Debian, without Go, as a directory.
type machine struct {
	t    *testing.T
	root string
	pid  string // of its init; "" unless it is booted
}

// newMachine returns a machine. Debian's packages for it are kept in the user's cache.
func newMachine(t *testing.T) *machine {
	t.Helper()
	kit.NeedRoot(t)
	kit.NeedTool(t, "debootstrap")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	pristine := filepath.Join(cache, "httpipe-test", "bookworm")
	if _, err := os.Stat(pristine); err != nil {
		run(t, "mkdir", "-p", filepath.Dir(pristine))
		run(t, "debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus", "bookworm", pristine+".new", "http://deb.debian.org/debian")
		run(t, "mv", pristine+".new", pristine)
	}
	m := &machine{t: t, root: filepath.Join(t.TempDir(), "debian")}
	run(t, "cp", "-a", pristine, m.root)
	return m
}

// boot starts the machine, with a network of its own, until the end of the test.
func (m *machine) boot() {
	m.t.Helper()
	kit.NeedTool(m.t, "systemd-nspawn")
	nspawn := exec.Command("systemd-nspawn", "--directory", m.root, "--boot", "--private-network", "--register=no", "--keep-unit",
		"--machine", fmt.Sprintf("httpipe-test-%d", os.Getpid()), "--console=pipe")
	kit.EndWithTest(nspawn)
	if err := nspawn.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if m.pid != "" {
			exec.Command("kill", "-KILL", m.pid).Run() // all of the machine ends with its init
		}
		nspawn.Process.Kill()
		nspawn.Wait()
	})
	m.until("it is booted", func() bool {
		out, _ := exec.Command("pgrep", "--parent", fmt.Sprint(nspawn.Process.Pid)).Output()
		m.pid = strings.TrimSpace(string(out))
		return m.pid != "" && exec.Command("nsenter", m.inside("systemctl", "is-system-running")...).Run() == nil
	})
}

// inside returns the arguments of nsenter that run a command inside, as root's shell there would.
func (m *machine) inside(command ...string) []string {
	return append([]string{"--target", m.pid, "--mount", "--uts", "--ipc", "--net", "--pid", "env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}, command...)
}

// do runs a command inside, which must succeed, and returns its output.
func (m *machine) do(command ...string) string {
	m.t.Helper()
	if m.pid == "" {
		return run(m.t, append([]string{"chroot", m.root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, command...)...)
	}
	return run(m.t, append([]string{"nsenter"}, m.inside(command...)...)...)
}

// curl runs this machine's curl in the network of the other one.
func (m *machine) curl(args ...string) <-chan string {
	done := make(chan string, 1)
	go func() {
		out, err := exec.Command("nsenter", slices.Concat([]string{"--target", m.pid, "--net", "curl", "-sS"}, kit.MaxTime, args)...).CombinedOutput()
		if err != nil {
			out = fmt.Append(out, " ", err)
		}
		done <- string(out)
	}()
	return done
}

// put writes a file inside, for root alone.
func (m *machine) put(path, text string) {
	m.t.Helper()
	kit.WriteFile(m.t, filepath.Join(m.root, path), text)
}

func (m *machine) read(path string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.root, path))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// missing requires that there are no such files.
func (m *machine) missing(paths ...string) {
	m.t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(filepath.Join(m.root, path)); err == nil {
			m.t.Errorf("%s is there", path)
		}
	}
}

// passing are files that change by themselves, or by any installation.
var passing = regexp.MustCompile(`^(proc|sys|run|tmp|dev|var/(log|cache|tmp|lib/(apt|dpkg|systemd))|etc/(passwd|group|shadow|gshadow|subuid|subgid)-|root)(/|$)`)

// snapshot returns all files, with their permissions, and the users.
func (m *machine) snapshot() []string {
	m.t.Helper()
	var found []string
	for line := range strings.Lines(run(m.t, "find", m.root, "-printf", "%P %M %U %G\n")) {
		if !passing.MatchString(line) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	slices.Sort(found)
	for _, file := range []string{"etc/passwd", "etc/group", "etc/shadow"} {
		found = append(found, m.read(file))
	}
	return found
}

func (m *machine) until(what string, so func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(kit.Patience); !so(); time.Sleep(20 * kit.Pause) {
		if time.Now().After(deadline) {
			m.t.Fatalf("still not: %s", what)
		}
	}
}
