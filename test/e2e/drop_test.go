package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestDropTo checks that a server that root starts, on a log that root has written before, works as an ordinary user, to
// whom all its files belong.
func TestDropTo(t *testing.T) {
	t.Parallel()
	kit.NeedRoot(t)
	dir := kit.PublicDir(t)
	p := kit.Start(t, dir)
	p.Process.Kill() // which leaves a WAL
	<-p.Exited
	log := filepath.Join(dir, "httpipe.db")
	kit.WantOwner(t, 0, 0, dir, log, log+".key", log+"-wal", log+"-shm")
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}

	p = kit.Start(t, dir, "--drop-to", "65532:65533")
	kit.WantStuck(t, p.Process.Pid)
	consumer := kit.Curl(p.URL + "/channels/v1/a")
	if got := <-kit.Curl("-d", "hello", p.URL+"/channels/v1/a") + <-consumer; got != "hello" {
		t.Errorf("the two got %q", got)
	}
	kit.WantStuck(t, p.Process.Pid)
	kit.WantOwner(t, kit.DroppedUser, kit.DroppedGroup, dir, log, log+".key", log+"-wal", log+"-shm")
	if got := kit.Status(t, p.URL+"/audit/exchanges", p.AuditKey(t)); got != 200 { // root reads the key
		t.Errorf("with the key: %d", got)
	}
	kit.WantOwner(t, 0, 0, filepath.Join(dir, "lost+found"))

	// Commands that root runs on the log do not change its owner.
	if code, output := kit.Run(t, dir, "audit", "check"); code != 0 {
		t.Errorf("root's check: exit %d, %s", code, output)
	}
	p.Stop(t)
	if code, output := kit.Run(t, dir, "audit", "check"); code != 0 {
		t.Errorf("root's check of the stopped log: exit %d, %s", code, output)
	}
	if err := os.WriteFile(filepath.Join(dir, "backup.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p = kit.Start(t, dir, "--drop-to", "65532:65533") // the directory is the user's by now, whatever else it holds
	kit.WantOwner(t, 0, 0, filepath.Join(dir, "backup.db"))
	p.Stop(t)
	if got := p.SQLite(t, "select count(*), count(*) filter (where outcome = 'delivered') from runs left join exchanges on runs.id = 1"); got != "3|1" {
		t.Errorf("runs and exchanges: %s", got)
	}
}

// TestDropToKeepsItsName checks the name in the list of processes.
func TestDropToKeepsItsName(t *testing.T) {
	kit.NeedRoot(t)
	dir := kit.PublicDir(t)
	cmd := exec.Command(kit.PublicBinary(t, dir), "--drop-to", "65532:65533", "--port", "0", "--host", "127.0.0.1", "--log-format", "json")
	cmd.Dir = dir
	p := kit.StartCommand(t, cmd)
	kit.WantStuck(t, p.Process.Pid)
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.Process.Pid))
	if err != nil || string(comm) != "httpipe\n" {
		t.Errorf("it is called %q, %v", comm, err)
	}
}

// TestDropToUnprivileged checks that a server that is not started as root keeps its user, unless it has capabilities.
func TestDropToUnprivileged(t *testing.T) {
	kit.NeedRoot(t)
	dir := kit.PublicDir(t)
	if err := os.Chown(dir, kit.DroppedUser, kit.DroppedGroup); err != nil {
		t.Fatal(err)
	}
	public := kit.PublicBinary(t, dir)
	as := func(options ...string) []string {
		return append([]string{"setpriv", "--reuid=65532", "--regid=65533", "--clear-groups"}, options...)
	}
	by := append(as("--inh-caps=+setuid", "--ambient-caps=+setuid"), public, "--drop-to", "65532:65533", "--port", "0", "--host", "127.0.0.1")
	const want = "httpipe: --drop-to 65532:65533: user 65532 has capabilities that belong to root"
	if code, output := kit.Execute(t, dir, by...); code != 1 || !strings.HasPrefix(output, want) || strings.Count(output, "\n") != 1 {
		t.Errorf("exit %d, %s\nwant %s", code, output, want)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("a start that was refused left %v, %v", entries, err)
	}
	for _, to := range []string{"65532:65533", "1234"} {
		by := as(public, "--drop-to", to, "--port", "0", "--host", "127.0.0.1", "--log-format", "json")
		cmd := exec.Command(by[0], by[1:]...)
		cmd.Dir = dir
		p := kit.StartCommand(t, cmd)
		resp, err := http.Get(p.URL + "/healthz")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("health: %v %v", resp, err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		kit.WantOwner(t, kit.DroppedUser, kit.DroppedGroup, filepath.Join(dir, "httpipe.db"))
		p.Stop(t)
	}
}
