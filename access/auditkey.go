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

// An audit key opens the audit log of a server that has no secret. It has at least 128 random bits, in characters that go
// into a URL as they are, and is kept in a file that its owner alone may read.

// keyForm is the form of an audit key.
var keyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{26,255}$`)

// NewKey returns a new audit key.
func NewKey() string { return rand.Text() }

// ReadKey returns the audit key in a file. Its errors, of one line, say what to do and do not contain the key. If there is
// no file the error wraps fs.ErrNotExist.
func ReadKey(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", unreadableKey(path, err)
	}
	const anew = "remove it, and the server makes a new one when it starts"
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "", fmt.Errorf("audit key %s: is a directory, not a file; %s", path, anew)
	case !mode.IsRegular():
		return "", fmt.Errorf("audit key %s: is not a regular file; %s", path, anew)
	case mode.Perm()&0o077 != 0:
		return "", fmt.Errorf("audit key %s: other users may use the file (mode %04o); %s, or run chmod 600 if nobody has read it", path, mode.Perm(), anew)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", unreadableKey(path, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, 1<<10))
	if err != nil {
		return "", unreadableKey(path, err)
	}
	key := strings.TrimSpace(string(content))
	switch {
	case key == "":
		return "", fmt.Errorf("audit key %s: the file is empty; %s", path, anew)
	case !keyForm.MatchString(key):
		return "", fmt.Errorf("audit key %s: the file does not hold a key (26 to 255 letters, digits, - and _); %s", path, anew)
	}
	return key, nil
}

func unreadableKey(path string, err error) error {
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err // the path is said already
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("audit key %s: user %d may not read it: %w; use it as the user of the server, or change its owner", path, os.Geteuid(), err)
	}
	return fmt.Errorf("audit key %s: cannot be read: %w", path, err)
}

// KeyFiles returns the names of the files that there may be for the audit key at path: its own, and the one that becomes it.
func KeyFiles(path string) []string { return []string{path, path + ".new"} }

// KeepKey returns the audit key in a file, which it makes if it is missing. The file is there whole or not at all, whenever
// the process dies. No other process may do the same at the same time; the lock on the audit log sees to that.
func KeepKey(path string) (string, error) {
	key, err := ReadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = NewKey()
	if err := writeKey(path, key); err != nil {
		return "", fmt.Errorf("audit key %s: cannot be made: %w; it belongs beside the audit log, in a directory that the server may write to", path, err)
	}
	return key, nil
}

func writeKey(path, key string) (err error) {
	made := KeyFiles(path)[1]
	if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) { // one that a process left behind when it died
		return err
	}
	file, err := os.OpenFile(made, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(made)
		}
	}()
	_, err = io.WriteString(file, key+"\n")
	if err = cmp.Or(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(made, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
