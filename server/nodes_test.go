package server

import (
	"bufio"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"httpipe/cli"
	"httpipe/test/kit"
)

// TestRereadTable: SIGHUP has the table read again. One that cannot be used changes nothing, and the log says why.
func TestRereadTable(t *testing.T) {
	const two = "node n1 http://a\nnode n2 http://b\nslots 1\n"
	c := &cli.Config{Nodes: kit.WriteFile(t, filepath.Join(t.TempDir(), "nodes.txt"), two+"slot 0 n1 n2\n"), Node: "n1"}
	r, w := io.Pipe()
	log := bufio.NewReader(r)
	logger := slog.New(slog.NewTextHandler(w, nil))
	member, err := openMember(c, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer rereadTable(c, member, logger)()
	for _, step := range []struct {
		table, want string
		serves      bool
	}{
		{two + "slot 0 n2 n1\n", "the table of nodes was read again", false},
		{"nonsense", `line 1: unknown word`, false},
		{two + "slot 0 n1 n2\n", "the table of nodes was read again", true},
		{"node n2 http://a\nnode n3 http://b\nslots 1\nslot 0 n2 n3\n", "there is no node", true},
	} {
		kit.WriteFile(t, c.Nodes, step.table)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		line, err := log.ReadString('\n')
		if err != nil || !strings.Contains(line, step.want) {
			t.Errorf("%q: logged %s, %v; want %s", step.table, line, err, step.want)
		}
		if member.Serves("a", "b") != step.serves {
			t.Errorf("%q: serves is %v, want %v", step.table, !step.serves, step.serves)
		}
	}
}
