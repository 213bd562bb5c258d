//go:build packages

package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"httpipe/test/kit"
)

func TestMain(m *testing.M) { os.Exit(kit.Main(m)) }

// version is what the tests release.
const version = "1.2.3"

// release runs scripts/release, once, in a copy of the source tree, and returns its directory dist.
var release = sync.OnceValues(func() (string, error) {
	tree := filepath.Join(kit.Scratch, "tree")
	const copyTree = `git clone -q . "$0" && { git diff --name-only --diff-filter=d -z HEAD; git ls-files -o --exclude-standard -z; } | xargs -0 -r cp --parents -t "$0"`
	for _, command := range [][]string{{"sh", "-c", copyTree, tree}, {filepath.Join(tree, "scripts/release"), version}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", errorOf(command, out, err)
		}
	}
	return filepath.Join(tree, "dist"), nil
})

type commandError struct {
	command []string
	output  string
	err     error
}

func errorOf(command []string, output []byte, err error) error {
	return commandError{command, string(output), err}
}

func (e commandError) Error() string {
	return strings.Join(e.command, " ") + ": " + e.err.Error() + "\n" + e.output
}

// released returns the directory with the release. It needs the C compilers of both architectures, as scripts/release does.
func released(t *testing.T) string {
	t.Helper()
	kit.NeedTool(t, "aarch64-linux-gnu-gcc")
	dist, err := release()
	if err != nil {
		t.Fatal(err)
	}
	return dist
}

// run runs a command, which must succeed, and returns its output without the last newline.
func run(t *testing.T, command ...string) string {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatal(errorOf(command, out, err))
	}
	return strings.TrimSuffix(string(out), "\n")
}
