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

// TestOpenGuard: without a secret a credential opens the audit log if it is the key, and nothing else.
func TestOpenGuard(t *testing.T) {
	t.Parallel()
	g := Open(auditKey)
	nobody := g.Nobody()
	for _, p := range permissions {
		if got := nobody.MayEverywhere(p); got != (p != Audit) {
			t.Errorf("everybody may %s: %v", p, got)
		}
	}
	for range 2 { // and once more when it is remembered
		b, err := g.Judge(auditKey, now)
		if err != nil || b.Name != "audit-key" || !b.MayEverywhere(Audit) || !b.MayEverywhere(Look) || !b.May(Produce, "n", "c") {
			t.Errorf("the key is judged as %+v, %v", b, err)
		}
	}
	for _, grant := range g.owner.grants {
		if grant.Permission != Audit && grant.Permission != Look {
			t.Errorf("the key allows %v", grant)
		}
	}
	unsigned := signedBy(t, "", `{"sub":"x","allow":["audit"],"channels":["*/*"]}`) // with the key of a server without secrets
	for _, credential := range []string{"", auditKey[1:], auditKey + "X", strings.ToLower(auditKey), secret, sign(t, secret), unsigned} {
		if b, err := g.Judge(credential, now); b != nil || err != Foreign {
			t.Errorf("%.30q is judged as %+v, %v", credential, b, err)
		}
	}
	if b, err := testGuard(t).Judge(auditKey, now); b != nil || err != Malformed {
		t.Errorf("to a server with a secret the key is %+v, %v", b, err)
	}
}

func TestKeepKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "httpipe.db.key")
	if _, err := ReadKey(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("without a file: %v", err)
	}
	// What a process that died has left behind is in nobody's way, and nobody's key.
	if err := os.WriteFile(path+".new", []byte(auditKey), 0o644); err != nil {
		t.Fatal(err)
	}
	key, err := KeepKey(path)
	if err != nil || !keyForm.MatchString(key) || key == auditKey {
		t.Fatalf("it made %q, %v", key, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("there are files %v, %v", files, err)
	}
	for _, read := range []func(string) (string, error){KeepKey, ReadKey} {
		if again, err := read(path); again != key || err != nil {
			t.Errorf("and then it read %q, %v, want %q", again, err, key)
		}
	}
	if other, err := KeepKey(path + "2"); err != nil || other == key {
		t.Errorf("another one is %q, %v", other, err)
	}
	if _, err := KeepKey(filepath.Join(path, "key")); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("where there is no directory: %v", err)
	}
}

// TestBadKeyFiles: a file that cannot be the key's is left as it is, and the error says what it is and what to do.
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
		"short":        {write(auditKey[1:], 0o600), "does not hold a key"},
		"two":          {write(auditKey+"\n"+auditKey+"\n", 0o600), "does not hold a key"},
		"binary":       {write(strings.Repeat("\x00", 32), 0o600), "does not hold a key"},
		"long":         {write(strings.Repeat("x", 1<<20), 0o600), "does not hold a key"},
		"group reads":  {write(auditKey, 0o640), "other users may use the file (mode 0640)"},
		"all read":     {write(auditKey, 0o604), "other users may use the file (mode 0604)"},
		"others write": {write(auditKey, 0o602), "other users may use the file (mode 0602)"},
		"directory":    {func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory, not a file; remove it"},
		"fifo":         {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "is not a regular file; remove it"},
		"itself":       {func(path string) error { return os.Symlink(path, path) }, "cannot be read"},
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
			for _, read := range []func(string) (string, error){KeepKey, ReadKey} {
				key, err := read(path)
				if key != "" || err == nil || !strings.HasPrefix(err.Error(), "audit key "+path+": ") || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %q, %v, want an error with %q", key, err, test.want)
				}
				if err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), auditKey)) {
					t.Errorf("the error has several lines, or the key: %v", err)
				}
			}
			if after, err := os.Lstat(path); err != nil || after.ModTime() != before.ModTime() || after.Mode() != before.Mode() {
				t.Errorf("the file has changed: %v, %v", after, err)
			}
		})
	}
}

// TestOwnKey: a key that the operator has chosen is as good, also without the end of a line, or behind a link.
func TestOwnKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, ending := range []string{"", "\n", "\r\n"} {
		path := filepath.Join(dir, "key")
		if err := os.WriteFile(path, []byte(auditKey+ending), 0o400); err != nil {
			t.Fatal(err)
		}
		if key, err := KeepKey(path); key != auditKey || err != nil {
			t.Errorf("%q behind it: %q, %v", ending, key, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(dir+"/elsewhere", []byte(auditKey), 0o600), os.Symlink("elsewhere", dir+"/link")); err != nil {
		t.Fatal(err)
	}
	if key, err := KeepKey(dir + "/link"); key != auditKey || err != nil {
		t.Errorf("behind a link: %q, %v", key, err)
	}
}
