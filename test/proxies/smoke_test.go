package proxies

import (
	"path/filepath"
	"testing"

	"httpipe/test/kit"
)

// TestSmokeThroughProxies: it is as content with a relay that is behind one.
func TestSmokeThroughProxies(t *testing.T) {
	t.Parallel()
	p := kit.Start(t, t.TempDir())
	for _, x := range proxies {
		t.Run(x.name, func(t *testing.T) {
			kit.Smoke(t, "--audit-db", filepath.Join(p.Dir, "httpipe.db"), x.start(t, p.URL))
		})
	}
}
