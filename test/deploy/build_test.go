package deploy

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"httpipe/test/kit"
)

func TestStatic(t *testing.T) {
	path := staticBinary(t)
	requireStatic(t, path, map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH])
	if got, err := exec.Command(path, "version").Output(); err != nil || string(got) != "httpipe v1.2.3-test\n" {
		t.Errorf("its version is %q, %v", got, err)
	}
}

func TestStaticARM(t *testing.T) {
	kit.NeedTool(t, "aarch64-linux-gnu-gcc")
	staticBinary(t)
	build := exec.Command(filepath.Join(kit.Scratch, "image/src/scripts/build"), "arm64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	requireStatic(t, filepath.Join(kit.Scratch, "image/src/dist/httpipe-linux-arm64"), elf.EM_AARCH64)
}

// requireStatic requires a program for that machine that needs nothing else.
func requireStatic(t *testing.T, path string, machine elf.Machine) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Machine != machine {
		t.Errorf("it is for %s, want %s", file.Machine, machine)
	}
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Errorf("it has a %s", part.Type)
		}
	}
}

// TestBuildRefuses checks that scripts/build fails unless the result is a static program with SQLite.
func TestBuildRefuses(t *testing.T) {
	dynamic, err := exec.LookPath("ls")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	kit.WriteFile(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() {}\n")
	empty := filepath.Join(dir, "empty")
	bare := exec.Command("go", "build", "-o", empty, "main.go")
	bare.Dir, bare.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := bare.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	for built, want := range map[string]string{dynamic: "is not static", empty: "has no SQLite"} {
		tools, repository := t.TempDir(), t.TempDir()
		script(t, filepath.Join(tools, "go"), `
			[ "$1" = build ] || exec `+real+` "$@"
			while [ "$1" != -o ]; do shift; done
			mkdir -p dist && cp `+built+` "$2"`)
		if out, err := exec.Command("cp", "-r", "scripts", repository).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		build := exec.Command(filepath.Join(repository, "scripts/build"))
		build.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"))
		out, err := build.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("it takes %s: %v, %s, want %q", built, err, out, want)
		}
		if left, _ := os.ReadDir(filepath.Join(repository, "dist")); len(left) > 0 {
			t.Errorf("it leaves %v", left)
		}
	}
}

// script writes a program for sh.
func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestWithoutCgo: where SQLite cannot be compiled, nothing is, and the reason is among the first errors.
func TestWithoutCgo(t *testing.T) {
	build := exec.Command("go", "build", "-o", os.DevNull, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	lines := strings.SplitAfter(string(out), "\n")
	if err == nil || !strings.Contains(strings.Join(lines[:min(3, len(lines))], ""), "build with CGO_ENABLED=1 and a C compiler") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEmptyRoot: the file is all that it needs. It does its job as an ordinary user in a file system that has
// nothing else.
func TestEmptyRoot(t *testing.T) {
	root, data := emptyRoot(t)
	cmd := exec.Command("/httpipe", kit.OnFreePort...)
	cmd.Dir, cmd.Env = "/data", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: ordinaryUser(t, data)}
	p := kit.StartCommand(t, cmd)
	p.Dir = data
	kit.Smoke(t, "--audit-db", filepath.Join(data, "httpipe.db"), p.URL)
	kit.WantOwner(t, kit.DroppedUser, kit.DroppedGroup, filepath.Join(data, "httpipe.db"))
	p.Stop(t)
	if got := p.SQLite(t, "select clean, version from runs"); got != "1|v1.2.3-test" {
		t.Errorf("its run is on record as %q", got)
	}
}

// TestEmptyRootAsRoot: started as root there, in the image's environment, it makes the volume its own and is an
// ordinary user for good. Its other commands work beside it.
func TestEmptyRootAsRoot(t *testing.T) {
	root, data := emptyRoot(t)
	ImageEnvironment(t)
	t.Setenv("HTTPIPE_DROP_TO", fmt.Sprintf("%d:%d", kit.DroppedUser, kit.DroppedGroup))
	in := func(args ...string) *exec.Cmd {
		cmd := exec.Command("/httpipe", args...)
		cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Chroot: root}
		return cmd
	}
	p := kit.StartCommand(t, in(kit.OnFreePort...))
	kit.Smoke(t, "--audit-db", filepath.Join(data, "httpipe.db"), p.URL)
	kit.WantStuck(t, p.Process.Pid)
	kit.WantOwner(t, kit.DroppedUser, kit.DroppedGroup, data, filepath.Join(data, "httpipe.db"), filepath.Join(data, "httpipe.db-wal"))
	for _, args := range [][]string{{"healthcheck", p.URL + "/healthz"}, {"audit", "backup", "/data/backup.db"}, {"audit", "check"}, {"audit", "key"}} {
		if out, err := in(args...).CombinedOutput(); err != nil {
			t.Errorf("httpipe %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	p.Stop(t)
}

// emptyRoot makes a file system with nothing but the static program, /httpipe, and a directory /data. It
// returns the paths of both directories.
func emptyRoot(t *testing.T) (root, data string) {
	t.Helper()
	kit.NeedRoot(t)
	data = kit.PublicDir(t)
	root = filepath.Dir(data)
	if out, err := exec.Command("cp", staticBinary(t), filepath.Join(root, "httpipe")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return root, data
}

// ordinaryUser makes a command of root run as an ordinary user, and gives that user the directory.
func ordinaryUser(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	if err := os.Chown(dir, kit.DroppedUser, kit.DroppedGroup); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: kit.DroppedUser, Gid: kit.DroppedGroup}
}
