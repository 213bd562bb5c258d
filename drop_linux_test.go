package main

import (
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
	for text, want := range map[string]account{
		"65532":       {"65532", 65532, 65532},
		"65532:7":     {"65532:7", 65532, 7},
		"nobody:1":    {"nobody:1", 65534, 1},
		"nobody:root": {"nobody:root", 65534, 0},
		"65534":       {"65534", 65534, gidOfNobody(t)},
		"nobody":      {"nobody", 65534, gidOfNobody(t)},
	} {
		if got, err := parseAccount(text); got != want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"root":         "want an ordinary user",
		"0":            "want an ordinary user",
		"0:1":          "want an ordinary user",
		"":             `there is no user ""`,
		"no-such-user": `there is no user "no-such-user" here`,
		"-1":           `there is no user "-1"`,
		"4294967295":   `there is no user "4294967295"`,
		"1:":           `there is no group ""`,
		"1:no-such":    `there is no group "no-such" here`,
	} {
		if got, err := parseAccount(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %s", text, got, err, want)
		}
	}
}

// gidOfNobody is nobody's group, as the machine's own tool knows it.
func gidOfNobody(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("id", "-g", "nobody").Output()
	if err != nil {
		t.Skip("there is no user nobody: ", err)
	}
	var gid int
	fmt.Sscan(string(out), &gid)
	return gid
}

// TestOwn: what is given away, and what is not.
func TestOwn(t *testing.T) {
	kit.NeedRoot(t)
	to := account{uid: kit.DroppedUser, gid: kit.DroppedGroup}
	elsewhere := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(elsewhere, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		prepare func(dir string) error
		log     string
		want    string // of the error; "": the directory is given away
	}{
		{"an empty directory", func(string) error { return nil }, "a.db", ""},
		{"a log", func(dir string) error { return os.WriteFile(dir+"/a.db", nil, 0o600) }, "a.db", ""},
		{"other things", func(dir string) error { return os.WriteFile(dir+"/passwd", nil, 0o600) }, "a.db", "holds other things (passwd)"},
		{"no directory", func(string) error { return nil }, "no/a.db", "no such file or directory"},
		{"a linked log", func(dir string) error { return os.Symlink(elsewhere, dir+"/a.db") }, "a.db", "a.db cannot be given to user 65532: it is a link, or no file"},
		{"a linked WAL", func(dir string) error { return os.Symlink(elsewhere, dir+"/a.db-wal") }, "a.db", "a.db-wal cannot be given"},
		{"a hard link", func(dir string) error { return os.Link(elsewhere, dir+"/a.db-shm") }, "a.db", "a.db-shm cannot be given"},
		{"a directory for a log", func(dir string) error { return os.Mkdir(dir+"/a.db", 0o700) }, "a.db", "a.db cannot be given"},
		{"a pipe for a log", func(dir string) error { return syscall.Mkfifo(dir+"/a.db", 0o600) }, "a.db", "a.db cannot be given"},
		{"a linked directory", func(dir string) error { return os.Symlink(dir, dir+"/link") }, "link/a.db", "its directory has to be there, and no link"},
	} {
		dir := t.TempDir()
		if err := test.prepare(dir); err != nil {
			t.Fatal(err)
		}
		err := own(filepath.Join(dir, test.log), to)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
		if test.want == "" {
			kit.WantOwner(t, kit.DroppedUser, kit.DroppedGroup, dir)
		} else {
			kit.WantOwner(t, 0, 0, dir)
		}
		kit.WantOwner(t, 0, 0, elsewhere)
	}
	if err := own("/httpipe-test.db", to); err == nil || !strings.Contains(err.Error(), "holds other things") {
		t.Errorf("the root directory: %v", err)
	}
}
