package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"httpipe/test/kit"
)

func TestParseAccount(t *testing.T) {
	for text, want := range map[string]Account{
		"65532":       {"65532", 65532, 65532},
		"65532:7":     {"65532:7", 65532, 7},
		"nobody:1":    {"nobody:1", 65534, 1},
		"nobody:root": {"nobody:root", 65534, 0},
		"65534":       {"65534", 65534, gidOfNobody(t)},
		"nobody":      {"nobody", 65534, gidOfNobody(t)},
	} {
		if got, err := ParseAccount(text); got != want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"root":         "want an ordinary user",
		"0":            "want an ordinary user",
		"0:1":          "want an ordinary user",
		"":             `unknown user ""`,
		"no-such-user": `unknown user "no-such-user"`,
		"-1":           `unknown user "-1"`,
		"4294967295":   `unknown user "4294967295"`,
		"1:":           `unknown group ""`,
		"1:no-such":    `unknown group "no-such"`,
	} {
		if got, err := ParseAccount(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %s", text, got, err, want)
		}
	}
}

// gidOfNobody returns the group of the user nobody, as id(1) prints it.
func gidOfNobody(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("id", "-g", "nobody").Output()
	if err != nil {
		t.Skip("this machine has no user nobody: ", err)
	}
	var gid int
	fmt.Sscan(string(out), &gid)
	return gid
}

// TestGive: Drop gives away only a log's own files, in a directory of its own.
func TestGive(t *testing.T) {
	kit.NeedRoot(t)
	logFiles := func(log string) []string { return []string{log, log + "-wal", log + "-shm", log + ".tls/"} }
	to := Account{UID: 65532, GID: 65533}
	elsewhere := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(elsewhere, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		prepare func(dir string) error
		log     string
		want    string // part of the error; "": success
	}{
		{"an empty directory", func(string) error { return nil }, "a.db", ""},
		{"a log", func(dir string) error { return os.WriteFile(dir+"/a.db", nil, 0o600) }, "a.db", ""},
		{"other files", func(dir string) error { return os.WriteFile(dir+"/passwd", nil, 0o600) }, "a.db", "contains other files (passwd)"},
		{"a log beside other files", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/a.db", nil, 0o600), os.WriteFile(dir+"/passwd", nil, 0o600))
		}, "a.db", "contains other files (passwd)"},
		{"no directory", func(string) error { return nil }, "no/a.db", "no such file or directory"},
		{"a linked log", func(dir string) error { return os.Symlink(elsewhere, dir+"/a.db") }, "a.db", "cannot make user 65532 the owner of a.db: it is not a regular file"},
		{"a linked WAL", func(dir string) error { return os.Symlink(elsewhere, dir+"/a.db-wal") }, "a.db", "the owner of a.db-wal"},
		{"a hard link", func(dir string) error { return os.Link(elsewhere, dir+"/a.db-shm") }, "a.db", "the owner of a.db-shm"},
		{"a directory for a log", func(dir string) error { return os.Mkdir(dir+"/a.db", 0o700) }, "a.db", "the owner of a.db"},
		{"a pipe for a log", func(dir string) error { return syscall.Mkfifo(dir+"/a.db", 0o600) }, "a.db", "the owner of a.db"},
		{"certificates", func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/a.db.tls", 0o700), os.WriteFile(dir+"/a.db.tls/key", nil, 0o600))
		}, "a.db", ""},
		{"linked certificates", func(dir string) error { return os.Symlink(filepath.Dir(elsewhere), dir+"/a.db.tls") }, "a.db", "the owner of a.db.tls"},
		{"a linked key", func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/a.db.tls", 0o700), os.Symlink(elsewhere, dir+"/a.db.tls/key"))
		}, "a.db", "the owner of a.db.tls: key: it is not a regular file"},
		{"a linked directory", func(dir string) error { return os.Symlink(dir, dir+"/link") }, "link/a.db", "its directory must exist and must not be a link"},
	} {
		dir := t.TempDir()
		if err := test.prepare(dir); err != nil {
			t.Fatal(err)
		}
		err := give(logFiles(filepath.Join(dir, test.log)), to)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
		if test.want == "" {
			files, _ := filepath.Glob(dir + "/*/*")
			kit.WantOwner(t, 65532, 65533, append(files, dir)...)
		} else {
			files, _ := filepath.Glob(dir + "/*")
			kit.WantOwner(t, 0, 0, append(files, dir)...)
		}
		kit.WantOwner(t, 0, 0, elsewhere)
	}
	// A server without a log keeps the certificates alone.
	dir := t.TempDir()
	certificates := []string{filepath.Join(dir, "a.db.tls") + "/"}
	if err := errors.Join(os.Mkdir(certificates[0], 0o700), os.WriteFile(filepath.Join(dir, "passwd"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := give(certificates, to); err != nil {
		t.Error(err)
	}
	kit.WantOwner(t, 65532, 65533, certificates[0])
	kit.WantOwner(t, 0, 0, dir, filepath.Join(dir, "passwd"))
	if err := give(logFiles("/httpipe-test.db"), to); err == nil || !strings.Contains(err.Error(), "contains other files") {
		t.Errorf("the root directory: %v", err)
	}
}
