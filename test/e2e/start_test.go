package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestUnwritableDirectory checks that the error says in one line what is wrong and how to fix it.
func TestUnwritableDirectory(t *testing.T) {
	kit.NeedRoot(t)
	dir := kit.PublicDir(t)
	public := kit.PublicBinary(t, dir)
	try := func(want string) {
		t.Helper()
		code, output := kit.Execute(t, dir, "setpriv", "--reuid=65532", "--regid=65533", "--clear-groups", public, "--port", "0", "--host", "127.0.0.1")
		if want = "httpipe: audit log " + dir + "/httpipe.db: " + want; code != 1 || !strings.HasPrefix(output, want) || strings.Count(output, "\n") != 1 {
			t.Errorf("exit %d, %s\nwant %s", code, output, want)
		}
	}
	try("user 65532 may not read and write " + dir + "; change its owner or mode")
	if err := os.WriteFile(filepath.Join(dir, "httpipe.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	try("user 65532 may not read and write " + dir + "/httpipe.db; change its owner or mode")
	if err := os.Chown(filepath.Join(dir, "httpipe.db"), 65532, 65533); err != nil {
		t.Fatal(err)
	}
	try("SQLite must create files beside it, but " + dir + " is not writable")
}

// TestForbiddenPort: an ordinary user learns why it may not listen on a low port, and what to do.
func TestForbiddenPort(t *testing.T) {
	kit.NeedRoot(t)
	if start, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err != nil || len(start) < len("1024") {
		t.Skip("here every user may listen on low ports")
	}
	dir := kit.PublicDir(t)
	code, output := kit.Execute(t, dir, "setpriv", "--reuid=65532", "--regid=65533", "--clear-groups", kit.PublicBinary(t, dir), "--port", "81", "--audit", "off")
	if want := "httpipe: user 65532 may not listen on port 81; give the program CAP_NET_BIND_SERVICE"; code != 1 || !strings.HasPrefix(output, want) || strings.Count(output, "\n") != 1 {
		t.Errorf("exit %d, %s\nwant %s", code, output, want)
	}
}
