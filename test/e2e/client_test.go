package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
)

// The client commands use a real relay that refuses, crashes, freezes and restarts.

// A command is a client command that runs in the background.
type command struct {
	*exec.Cmd
	stdout bytes.Buffer
	log    string   // the file of its stderr, which can be read meanwhile
	ended  chan int // its exit status
}

// startClient runs a command of httpipe in dir. The end of the test kills it.
func startClient(t *testing.T, dir string, args ...string) *command {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := &command{Cmd: exec.Command(kit.Binary(t), args...), log: log.Name(), ended: make(chan int, 1)}
	c.Dir, c.Stdout, c.Stderr = dir, &c.stdout, log
	kit.EndWithTest(c.Cmd)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		c.Wait()
		c.ended <- c.ProcessState.ExitCode()
	}()
	t.Cleanup(func() { c.Process.Kill() })
	return c
}

// end waits until the command has ended with that status, and returns what it printed.
func (c *command) end(t *testing.T, status int) (stdout, stderr string) {
	t.Helper()
	select {
	case got := <-c.ended:
		c.ended <- got
		if got != status {
			t.Errorf("%s: exit status %d, want %d\n%s%s", c.Args[1:], got, status, &c.stdout, c.logged(t))
		}
	case <-time.After(kit.Patience):
		t.Fatalf("%s does not end", c.Args[1:])
	}
	return c.stdout.String(), c.logged(t)
}

