package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestBackupUnderLoad checks that a backup of a busy server has every exchange that was acknowledged before, does not disturb
// the server, and that another server can continue from it.
func TestBackupUnderLoad(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	l := kit.StartLoad(t, p.URL, 8)
	var copies []string
	for n := range 3 {
		l.More(t, 200)
		before := l.Acknowledged()

		name := fmt.Sprintf("copy%d.db", n)
		code, output := kit.Run(t, p.Dir, "audit", "backup", name)
		if code != 0 || !strings.HasPrefix(output, name+": schema ") || strings.Count(output, "\n") != 2 {
			t.Fatalf("exit %d, %s", code, output)
		}
		copied := filepath.Join(p.Dir, name)
		copies = append(copies, copied)
		missing := slices.Clone(before)
		for _, id := range strings.Fields(kit.SQLite(t, copied, "select id from exchanges where outcome = 'delivered'")) {
			if i := slices.Index(missing, id); i >= 0 {
				missing = slices.Delete(missing, i, i+1)
			}
		}
		if len(missing) > 0 {
			t.Errorf("the copy lacks %d of %d exchanges that were acknowledged before it was begun, such as %s", len(missing), len(before), missing[0])
		}
	}
	l.More(t, 100)
	l.Stop(t) // which reports whatever a client should not have seen
	if code, output := kit.Run(t, p.Dir, "audit", "check"); code != 0 || !strings.Contains(output, "in use by a server") || !strings.HasSuffix(output, "sound\n") {
		t.Errorf("the log itself: exit %d, %s", code, output)
	}
	p.Stop(t)

	dir := t.TempDir()
	if err := os.Rename(copies[2], filepath.Join(dir, "httpipe.db")); err != nil {
		t.Fatal(err)
	}
	restored := kit.Start(t, dir)
	l = kit.StartLoad(t, restored.URL, 2)
	l.More(t, 20)
	l.Stop(t)
	restored.Stop(t)
	if got := restored.SQLite(t, "select count(*), sum(clean) from runs"); got != "2|1" {
		t.Errorf("runs and those that stopped in order: %s", got)
	}
	if code, output := kit.Run(t, dir, "audit", "check"); code != 0 {
		t.Errorf("the log that went on from a copy: exit %d, %s", code, output)
	}
}

// TestAuditCommands checks their output and exit codes.
func TestAuditCommands(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	consumer := kit.Curl(p.URL + "/channels/v1/a")
	if got := <-kit.Curl("-d", "hello", p.URL+"/channels/v1/a") + <-consumer; got != "hello" {
		t.Fatalf("the two got %q", got)
	}
	p.Stop(t)
	elsewhere := t.TempDir()
	log := filepath.Join(p.Dir, "httpipe.db")
	file := filepath.Join(elsewhere, "httpipe.conf")
	if err := os.WriteFile(file, []byte("port 80\naudit-db "+log+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		code int
		want string // … is anything
	}{
		{"audit check --config " + file, 0, log + ": schema …iB\nexchanges 1 (open 0), requests 0, channels 1, publications 0, subscriptions 0, runs 1 (unclean 0), rows lost 0\nsound\n"},
		{"audit backup copy.db --audit-db " + log, 0, "copy.db: schema …iB\nexchanges 1 (open 0), requests 0, channels 1, publications 0, subscriptions 0, runs 1 (unclean 0), rows lost 0\n"},
		{"audit backup copy.db --audit-db " + log, 1, "httpipe: backup copy.db: copy.db already exists; choose another name, or remove it\n"},
		{"audit backup --audit-db " + log, 2, "httpipe: FILE is missing; usage: httpipe audit backup [options] FILE\n"},
		{"audit check --audit-db none.db", 1, "httpipe: audit log …/none.db: there is no such file; give the path of the log (--audit-db)\n"},
		{"audit check copy.db", 2, "httpipe: unexpected argument \"copy.db\"; usage: httpipe audit check [options]\n"},
		{"audit chek", 2, "httpipe: unknown command \"audit chek\" (did you mean check?); see httpipe help audit\n"},
	} {
		code, output := kit.Run(t, elsewhere, strings.Fields(test.args)...)
		before, after, _ := strings.Cut(test.want, "…")
		if code != test.code || !strings.HasPrefix(output, before) || !strings.HasSuffix(output, after) {
			t.Errorf("httpipe %s: exit %d\n%s\nwant exit %d\n%s", test.args, code, output, test.code, test.want)
		}
	}
	if out, err := os.ReadDir(p.Dir); err != nil || len(out) != 2 { // the other one is the audit key
		t.Errorf("beside the log there is something: %v %v", out, err)
	}

	kit.SQLite(t, filepath.Join(elsewhere, "copy.db"), "drop trigger run_update; drop view runs")
	code, output := kit.Run(t, elsewhere, "audit", "check", "--audit-db", "copy.db")
	for _, want := range []string{"\nschema: trigger run_update is missing\n", "\nschema: view runs is missing\n", "copy.db: not sound (problems: 2)\n"} {
		if code != 1 || !strings.Contains(output, want) || strings.Contains(output, "sound\n") && !strings.Contains(output, "not sound") {
			t.Errorf("a changed log: exit %d\n%s\nwant in it %s", code, output, want)
		}
	}
}
