// Package kit is what the tests of the whole program share. They run httpipe as its users do: as a process, with
// curl, sqlite3 and other real programs around it.
//
// [Binary] is the program, built once. [Start] runs it in a directory of the test's on a free port, and returns a
// [Server] when it listens; the test's end kills it. [Curl] is a client in the background, [StartLoad] many of them.
// [Server.SQLite] looks into the audit log. Polling ([Server.WaitFor], [Server.WaitForRow]) takes the place of sleeping.
//
// Each package of such tests has a TestMain that calls [Main], which lets its tests run in the root of the repository:
// README.md, scripts/smoke and deploy/Caddyfile are what they are called there.
package kit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Scratch is a directory for what a package's tests build once. Main removes it.
var Scratch string

// Main runs the tests of a package, and returns the exit code for TestMain. Afterwards it calls atEnd. The environment
// has no options of httpipe's while they run.
func Main(m *testing.M, atEnd ...func()) int {
	given = os.Getenv("HTTPIPE_TEST_BINARY")
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(Scratch)
	for _, f := range atEnd {
		defer f()
	}
	return m.Run()
}

// prepare makes the directory and the environment what Main says.
func prepare() error {
	for {
		if _, err := os.Stat("go.mod"); err == nil {
			break
		}
		dir, err := os.Getwd()
		if err != nil || dir == "/" {
			return errors.Join(errors.New("these tests need the source tree: no go.mod in any directory above"), err)
		}
		if err := os.Chdir(".."); err != nil {
			return err
		}
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "HTTPIPE_") || name == "PORT" || name == "REQUEST_TIMEOUT" {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	if err := readTree(); err != nil {
		return err
	}
	var err error
	Scratch, err = os.MkdirTemp("", "httpipe-test-")
	return err
}

// readTree opens every directory of the tree. The program is no part of the test's own binary, but the go command runs a
// test anew when a directory that it has opened has changed. Otherwise it would print "(cached)" for the old program.
func readTree() error {
	return filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (path == ".git" || path == "dist") {
			return fs.SkipDir
		}
		return err
	})
}

// given is the path of a program that was built already, from the environment.
var given string

// build makes the program, unless it is given.
var build = sync.OnceValues(func() (string, error) {
	if given != "" {
		return given, nil
	}
	path := filepath.Join(Scratch, "httpipe")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// Binary returns the path of httpipe: $HTTPIPE_TEST_BINARY if that is set, as scripts/test does, or one that is built
// for the tests of this package.
func Binary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Run runs a command of the binary in dir, and returns its exit code and all that it printed.
func Run(t *testing.T, dir string, args ...string) (code int, output string) {
	t.Helper()
	return Execute(t, dir, append([]string{Binary(t)}, args...)...)
}

// Variant builds the program with changes to one source file, each of an old text into a new, and returns its path. The
// tree stays as it is.
func Variant(t *testing.T, source string, changes ...string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(changes); i += 2 {
		if n := bytes.Count(text, []byte(changes[i])); n != 1 {
			t.Fatalf("%s has %d times %q, want 1: adapt this test", source, n, changes[i])
		}
		text = bytes.Replace(text, []byte(changes[i]), []byte(changes[i+1]), 1)
	}
	original, err := filepath.Abs(source)
	if err != nil {
		t.Fatal(err)
	}
	changed, overlay, program := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "httpipe")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{changed: text, overlay: replace} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

const (
	// Secret and AnotherSecret are good for --auth-secret.
	Secret        = "a-secret-for-tests-0123456789+/="
	AnotherSecret = "another-secret-0123456789abcdefgh"
)

// Token runs `httpipe token` with the secret and these arguments, and returns what it prints.
func Token(t *testing.T, secret string, args ...string) string {
	t.Helper()
	code, output := Run(t, t.TempDir(), append([]string{"token", "--auth-secret", secret}, args...)...)
	if code != 0 {
		t.Fatal(output)
	}
	return strings.TrimSuffix(output, "\n")
}