// logged returns what the command has printed on stderr so far.
func (c *command) logged(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(c.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSendAndReceive pairs the two commands in each way of giving and taking a message.
func TestSendAndReceive(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	dir, url := t.TempDir(), p.URL+"/channels/demo/hello"
	kit.WriteFile(t, filepath.Join(dir, "one.txt"), "one")
	kit.WriteFile(t, filepath.Join(dir, "two.json"), "{}")

	t.Run("files to a directory", func(t *testing.T) {
		receiver := startClient(t, dir, "receive", "--forever", "-o", ".", "--json", url)
		sent, _ := startClient(t, dir, "send", "--json", "one.txt", "two.json", url).end(t, 0)
		if strings.Count(sent, `"outcome":"delivered"`) != 2 || !strings.Contains(sent, `"bytes":3,`) || !strings.Contains(sent, `"file":"two.json"`) {
			t.Errorf("send printed %s", sent)
		}
		receiver.Process.Signal(syscall.SIGTERM)
		received, _ := receiver.end(t, 0)
		for name, want := range map[string]string{"one-2.txt": "one", "two-2.json": "{}"} {
			if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		if !strings.Contains(received, `"content_type":"application/json","name":"two.json","file":"two-2.json"`) {
			t.Errorf("receive printed %s", received)
		}
	})

	t.Run("a pipe to standard output", func(t *testing.T) {
		receiver := startClient(t, dir, "receive", url)
		if code, output := kit.Execute(t, dir, "sh", "-c", `echo hello | "$0" send "$1"`, kit.Binary(t), url); code != 0 || output != "" {
			t.Errorf("send: %d, %s", code, output)
		}
		if got, _ := receiver.end(t, 0); got != "hello\n" {
			t.Errorf("received %q", got)
		}
	})

	t.Run("a file as standard input to a command", func(t *testing.T) {
		t.Setenv("HTTPIPE_TOKEN", "hunter2")
		receiver := startClient(t, dir, "receive", url, "--", "sh", "-c",
			`cat; cat "$HTTPIPE_FILE"; echo " $HTTPIPE_CHANNEL $HTTPIPE_CONTENT_TYPE $HTTPIPE_NAME-$HTTPIPE_TOKEN-"; exit 3`)
		if code, output := kit.Execute(t, dir, "sh", "-c", `"$0" send --name a/../.b --type a/b "$1" < one.txt`, kit.Binary(t), url); code != 0 || output != "" {
			t.Errorf("send: %d, %s", code, output)
		}
		if got, stderr := receiver.end(t, 9); got != "oneone demo/hello a/b b--\n" || !strings.Contains(stderr, "sh: exit status 3 (exchange ") {
			t.Errorf("the command printed %q, receive %q", got, stderr)
		}
	})
}

// TestJobsRunAtTheSameTime: several commands handle messages at once, and a signal lets those that run end.
func TestJobsRunAtTheSameTime(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	dir, url := t.TempDir(), p.URL+"/channels/demo/jobs"
	// Each command waits until both have begun.
	receiver := startClient(t, dir, "receive", "--forever", "--jobs", "2", url, "--", "sh", "-c",
		`read n; touch begun$n; while [ ! -e begun1 ] || [ ! -e begun2 ] || [ ! -e go ]; do sleep 0.01; done; echo done $n`)
	for _, n := range []string{"1\n", "2\n"} {
		if got := <-kit.Patient("-d", n, url); got != "" {
			t.Fatalf("the producer got %q", got)
		}
	}
	waitForFiles(t, dir, "begun1", "begun2")
	receiver.Process.Signal(syscall.SIGTERM)
	kit.WriteFile(t, filepath.Join(dir, "go"), "")
	if got, _ := receiver.end(t, 0); strings.Count(got, "done ") != 2 {
		t.Errorf("the commands printed %q", got)
	}
}

func waitForFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	deadline := time.Now().Add(kit.Patience)
	for _, name := range names {
		for _, err := os.Stat(filepath.Join(dir, name)); err != nil; _, err = os.Stat(filepath.Join(dir, name)) {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			time.Sleep(kit.Pause)
		}
	}
}

// TestClientStatuses: each outcome has its exit status and one line that says what happened.
func TestClientStatuses(t *testing.T) {
	p := kit.Start(t, t.TempDir(), "--auth-secret", kit.Secret, "--anonymous", "look:demo/*", "--max-body", "10")
	dir, url := t.TempDir(), p.URL+"/channels/demo/hello"
	kit.WriteFile(t, filepath.Join(dir, "large"), "more than ten bytes")
	kit.WriteFile(t, filepath.Join(dir, "token"), kit.Token(t, kit.Secret, "--name", "me", "--allow", "produce", "--channels", "demo/*")+"\n")
	kit.WriteFile(t, filepath.Join(dir, "empty"), "\n")
	kit.WriteFile(t, filepath.Join(dir, "small"), "small")
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{"receive --wait 0 --token " + kit.Secret + " " + url, 4, "timed_out: no partner came before the wait was over"},
		{"receive " + url, 5, "unauthorized: consume on demo/hello needs a token; send one as "},
		{"receive --token-file token " + url, 5, "forbidden: "},
		{"send --token-file token large " + url, 5, "too_large: the body is larger than this server accepts"},
		{"send --token-file token small large " + url + "x --wait 0", 4, "(not sent: small and 1 more)"},
		{"receive " + p.URL + "/channels/a/%2f", 5, "bad_name: the channel name contains '%'"},
		{"receive --retry 0 http://" + kit.FreeAddress(t) + "/channels/a/b", 7, "unreachable: cannot connect to 127.0.0.1:"},
		{"receive --token-file empty " + url, 1, "the token file empty is empty"},
		{"receive --token-file nothing " + url, 1, "open nothing: no such file or directory"},
		{"receive -o nothing/file " + url, 1, "nothing: there is no such directory"},
		{"receive " + url + " -- no-such-command", 1, "there is no command no-such-command in $PATH"},
		{"receive " + url + " -- /none/cmd", 1, "cannot run the command /none/cmd: no such file or directory"},
		{"receive localhost:99999/channels/a/b", 2, "the port 99999 in the URL must be from 1 to 65535"},
		{"send nothing " + url, 1, "open nothing: no such file or directory"},
		{"send . " + url, 1, ". is a directory; send an archive of it: tar -c . | httpipe send URL"},
		{"send", 2, "URL is missing; usage: httpipe send [options] [FILE]... URL"},
		{"send " + p.URL, 2, "is not the URL of a channel, such as " + p.URL + "/channels/demo/hello"},
		{"receive " + url + " sh -c true", 2, "unknown option -c; write -- before COMMAND if it is one of its options"},
		{"receive --token= " + url, 2, "--token (command line) is set but empty"},
		{"receive --forever -o large " + url, 2, "-o must be a directory"},
		{"receive --jobs 2 " + url, 2, "--jobs has no effect without --forever"},
	} {
		code, output := kit.Run(t, dir, strings.Fields(test.args)...)
		if code != test.status || !strings.Contains(output, test.want) || strings.Count(output, "\n") != 1 || strings.Contains(output, kit.Secret) {
			t.Errorf("httpipe %s: exit status %d\n%swant %d and one line with %s", test.args, code, output, test.status, test.want)
		}
	}
	receiver := startClient(t, dir, "receive", "--token", kit.Secret, url)
	p.WaitFor(t, "demo/hello", "0", "1")
	if code, output := kit.Execute(t, dir, "curl", "-sS", "-u", ":"+kit.Secret, "-X", "DELETE", url); code != 0 || output != "" {
		t.Fatalf("DELETE: %s", output)
	}
	receiver.end(t, 8)
	sender := startClient(t, dir, "send", "--token", kit.Secret, "small", url)
	p.WaitFor(t, "demo/hello", "1", "0")
	sender.Process.Signal(os.Interrupt)
	sender.end(t, 130)
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	sender = startClient(t, dir, "send", "--token", kit.Secret, "small", "pipe", url) // which has no writer
	startClient(t, dir, "receive", "--token", kit.Secret, url).end(t, 0)
	sender.Process.Signal(os.Interrupt)
	sender.end(t, 130)
}

// TestClientsSurviveTheRelay: the relay is killed while a sender and a receiver wait, and in the middle of a message; it
// refuses, and it comes back. Each message arrives, and half a message is never handed on.
func TestClientsSurviveTheRelay(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := kit.Start(t, t.TempDir())
	dir := t.TempDir()
	_, port, _ := strings.Cut(strings.TrimPrefix(p.URL, "http://"), ":")
	url := p.URL + "/channels/broken/hello"
	restart := func() {
		p.Process.Kill()
		<-p.Exited
		p = kit.Start(t, p.Dir, "--port", port)
	}

	receiver := startClient(t, dir, "receive", "--forever", url, "--", "sh", "-c", `cat "$HTTPIPE_FILE" >> handled; wc -c < "$HTTPIPE_FILE"`)
	p.WaitFor(t, "broken/hello", "0", "1")
	restart()
	p.WaitFor(t, "broken/hello", "0", "1")

	half := startMessage(t, p.URL, "hello", 2*somePart, false)
	p.WaitForRow(t, "select 1 from exchanges where outcome = 'open'")
	restart()
	half.Close()
	p.WaitFor(t, "broken/hello", "0", "1")
	receiver.Process.Signal(syscall.SIGTERM)
	if got, stderr := receiver.end(t, 0); got != "" || !strings.Contains(stderr, "broken: the message did not arrive whole: the connection broke; trying again in ") {
		t.Errorf("of half a message the command printed %q, receive %q", got, stderr)
	}

	large := kit.WriteFile(t, filepath.Join(dir, "large"), strings.Repeat("x", 30<<20))
	sender := startClient(t, dir, "send", "--json", large, url)
	p.WaitFor(t, "broken/hello", "1", "0")
	restart()
	p.WaitFor(t, "broken/hello", "1", "0")
	slow := exec.Command("curl", "-sS", "--limit-rate", "1M", "-o", "/dev/null", url) // is cut in the middle
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	p.WaitForRow(t, "select 1 from exchanges where outcome = 'open'")
	restart()
	if err := slow.Wait(); err == nil {
		t.Error("the consumer of half a message does not fail")
	}
	p.WaitFor(t, "broken/hello", "1", "0")
	startClient(t, dir, "receive", "-o", "copy", url).end(t, 0)
	sent, stderr := sender.end(t, 0)
	if !strings.Contains(sent, fmt.Sprintf(`"bytes":%d,`, 30<<20)) || !strings.Contains(stderr, "unanswered: ") {
		t.Errorf("send printed %s%s", sent, stderr)
	}
	if code, output := kit.Execute(t, dir, "cmp", large, "copy"); code != 0 {
		t.Error(output)
	}
	if parts, err := filepath.Glob(filepath.Join(dir, ".*")); len(parts) != 0 || err != nil {
		t.Errorf("files left behind: %s, %v", parts, err)
	}
}

// TestFrozenRelay: a relay that was stopped in the middle of a message accepts connections and answers nothing. A client
// notices it, and gets its message when the relay goes on.
func TestFrozenRelay(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := kit.Start(t, t.TempDir())
	dir, url := t.TempDir(), p.URL+"/channels/broken/hello"
	receiver := startClient(t, dir, "receive", "--round", "1s", "-o", "got", url)
	half := startMessage(t, p.URL, "hello", 2*somePart, false)
	defer half.Close()
	p.WaitForRow(t, "select 1 from exchanges where outcome = 'open'")
	p.Process.Signal(syscall.SIGSTOP)
	deadline := time.Now().Add(kit.Patience)
	for !strings.Contains(receiver.logged(t), "the relay does not answer any more; trying again in ") {
		if time.Now().After(deadline) {
			t.Fatalf("it never noticed: %s", receiver.logged(t))
		}
		time.Sleep(10 * kit.Pause)
	}
	p.Process.Signal(syscall.SIGCONT)
	if got := <-kit.Patient("--retry", "5", "-d", "whole", url); got != "" {
		t.Errorf("the producer got %q", got)
	}
	receiver.end(t, 0)
	if got, err := os.ReadFile(filepath.Join(dir, "got")); string(got) != "whole" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
}
