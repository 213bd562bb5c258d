package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

func TestParseAccount(t *testing.T) {
	for text, want := range map[string]account{
		"65532":       {"65532", 65532, 65532},
		"65532:7":     {"65532:7", 65532, 7},
		"nobody:1":    {"nobody:1", 65534, 1},
		"nobody:root": {"nobody:root", 65534, 0},
		"65534":       {"65534", 65534, gidOfNobody(t)},
		"nobody":      {"nobody", 65534, gidOfNobody(t)},
	} {
		if got, err := parseAccount(text); got != want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"root":         "want an ordinary user",
		"0":            "want an ordinary user",
		"0:1":          "want an ordinary user",
		"":             `there is no user ""`,
		"no-such-user": `there is no user "no-such-user" here`,
		"-1":           `there is no user "-1"`,
		"4294967295":   `there is no user "4294967295"`,
		"1:":           `there is no group ""`,
		"1:no-such":    `there is no group "no-such" here`,
	} {
		if got, err := parseAccount(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %s", text, got, err, want)
		}
	}
}

// gidOfNobody is nobody's group, as the machine's own tool knows it.
func gidOfNobody(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("id", "-g", "nobody").Output()
	if err != nil {
		t.Skip("there is no user nobody: ", err)
	}
	var gid int
	fmt.Sscan(string(out), &gid)
	return gid
}

// Those of an ordinary user whom no machine knows.
const droppedUser, droppedGroup = 65532, 65533

// wantOwner checks that each of the files is the user's whom the server has become.
func wantOwner(t *testing.T, uid, gid uint32, paths ...string) {
	t.Helper()
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if is := info.Sys().(*syscall.Stat_t); is.Uid != uid || is.Gid != gid {
			t.Errorf("%s belongs to %d:%d, want %d:%d", path, is.Uid, is.Gid, uid, gid)
		}
	}
}

// wantStuck checks that every thread of a process is the ordinary user's and can never be another's.
func wantStuck(t *testing.T, pid int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("the threads are %v, %v", threads, err)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		for field, want := range map[string]string{
			"Uid":        "65532 65532 65532 65532",
			"Gid":        "65533 65533 65533 65533",
			"Groups":     "",
			"CapPrm":     "0000000000000000",
			"CapEff":     "0000000000000000",
			"CapAmb":     "0000000000000000",
			"NoNewPrivs": "1",
		} {
			line := regexp.MustCompile("(?m)^" + field + ":(.*)$").FindStringSubmatch(string(status))
			if line == nil || strings.Join(strings.Fields(line[1]), " ") != want {
				t.Errorf("%s: %s is %q, want %q", thread, field, line, want)
			}
		}
	}
}

// TestDropTo: of a server that root has started, on a log that root has written before, everything is the
// ordinary user's, and it does its work.
func TestDropTo(t *testing.T) {
	needRoot(t)
	dir := publicDir(t)
	p := start(t, dir)
	p.Process.Kill() // which leaves a WAL
	<-p.exited
	log := filepath.Join(dir, "httpipe.db")
	wantOwner(t, 0, 0, dir, log, log+".key", log+"-wal", log+"-shm")
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}

	p = start(t, dir, "--drop-to", "65532:65533")
	wantStuck(t, p.Process.Pid)
	consumer := curl(p.url + "/channels/v1/a")
	if got := <-curl("-d", "hello", p.url+"/channels/v1/a") + <-consumer; got != "hello" {
		t.Errorf("the two got %q", got)
	}
	wantStuck(t, p.Process.Pid)
	wantOwner(t, droppedUser, droppedGroup, dir, log, log+".key", log+"-wal", log+"-shm")
	if got := statusOf(t, p.url+"/audit/exchanges", p.auditKey(t)); got != 200 { // which root reads
		t.Errorf("with the key: %d", got)
	}
	wantOwner(t, 0, 0, filepath.Join(dir, "lost+found"))

	// What root does with the log leaves it the server's.
	if code, output := httpipe(t, dir, "audit", "check"); code != 0 {
		t.Errorf("root's check: exit %d, %s", code, output)
	}
	p.stop(t)
	if code, output := httpipe(t, dir, "audit", "check"); code != 0 {
		t.Errorf("root's check of the stopped log: exit %d, %s", code, output)
	}
	if err := os.WriteFile(filepath.Join(dir, "backup.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, dir, "--drop-to", "65532:65533") // the directory is the user's by now, whatever else it holds
	wantOwner(t, 0, 0, filepath.Join(dir, "backup.db"))
	p.stop(t)
	if got := p.sqlite(t, "select count(*), count(*) filter (where outcome = 'delivered') from runs left join exchanges on runs.id = 1"); got != "3|1" {
		t.Errorf("runs and exchanges: %s", got)
	}
}

// TestDropToKeepsItsName: in the list of processes, where the user can execute it by its name.
func TestDropToKeepsItsName(t *testing.T) {
	needRoot(t)
	dir := publicDir(t)
	cmd := exec.Command(publicBinary(t, dir), "--drop-to", "65532:65533", "--port", "0", "--host", "127.0.0.1", "--log-format", "json")
	cmd.Dir = dir
	p := startCommand(t, cmd)
	wantStuck(t, p.Process.Pid)
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.Process.Pid))
	if err != nil || string(comm) != "httpipe\n" {
		t.Errorf("it is called %q, %v", comm, err)
	}
}

