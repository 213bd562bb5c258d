package access

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const auditKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// TestOpenGuard checks that without a secret only the audit key gives access to the audit log.
func TestOpenGuard(t *testing.T) {
	t.Parallel()
	g := NewOpen(auditKey)
	anonymous := g.Anonymous()
	for _, p := range Permissions {
		if got := anonymous.MayEverywhere(p); got != (p != Audit) {
			t.Errorf("a client without a key may %s: %v", p, got)
		}
	}
	for range 2 { // the second time from the cache
		b, err := g.Authenticate(auditKey, now)
		if err != nil || b.Name != "audit-key" || !b.MayEverywhere(Audit) || !b.MayEverywhere(Look) || !b.May(Produce, "n", "c") {
			t.Errorf("the key: %+v, %v", b, err)
		}
	}
	for _, grant := range g.owner.grants {
		if grant.Permission != Audit && grant.Permission != Look {
			t.Errorf("the key allows %v", grant)
		}
	}
	unsigned := signedBy(t, "", `{"sub":"x","allow":["audit"],"channels":["*/*"]}`) // signed with an empty secret
	for _, credential := range []string{"", auditKey[1:], auditKey + "X", strings.ToLower(auditKey), secret, sign(t, secret), unsigned} {
		if b, err := g.Authenticate(credential, now); b != nil || err != WrongSignature {
			t.Errorf("%.30q: %+v, %v", credential, b, err)
		}
	}
	if b, err := testGuard(t).Authenticate(auditKey, now); b != nil || err != Malformed {
		t.Errorf("the key on a server with a secret: %+v, %v", b, err)
	}
}

func TestLoadOrCreateKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "httpipe.db.key")
	if _, err := ReadKey(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing file: %v", err)
	}
	// A temporary file left behind by a crash is neither an obstacle nor used.
	if err := os.WriteFile(path+".new", []byte(auditKey), 0o644); err != nil {
		t.Fatal(err)
	}
	key, err := LoadOrCreateKey(path)
	if err != nil || !keyPattern.MatchString(key) || key == auditKey {
		t.Fatalf("LoadOrCreateKey returned %q, %v", key, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("the directory contains %v, %v", files, err)
	}
	for _, read := range []func(string) (string, error){LoadOrCreateKey, ReadKey} {
		if again, err := read(path); again != key || err != nil {
			t.Errorf("a second call returned %q, %v, want %q", again, err, key)
		}
	}
	if other, err := LoadOrCreateKey(path + "2"); err != nil || other == key {
		t.Errorf("a second key is %q, %v", other, err)
	}
	if _, err := LoadOrCreateKey(filepath.Join(path, "key")); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("missing directory: %v", err)
	}
}

// TestBadKeyFiles checks that an invalid key file is not changed, and that the error names the problem and a
// remedy.
func TestBadKeyFiles(t *testing.T) {
	t.Parallel()
	write := func(content string, mode fs.FileMode) func(string) error {
		return func(path string) error {
			return errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Chmod(path, mode))
		}
	}
	for name, test := range map[string]struct {
		make func(path string) error
		want string
	}{
		"empty":        {write("", 0o600), "the file is empty; remove it"},
		"blank":        {write(" \n\n", 0o600), "the file is empty; remove it"},
		"short":        {write(auditKey[1:], 0o600), "does not contain a key"},
		"two":          {write(auditKey+"\n"+auditKey+"\n", 0o600), "does not contain a key"},
		"binary":       {write(strings.Repeat("\x00", 32), 0o600), "does not contain a key"},
		"long":         {write(strings.Repeat("x", 1<<20), 0o600), "does not contain a key"},
		"group reads":  {write(auditKey, 0o640), "other users have access to the file (mode 0640)"},
		"all read":     {write(auditKey, 0o604), "other users have access to the file (mode 0604)"},
		"others write": {write(auditKey, 0o602), "other users have access to the file (mode 0602)"},
		"directory":    {func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory, not a file; remove it"},
		"fifo":         {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "is not a regular file; remove it"},
		"itself":       {func(path string) error { return os.Symlink(path, path) }, "too many levels of symbolic links"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "httpipe.db.key")
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, read := range []func(string) (string, error){LoadOrCreateKey, ReadKey} {
				key, err := read(path)
				if key != "" || err == nil || !strings.HasPrefix(err.Error(), "audit key "+path+": ") || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %q, %v, want an error with %q", key, err, test.want)
				}
				if err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), auditKey)) {
					t.Errorf("the error has several lines or contains the key: %v", err)
				}
			}
			if after, err := os.Lstat(path); err != nil || after.ModTime() != before.ModTime() || after.Mode() != before.Mode() {
				t.Errorf("the file has changed: %v, %v", after, err)
			}
		})
	}
}

// TestChosenKey checks keys that the operator has chosen, with any line ending, and behind a symbolic link.
func TestChosenKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, ending := range []string{"", "\n", "\r\n"} {
		path := filepath.Join(dir, "key")
		if err := os.WriteFile(path, []byte(auditKey+ending), 0o400); err != nil {
			t.Fatal(err)
		}
		if key, err := LoadOrCreateKey(path); key != auditKey || err != nil {
			t.Errorf("with %q at the end: %q, %v", ending, key, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(dir+"/elsewhere", []byte(auditKey), 0o600), os.Symlink("elsewhere", dir+"/link")); err != nil {
		t.Fatal(err)
	}
	if key, err := LoadOrCreateKey(dir + "/link"); key != auditKey || err != nil {
		t.Errorf("through a link: %q, %v", key, err)
	}
}
