package cli

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"httpipe/client"
)

// incoming returns a message with a file name.
func incoming(disposition string) *client.Incoming {
	return &client.Incoming{Exchange: "x", Header: http.Header{"Content-Disposition": {disposition}}}
}

func TestSafeName(t *testing.T) {
	t.Parallel()
	for disposition, want := range map[string]string{
		"":                                    "",
		"attachment":                          "",
		"attachment; filename=a.txt":          "a.txt",
		`attachment; filename="../../a b"`:    "a b",
		`attachment; filename="c:\\dir\\a"`:   "a",
		`attachment; filename=".bashrc"`:      "bashrc",
		`attachment; filename=".."`:           "",
		`attachment; filename="dir/"`:         "",
		"attachment; filename*=UTF-8''%c3%a4": "ä",
		"attachment; filename*=UTF-8''a%00%0a%1b%e2%80%ae%ff.exe": "a.exe",
		"attachment; filename=" + strings.Repeat("x", 201):        "",
	} {
		if got := safeName(incoming(disposition)); got != want {
			t.Errorf("%s: %q, want %q", disposition, got, want)
		}
	}
}

// TestSaveKeepsMode: a message in a file that existed is no more readable than what it replaces, nor less writable.
func TestSaveKeepsMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o600, 0o666, 0o400} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := save(path, incoming(""), strings.NewReader("secret")); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode || info.Size() != 6 {
			t.Errorf("of a file with the mode %v is left %v, %v", mode, info, err)
		}
	}
}

// TestSave: a file appears when its message is whole; one in a directory replaces no other; a named pipe stays one.
func TestSave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 3 {
		if _, size, err := save(dir, incoming("attachment; filename=a.txt"), strings.NewReader("hello")); size != 5 || err != nil {
			t.Fatal(size, err)
		}
	}
	if _, _, err := save(filepath.Join(dir, "a.txt"), incoming(""), strings.NewReader("new")); err != nil {
		t.Fatal(err)
	}
	if path, _, err := save(dir, incoming(""), strings.NewReader("no name")); path != filepath.Join(dir, "x") || err != nil {
		t.Error(path, err)
	}
	if _, _, err := save(dir, incoming("attachment; filename=half"), half{}); err == nil {
		t.Error("half a message is saved")
	}
	path, _, err := save("/dev/null", incoming(""), half{})
	if f, ok := errors.AsType[*client.Failure](err); path != "" || !ok || !f.Final {
		t.Errorf("half a message to a device is reported as saved in %q, or tried again: %v", path, err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("a.txt", link); err != nil {
		t.Fatal(err)
	}
	if path, _, err := save(link, incoming(""), strings.NewReader("through a link")); path != filepath.Join(dir, "a.txt") || err != nil {
		t.Error(path, err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	through := make(chan string, 1)
	go func() {
		text, err := os.ReadFile(fifo)
		through <- fmt.Sprint(string(text), err)
	}()
	if path, _, err := save(fifo, incoming(""), strings.NewReader("hello")); path != fifo || err != nil {
		t.Error(path, err)
	}
	if got := <-through; got != "hello<nil>" {
		t.Errorf("through a named pipe comes %s", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[entry.Name()] = string(text)
	}
	if len(got) != 5 || got["a.txt"] != "through a link" || got["a-2.txt"] != "hello" || got["a-3.txt"] != "hello" || got["x"] != "no name" {
		t.Errorf("the directory has %q", got)
	}
}

// half is a message that breaks.
type half struct{}

func (half) Read(p []byte) (int, error) {
	return copy(p, "half"), &client.Failure{Outcome: client.Broken}
}