// TestDropToUnprivileged: who is no root can only stay what he is.
func TestDropToUnprivileged(t *testing.T) {
	needRoot(t)
	dir := publicDir(t)
	if err := os.Chown(dir, droppedUser, droppedGroup); err != nil {
		t.Fatal(err)
	}
	public := publicBinary(t, dir)
	as := func(options ...string) []string {
		return append([]string{"setpriv", "--reuid=65532", "--regid=65533", "--clear-groups"}, options...)
	}
	for _, test := range []struct {
		by   []string
		to   string
		want string
	}{
		{as(), "1234", "--drop-to 1234: this process is user 65532, group 65533, and only root can become another"},
		{as(), "65532", "--drop-to 65532: this process is user 65532, group 65533, and only root can become another"},
		{as("--inh-caps=+setuid", "--ambient-caps=+setuid"), "65532:65533", "--drop-to 65532:65533: user 65532 has capabilities of root's"},
	} {
		code, output := execute(t, dir, append(test.by, public, "--drop-to", test.to, "--port", "0", "--host", "127.0.0.1")...)
		if code != 1 || !strings.HasPrefix(output, "httpipe: "+test.want) || strings.Count(output, "\n") != 1 {
			t.Errorf("exit %d, %s\nwant %s", code, output, test.want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("a start that was refused left %v, %v", entries, err)
	}
	by := as(public, "--drop-to", "65532:65533", "--port", "0", "--host", "127.0.0.1", "--log-format", "json")
	cmd := exec.Command(by[0], by[1:]...)
	cmd.Dir = dir
	p := startCommand(t, cmd)
	resp, err := http.Get(p.url + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("health: %v %v", resp, err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	p.stop(t)
}

// TestOwn: what is given away, and what is not.
func TestOwn(t *testing.T) {
	needRoot(t)
	to := account{uid: droppedUser, gid: droppedGroup}
	elsewhere := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(elsewhere, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		prepare func(dir string) error
		log     string
		want    string // of the error; "": the directory is given away
	}{
		{"an empty directory", func(string) error { return nil }, "a.db", ""},
		{"a log", func(dir string) error { return os.WriteFile(dir+"/a.db", nil, 0o600) }, "a.db", ""},
		{"other things", func(dir string) error { return os.WriteFile(dir+"/passwd", nil, 0o600) }, "a.db", "holds other things (passwd)"},
		{"no directory", func(string) error { return nil }, "no/a.db", "no such file or directory"},
		{"a linked log", func(dir string) error { return os.Symlink(elsewhere, dir+"/a.db") }, "a.db", "a.db cannot be given to user 65532: it is a link, or no file"},
		{"a linked WAL", func(dir string) error { return os.Symlink(elsewhere, dir+"/a.db-wal") }, "a.db", "a.db-wal cannot be given"},
		{"a hard link", func(dir string) error { return os.Link(elsewhere, dir+"/a.db-shm") }, "a.db", "a.db-shm cannot be given"},
		{"a directory for a log", func(dir string) error { return os.Mkdir(dir+"/a.db", 0o700) }, "a.db", "a.db cannot be given"},
		{"a pipe for a log", func(dir string) error { return syscall.Mkfifo(dir+"/a.db", 0o600) }, "a.db", "a.db cannot be given"},
		{"a linked directory", func(dir string) error { return os.Symlink(dir, dir+"/link") }, "link/a.db", "its directory has to be there, and no link"},
	} {
		dir := t.TempDir()
		if err := test.prepare(dir); err != nil {
			t.Fatal(err)
		}
		err := own(filepath.Join(dir, test.log), to)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
		if test.want == "" {
			wantOwner(t, droppedUser, droppedGroup, dir)
		} else {
			wantOwner(t, 0, 0, dir)
		}
		wantOwner(t, 0, 0, elsewhere)
	}
	if err := own("/httpipe-test.db", to); err == nil || !strings.Contains(err.Error(), "holds other things") {
		t.Errorf("the root directory: %v", err)
	}
}
