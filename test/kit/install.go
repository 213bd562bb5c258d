package kit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Installed returns the directory in the user's cache where command has installed the packages that the file lock in dir
// lists. Only the first run with a lock file, and a version of the command, installs them: command then runs in a copy of
// dir, which gets its final name when it is complete. So a second run at the same time cannot use half of it.
func Installed(t *testing.T, dir, lock string, command ...string) string {
	t.Helper()
	NeedTool(t, command[0])
	versions, err := os.ReadFile(filepath.Join(dir, lock))
	if err != nil {
		t.Fatal(err)
	}
	version, err := exec.Command(command[0], "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "httpipe-test")
	name := filepath.Base(dir)
	final := filepath.Join(cache, fmt.Sprintf("%s-%x", name, sha256.Sum256(append(versions, version...))))
	if _, err := os.Stat(final); err == nil {
		return final
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	unfinished, err := os.MkdirTemp(cache, name+"-new-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(unfinished)
	if err := os.CopyFS(unfinished, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if code, output := Execute(t, unfinished, command...); code != 0 {
		t.Fatalf("%q: exit %d\n%s", command, code, output)
	}
	if err := os.Rename(unfinished, final); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	return final
}
