package access

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The audit key grants access to the audit log of a server that has no secret. It has at least 128 random bits,
// consists of characters that need no escaping in a URL, and is kept in a file that only its owner can read.

// keyPattern matches an audit key.
var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{26,255}$`)

// NewKey returns a new audit key.
func NewKey() string { return rand.Text() }

// ReadKey reads the audit key from a file. Its errors are one line, say what to do, and do not contain the key.
// If the file does not exist, the error wraps fs.ErrNotExist.
func ReadKey(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", explainKeyError(path, err)
	}
	const remedy = "remove it, and the server creates a new one at its next start"
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "", fmt.Errorf("audit key %s: is a directory, not a file; %s", path, remedy)
	case !mode.IsRegular():
		return "", fmt.Errorf("audit key %s: is not a regular file; %s", path, remedy)
	case mode.Perm()&0o077 != 0:
		return "", fmt.Errorf("audit key %s: other users have access to the file (mode %04o); %s, or run chmod 600 if nobody has read it", path, mode.Perm(), remedy)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", explainKeyError(path, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, 1<<10))
	if err != nil {
		return "", explainKeyError(path, err)
	}
	key := strings.TrimSpace(string(content))
	switch {
	case key == "":
		return "", fmt.Errorf("audit key %s: the file is empty; %s", path, remedy)
	case !keyPattern.MatchString(key):
		return "", fmt.Errorf("audit key %s: the file does not contain a key (26 to 255 letters, digits, - and _); %s", path, remedy)
	}
	return key, nil
}

func explainKeyError(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("audit key %s: user %d may not read it; run this as the server's user, or change its owner", path, os.Geteuid())
	}
	return fmt.Errorf("audit key %s: %w", path, err)
}

// KeyFiles returns the paths at which LoadOrCreateKey may create files: path itself, and a temporary file.
func KeyFiles(path string) []string { return []string{path, path + ".new"} }

// LoadOrCreateKey reads the audit key from a file, or creates a key and the file if there is none. It never
// leaves a partial file. Two processes must not call it at the same time for one path; the lock on the audit
// log ensures that.
func LoadOrCreateKey(path string) (string, error) {
	key, err := ReadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = NewKey()
	if err := writeKey(path, key); err != nil {
		return "", fmt.Errorf("audit key %s: cannot be created: %w; its directory, that of the audit log, must be writable", path, err)
	}
	return key, nil
}

func writeKey(path, key string) (err error) {
	temp := KeyFiles(path)[1]
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) { // left behind by a crash
		return err
	}
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp)
		}
	}()
	_, err = io.WriteString(file, key+"\n")
	if err = cmp.Or(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
