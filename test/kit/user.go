package kit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// DroppedUser and DroppedGroup are the ids of an ordinary user without an entry in /etc/passwd.
const DroppedUser, DroppedGroup = 65532, 65533

// WantOwner requires that each file belongs to that user and group.
func WantOwner(t *testing.T, uid, gid uint32, paths ...string) {
	t.Helper()
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if is := info.Sys().(*syscall.Stat_t); is.Uid != uid || is.Gid != gid {
			t.Errorf("%s belongs to %d:%d, want %d:%d", path, is.Uid, is.Gid, uid, gid)
		}
	}
}

// WantStuck requires that each thread of a process has the ids DroppedUser and DroppedGroup, and cannot change them.
func WantStuck(t *testing.T, pid int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("the threads are %v, %v", threads, err)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		for field, want := range map[string]string{
			"Uid":        "65532 65532 65532 65532",
			"Gid":        "65533 65533 65533 65533",
			"Groups":     "",
			"CapPrm":     "0000000000000000",
			"CapEff":     "0000000000000000",
			"CapAmb":     "0000000000000000",
			"NoNewPrivs": "1",
		} {
			line := regexp.MustCompile("(?m)^" + field + ":(.*)$").FindStringSubmatch(string(status))
			if line == nil || strings.Join(strings.Fields(line[1]), " ") != want {
				t.Errorf("%s: %s is %q, want %q", thread, field, line, want)
			}
		}
	}
}

// NeedTool skips a test if a program that it runs is missing. In CI ($CI is set), where scripts/test has installed them all, it
// fails the test.
func NeedTool(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not installed: add it to scripts/test", name)
	default:
		t.Skipf("%s is not installed; scripts/test installs it", name)
	}
}

// NeedRoot skips a test that only root can run.
func NeedRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

// PublicDir returns a directory that belongs to root and that all users can enter, unlike t.TempDir.
func PublicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "httpipe-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	return data
}

// PublicBinary returns the path of a copy of the binary, beside a directory from PublicDir, that all users can execute.
func PublicBinary(t *testing.T, dir string) string {
	t.Helper()
	public := filepath.Join(filepath.Dir(dir), "httpipe")
	if out, err := exec.Command("cp", Binary(t), public).CombinedOutput(); err != nil {
		t.Fatalf("cp: %s", out)
	}
	return public
}
