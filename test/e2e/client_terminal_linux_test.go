package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestTransferAtTerminal: a terminal shows what a transfer waits for, how far it is, and how it ended, and obeys nothing that
// comes from the other side.
func TestTransferAtTerminal(t *testing.T) {
	t.Parallel()
	p := kit.Start(t, t.TempDir())
	dir, url := t.TempDir(), p.URL+"/channels/demo/hello"
	kit.WriteFile(t, filepath.Join(dir, "report.txt"), strings.Repeat("x", 3<<20))
	screen := onTerminal(t, dir, nil, "send", "report.txt", url)
	screen.WaitFor("report.txt: waiting for a consumer")
	if got := <-kit.Patient("-o", "/dev/null", url); got != "" {
		t.Errorf("the consumer got %q", got)
	}
	if shown := screen.All(); !strings.Contains(shown, "report.txt: delivered, 3.0 MiB in ") {
		t.Errorf("send shows\n%q", shown)
	}

	screen = onTerminal(t, dir, nil, "receive", "-o", ".", url)
	screen.WaitFor("demo/hello: waiting for a producer")
	if got := <-kit.Patient("-H", "Content-Disposition: attachment; filename*=UTF-8''a%1Bb%E2%80%AE.txt", "-d", "hello", url); got != "" {
		t.Errorf("the producer got %q", got)
	}
	if shown := screen.All(); !strings.Contains(shown, "ab.txt: received, 5 B in ") || strings.Contains(shown, "\u202e") {
		t.Errorf("receive shows\n%q", shown)
	}

	screen = onTerminal(t, dir, nil, "send", url)
	screen.WaitFor("Ctrl-D at the beginning of a line ends it.\n")
	screen.Type("typed\n\x04")
	if got := <-kit.Patient(url); got != "typed\n" {
		t.Errorf("the consumer of a typed message got %q", got)
	}
	screen.All()
}
