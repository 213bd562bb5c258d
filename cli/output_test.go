package cli

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"httpipe/access"
	"httpipe/store"
)

// full is an output that takes nothing, such as a file on a full disk.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

// TestFullOutput: a command whose output cannot be written fails, so that no script goes on with an empty token.
func TestFullOutput(t *testing.T) {
	noEnvironment(t)
	t.Chdir(t.TempDir())
	log, err := store.Open(store.Config{Path: "httpipe.db", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := access.LoadOrCreateKey(KeyPath("httpipe.db")); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"-h", "help audit", "audit list -h", "version", "man", "completion bash",
		"token --name ci --allow look --channels a/a --auth-secret " + aSecret,
		"nodes table --node n1=http://a --node n2=http://b",
		"nodes haproxy --node n1=http://a --node n2=http://b",
		"audit key", "audit check", "audit backup copy.db", "audit merge all.db httpipe.db", "audit list", "audit tail", "audit summary", "audit export",
	} {
		if err := (Program{Stdout: full{}, Stderr: io.Discard}).Run(t.Context(), strings.Fields(args)); !errors.Is(err, errFull) || strings.Contains(err.Error(), "\n") {
			t.Errorf("httpipe %s: %v", args, err)
		}
	}
	for args, made := range map[string]string{"audit backup kept.db": "backup kept.db", "audit merge kept2.db httpipe.db": "merged log kept2.db"} {
		err := (Program{Stdout: full{}, Stderr: io.Discard}).Run(t.Context(), strings.Fields(args))
		if _, missing := os.Stat(strings.Fields(args)[2]); missing != nil || !strings.Contains(err.Error(), made+" is complete") {
			t.Errorf("httpipe %s: %v; the file: %v", args, err, missing)
		}
	}
}

// TestLostRowsOfUncleanRuns: the report does not say 0 for what it does not know.
func TestLostRowsOfUncleanRuns(t *testing.T) {
	for _, test := range []struct {
		unclean int64
		want    string
	}{
		{0, "runs 2 (unclean 0), rows lost 3\n"},
		{1, "runs 2 (unclean 1), rows lost 3 (unknown for unclean runs)\n"},
	} {
		if got := reportText(store.Report{Runs: 2, Unclean: test.unclean, Lost: 3}); !strings.HasSuffix(got, test.want) {
			t.Errorf("the report is %q, want %q at its end", got, test.want)
		}
	}
}
