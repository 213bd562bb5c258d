// Package kit is what the tests of the whole program share. They run httpipe as its users do: as a process, with
// curl, sqlite3 and other real programs around it.
//
// [Binary] is the program, built once. [Start] runs it in a directory of the test on a free port, and returns a
// [Server] as soon as it listens; the end of the test kills it. [Curl] is one client in the background, [StartLoad]
// many of them. [Server.SQLite] reads the audit log. Tests do not sleep for a time that should suffice: they poll, with
// [Server.WaitFor] and [Server.WaitForRow].
//
// Each package of such tests has a TestMain that calls [Main], so that its tests run in the root of the repository, where
// README.md, scripts/smoke and deploy/Caddyfile have these names. If the tests are built with the race detector, so is the
// program, and a data race in any process of it fails the package, even if that process is killed.
package kit

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Scratch is a directory for what the tests of a package build once. Main removes it.
var Scratch string

// Main runs the tests of a package and then calls atEnd. It returns the exit code for TestMain. The tests see none of
// httpipe's environment variables.
func Main(m *testing.M, atEnd ...func()) int {
	given = os.Getenv("HTTPIPE_TEST_BINARY")
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(Scratch)
	code := m.Run()
	for _, f := range atEnd {
		f()
	}
	reports, _ := filepath.Glob(raceReports() + ".*")
	for _, path := range reports {
		report, err := os.ReadFile(path)
		if err != nil {
			report = []byte(err.Error())
		}
		fmt.Fprintf(os.Stderr, "a process of httpipe has a data race:\n%s\n", report)
		code = 1
	}
	return code
}

// raceReports is where the processes of the program report data races: each in a file with its process id appended.
func raceReports() string { return filepath.Join(Scratch, "race") }

// prepare sets up the working directory, the environment and Scratch.
func prepare() error {
	if err := enterRoot(); err != nil {
		return err
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "HTTPIPE_") || name == "PORT" || name == "REQUEST_TIMEOUT" {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	// The program is not part of a test's own binary. If it changes, the go command would still print "(cached)"; but it
	// caches no test that does not log which files it reads.
	flag.Parse()
	if err := flag.Set("test.testlogfile", ""); err != nil {
		return err
	}
	var err error
	if Scratch, err = os.MkdirTemp("", "httpipe-test-"); err != nil {
		return err
	}
	// By default each process with the race detector sleeps for a second before it exits.
	return os.Setenv("GORACE", "atexit_sleep_ms=0 log_path="+raceReports())
}

// enterRoot changes to the root of the repository, from any directory in it.
func enterRoot() error {
	for {
		if _, err := os.Stat("go.mod"); err == nil {
			return nil
		}
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		if dir == filepath.Dir(dir) {
			return errors.New("these tests need the source tree, and no directory above this one has a go.mod")
		}
		if err := os.Chdir(".."); err != nil {
			return err
		}
	}
}

// given is the path of a program that was built before, from the environment.
var given string

// build builds the program, unless it is given.
var build = sync.OnceValues(func() (string, error) {
	if given != "" {
		return given, nil
	}
	if underRaceDetector() {
		return buildIn("httpipe-race", "-race")
	}
	return buildPlain()
})

var buildPlain = sync.OnceValues(func() (string, error) { return buildIn("httpipe-plain") })

// underRaceDetector reports whether this test is built with the race detector.
func underRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// buildIn builds the program in a directory of Scratch.
func buildIn(directory string, flags ...string) (string, error) {
	path := filepath.Join(Scratch, directory, "httpipe")
	args := slices.Concat([]string{"build", "-o", path}, flags, []string{"."})
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
}

// Binary returns the path of a program named httpipe: $HTTPIPE_TEST_BINARY, or else one that is built with the race
// detector if the test is.
func Binary(t *testing.T) string {
	t.Helper()
	return must(t, build)
}

// PlainBinary returns the path of the program as users have it, without the race detector. It is for tests that
// measure memory, or that take too long otherwise.
func PlainBinary(t *testing.T) string {
	t.Helper()
	return must(t, buildPlain)
}

func must(t *testing.T, build func() (string, error)) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Run runs a command of httpipe in dir, and returns its exit code with its output and error output.
func Run(t *testing.T, dir string, args ...string) (code int, output string) {
	t.Helper()
	return Execute(t, dir, append([]string{Binary(t)}, args...)...)
}

// A Change replaces text of a source file, which must have the old text exactly once.
type Change struct{ File, Old, New string }

// Variant is Changed with changes to one file: old, new, old, new, ….
func Variant(t *testing.T, file string, changes ...string) string {
	t.Helper()
	var all []Change
	for i := 0; i < len(changes); i += 2 {
		all = append(all, Change{file, changes[i], changes[i+1]})
	}
	return Changed(t, all...)
}

// Changed builds the program with changes to its source, and returns its path. The source tree stays as it is.
func Changed(t *testing.T, changes ...Change) string {
	t.Helper()
	dir := t.TempDir()
	texts := make(map[string]string) // of the changed files
	for _, c := range changes {
		text, ok := texts[c.File]
		if !ok {
			source, err := os.ReadFile(c.File)
			if err != nil {
				t.Fatal(err)
			}
			text = string(source)
		}
		if n := strings.Count(text, c.Old); n != 1 {
			t.Fatalf("%s has %d times %q, want 1: adapt this test", c.File, n, c.Old)
		}
		texts[c.File] = strings.Replace(text, c.Old, c.New, 1)
	}
	replace := make(map[string]string)
	for file, text := range texts {
		original, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		replace[original] = filepath.Join(dir, fmt.Sprintf("changed%d.go", len(replace)))
		if err := os.WriteFile(replace[original], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "httpipe")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		t.Fatal(err)
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
