package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"httpipe/test/kit"
)

// varying lists the words of transcripts that differ from run to run, as expressions for Go and sed alike, each with
// the word that replaces it in comparisons.
var varying = [][2]string{
	{`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`, "ID"},
	{`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z`, "TIME"},
	{`schema [0-9]+, [0-9.]+ [KM]iB`, "SIZE"},
}

// normal returns a text in which varying words are replaced.
func normal(s string) string {
	s = strings.ReplaceAll(s, "\r", "")
	for _, word := range varying {
		s = regexp.MustCompile(word[0]).ReplaceAllString(s, word[1])
	}
	return strings.TrimSpace(s)
}

// lookFunction is a shell function for commands that read the audit log, because a record can follow an answer by one
// commit: look WANT COMMAND runs COMMAND until its normal output is WANT, for at most 10 s, and prints its last output.
func lookFunction() string {
	sed := `sed -E -e "s|$PWD/||g" -e 's/\r//g'`
	for _, word := range varying {
		sed += fmt.Sprintf(" -e 's/%s/%s/g'", word[0], word[1])
	}
	return `look() {
	for ((end = SECONDS + 10; SECONDS < end;)); do
		got=$(eval "$2")
		[ "$(` + sed + ` <<<"$got")" = "$1" ] && break
		sleep 0.05
	done
	printf '%s\n' "$got"
}
`
}

var (
	// ownServer is in a block that starts a server.
	ownServer = regexp.MustCompile(`(?m)^\$ httpipe\b.*&$`)
	// assignment is a command that must run in the shell itself.
	assignment = regexp.MustCompile(`^(export )?\w+=`)
	aRoute     = regexp.MustCompile(`(channels|services|topics)/[^\s/]+/[^\s/?']+`)
)

// TestTranscripts replays all transcripts with the real binary, curl and sqlite3.
func TestTranscripts(t *testing.T) {
	for _, page := range pages(t) {
		for i, block := range blocks(t, page, "console") {
			t.Run(fmt.Sprintf("%s-%d", strings.TrimSuffix(filepath.Base(page), ".md"), i+1), func(t *testing.T) {
				replay(t, block)
			})
		}
	}
}

// replay runs the commands of a transcript and compares what they print.
func replay(t *testing.T, block string) {
	dir := t.TempDir()
	kit.WriteFile(t, filepath.Join(dir, "LICENSE"), read(t, "LICENSE"))
	path := kit.Binary(t)
	addr := kit.FreeAddress(t) // for the block's own server, if it starts one
	if !ownServer.MatchString(block) {
		addr = strings.TrimPrefix(kit.Start(t, dir).URL, "http://")
	}
	script, want := transcript(block, "http://"+addr)
	bash := inDir(t, dir, "bash", "-c", script)
	host, port, _ := strings.Cut(addr, ":")
	bash.Env = append(os.Environ(), "PATH="+filepath.Dir(path)+":"+os.Getenv("PATH"), "HTTPIPE_HOST="+host, "HTTPIPE_PORT="+port)
	out, err := bash.Output()
	got := strings.ReplaceAll(string(out), dir+"/", "")
	if err != nil || normal(got) != normal(want) {
		t.Errorf("%v; printed\n%s\nwant\n%s\nscript\n%s", err, got, want, script)
	}
}

// A step is a command of a transcript, with what it prints.
type step struct{ command, output string }

func steps(block string) (found []step) {
	for line := range strings.Lines(block) {
		if command, isCommand := strings.CutPrefix(line, "$ "); isCommand {
			found = append(found, step{command: strings.TrimSuffix(command, "\n")})
		} else {
			found[len(found)-1].output += line
		}
	}
	return found
}

// transcript makes a script of a block's commands, and returns it with what it should print. The script waits where a
// person is slow enough: until a server listens and a command in the background has arrived, and, before a command that
// reads the log, until all commands in the background have ended.
func transcript(block, url string) (script, want string) {
	script = lookFunction()
	for _, s := range steps(block) {
		want += s.output
		command := strings.ReplaceAll(s.command, "localhost:3000", url)
		background := strings.HasSuffix(command, "&")
		switch {
		case background && strings.HasPrefix(command, "httpipe"):
			script += command + "\ntrap \"kill $!\" EXIT; disown\n"
			script += fmt.Sprintf("until curl -sf -o /dev/null %s/healthz; do :; done\n", url)
		case background:
			script += command + "\n"
			for _, route := range aRoute.FindAllString(command, -1) {
				route = strings.Replace(route, "services/", "work/", 1) // HEAD of a service is a call
				script += fmt.Sprintf("until curl -sfI -u \":$HTTPIPE_AUTH_SECRET\" -o /dev/null %s/%s; do :; done\n", url, route)
			}
		case assignment.MatchString(command):
			script += command + "\n"
		case readsLog(command):
			script += "wait\nlook " + quote(normal(s.output)) + " " + quote(command) + "\n"
		default:
			// A shell's next prompt would stand behind a message that ends without a newline.
			script += command + ` | sed '$a\'` + "\n"
		}
	}
	return script + "wait\n", want
}

// readsLog reports whether a command prints what is in the audit log.
func readsLog(command string) bool {
	return strings.HasPrefix(command, "sqlite3") || strings.HasPrefix(command, "httpipe audit") ||
		strings.Contains(command, "/audit/") && !strings.Contains(command, "/audit/live")
}

// quote returns a text as a word for the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// TestQuickStart runs the first two blocks of the README, each in a terminal, as they are. Only the build is left out.
func TestQuickStart(t *testing.T) {
	shown := blocks(t, "README.md", "sh")
	dir := t.TempDir()
	if err := os.Symlink(kit.Binary(t), filepath.Join(dir, "httpipe")); err != nil {
		t.Fatal(err)
	}
	build, start, found := strings.Cut(shown[0], "\n")
	if !found || !strings.HasPrefix(build, "go build -o httpipe . ") {
		t.Fatalf("the first command is %s", build)
	}
	server := inDir(t, dir, "bash", "-c", "exec "+start)
	server.Env = append(os.Environ(), "HTTPIPE_PORT=0", "HTTPIPE_HOST=127.0.0.1", "HTTPIPE_LOG_FORMAT=json")
	p := kit.StartCommand(t, server)
	out, err := inDir(t, dir, "bash", "-c", strings.ReplaceAll(shown[1], "localhost:3000", p.URL)).Output()
	if err != nil || !regexp.MustCompile(`(?s)^hello.*\bdemo/hello\b.*\bdelivered\b`).Match(out) {
		t.Errorf("the quick start prints %s, %v", out, err)
	}
	if err := p.Process.Signal(os.Interrupt); err != nil { // as Ctrl-C does
		t.Fatal(err)
	}
	if <-p.Exited; p.ExitErr != nil {
		t.Errorf("after Ctrl-C: %v", p.ExitErr)
	}
}

// inDir returns a command that will run in dir, for no longer than the patience of the tests.
func inDir(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), kit.Patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second // what it left in the background may still hold its output open
	return cmd
}
