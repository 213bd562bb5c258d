package e2e

import (
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestHealthcheckOfProcess is what a container's health check runs.
func TestHealthcheckOfProcess(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	path := kit.Binary(t)
	check := func() (code int, output string) { return kit.Execute(t, p.Dir, path, "healthcheck", p.URL+"/healthz") }
	if code, output := check(); code != 0 || output != "" {
		t.Errorf("of a server that serves: exit %d, %q", code, output)
	}
	p.Stop(t)
	if code, output := check(); code != 1 || strings.Count(output, "\n") != 1 || !strings.HasPrefix(output, "httpipe: ") {
		t.Errorf("of one that is stopped: exit %d, %q", code, output)
	}
}
