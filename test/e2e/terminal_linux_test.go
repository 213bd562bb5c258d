package e2e

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"httpipe/test/kit"
)

// onTerminal runs httpipe in dir at a terminal.
func onTerminal(t *testing.T, dir string, env []string, args ...string) *kit.Terminal {
	t.Helper()
	cmd := exec.Command(kit.Binary(t), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), append([]string{"TERM=xterm", "TZ=Asia/Kathmandu"}, env...)...)
	return kit.OnTerminal(t, cmd)
}

// TestStartAtTerminal checks that a terminal shows the URL to open, and the first exchange. An unknown environment variable
// causes a warning without its value.
func TestStartAtTerminal(t *testing.T) {
	screen := onTerminal(t, t.TempDir(), []string{"HTTPIPE_PROT=hunter2"}, "--port", "0", "--host", "127.0.0.1")
	shown := screen.WaitFor("Ctrl-C stops the server.\n")
	url := regexp.MustCompile(`(?m)^To try it, open (http://127\.0\.0\.1:\d+)/$`).FindStringSubmatch(shown)
	if url == nil {
		t.Fatalf("no URL in\n%s", shown)
	}
	if !strings.Contains(shown, "variable HTTPIPE_PROT is ignored: there is no such option (did you mean HTTPIPE_PORT?)") || strings.Contains(shown, "hunter2") {
		t.Errorf("of a misspelled variable it says\n%s", shown)
	}
	for range 2 {
		consumer := kit.Curl(url[1] + "/channels/demo/hello")
		if got := <-kit.Curl("-d", "hello", url[1]+"/channels/demo/hello") + <-consumer; got != "hello" {
			t.Fatalf("the two got %q", got)
		}
	}
	screen.Type("\x03") // Ctrl-C
	if shown = screen.All(); strings.Count(shown, `level=INFO msg="exchange ended"`) != 1 {
		t.Errorf("of two exchanges the screen shows\n%s", shown)
	}
}

// TestStartWithoutLogAtTerminal checks that without an audit log the terminal shows the URL of the live view.
func TestStartWithoutLogAtTerminal(t *testing.T) {
	screen := onTerminal(t, t.TempDir(), nil, "--port", "0", "--host", "127.0.0.1", "--audit", "off")
	shown := screen.WaitFor("Ctrl-C stops the server.\n")
	if !strings.Contains(shown, "\nThe live view:  http://127.0.0.1:") || strings.Contains(shown, "The audit log:") {
		t.Errorf("it shows\n%s", shown)
	}
	screen.Type("\x03")
	screen.All()
}

// TestAuditAtTerminal checks that the commands format their output for people at a terminal, and print exact values in a pipe.
func TestAuditAtTerminal(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	relayOne(t, p, "demo/a-longer-name")
	large := kit.WriteFile(t, filepath.Join(t.TempDir(), "large"), strings.Repeat("x", 3<<20))
	consumer := kit.Curl("-o", "/dev/null", p.URL+"/channels/demo/large")
	if got := <-kit.Curl("-T", large, p.URL+"/channels/demo/large") + <-consumer; got != "" {
		t.Fatalf("the two got %q", got)
	}
	deleteRunning(t, p, "demo/cut")
	<-kit.Curl(p.URL + "/channels/demo/late?wait=0")
	p.WaitForRow(t, "select 1 from requests")
	p.Stop(t)

	const red, plain = "\x1b[31m", "\x1b[m"
	shown := onTerminal(t, p.Dir, nil, "audit", "list").All()
	if !strings.Contains(shown, red+"deleted"+plain) || strings.Count(shown, red) != 1 {
		t.Errorf("failures, and only they, should be red:\n%q", shown)
	}
	colourless := strings.NewReplacer(red, "", plain, "").Replace(shown)
	if got := onTerminal(t, p.Dir, []string{"NO_COLOR=1"}, "audit", "list").All(); got != colourless {
		t.Errorf("with NO_COLOR:\n%q\nwant\n%q", got, colourless)
	}
	head, rows, _ := strings.Cut(colourless, "\n")
	if strings.Join(strings.Fields(head), " ") != "MATCHED CHANNEL OUTCOME SIZE TOOK ID" || strings.Count(rows, "\n") != 3 {
		t.Errorf("the table is\n%s", colourless)
	}
	row := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0545  demo/[-a-z]+ +(delivered +(3\.0 MiB|5 B)|deleted +1 B) +[\d.]+m?s +[-0-9a-f]{36}$`)
	for line := range strings.Lines(rows) {
		line = strings.TrimSuffix(line, "\n")
		if !row.MatchString(line) {
			t.Errorf("row %q", line)
		}
		for _, column := range []string{"CHANNEL", "OUTCOME", "SIZE", "TOOK", "ID"} {
			if i := strings.Index(head, column); line[i-1] != ' ' || line[i] == ' ' {
				t.Errorf("column %s is not aligned:\n%s", column, colourless)
			}
		}
	}
	if tail := onTerminal(t, p.Dir, nil, "audit", "tail").All(); sorted(tail) != sorted(shown) {
		t.Errorf("audit tail shows\n%s\nand audit list\n%s", tail, shown)
	}
	checkOthersAtTerminal(t, p)

	_, piped := kit.Run(t, p.Dir, "audit", "list")
	exact := regexp.MustCompile(`(?m)^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z  demo/large +delivered +3145728 +\d+ +[-0-9a-f]{36}$`)
	if !exact.MatchString(piped) || !strings.HasPrefix(piped, "MATCHED ") || !strings.Contains(piped, "  BYTES ") || strings.Contains(piped, "\x1b") {
		t.Errorf("in a pipe the list is\n%s", piped)
	}
	if _, tail := kit.Run(t, p.Dir, "audit", "tail"); sorted(tail) != sorted(piped) {
		t.Errorf("in a pipe audit tail prints\n%s\nand audit list\n%s", tail, piped)
	}
}

// checkOthersAtTerminal checks what the commands other than list and tail show of the log of TestAuditAtTerminal.
func checkOthersAtTerminal(t *testing.T, p *kit.Server) {
	t.Helper()
	if got := onTerminal(t, p.Dir, nil, "audit", "list", "--outcome", "stalled").All(); got != "httpipe: no exchanges match\n" {
		t.Errorf("an empty list is %q", got)
	}
	if got := onTerminal(t, p.Dir, nil, "audit", "summary", "--from", "2d").All(); !strings.Contains(got, " +0545: exchanges 3, bytes 3.0 MiB\n") {
		t.Errorf("the summary is\n%s", got)
	}
	id := p.SQLite(t, "select id from exchanges where channel = 'large'")
	if got := onTerminal(t, p.Dir, nil, "audit", "show", id).All(); !regexp.MustCompile(`(?m)^bytes +3\.0 MiB \(3145728\)$`).MatchString(got) || !regexp.MustCompile(`(?m)^matched_at +20.* \+0545$`).MatchString(got) {
		t.Errorf("the exchange is shown as\n%s", got)
	}
	if got := onTerminal(t, p.Dir, nil, "audit", "show", "--json", id).All(); strings.ContainsAny(got, "\x1b") || !strings.Contains(got, `Z","ended_at"`) {
		t.Errorf("as JSON it is\n%s", got)
	}
}

// TestTextsAtTerminal checks that no audit command sends control characters that a client chose to a terminal.
func TestTextsAtTerminal(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	consumer := kit.Curl("-A", "a\u009b31m\u202eb", p.URL+"/channels/demo/a")
	if got := <-kit.Curl("-A", "c\u2066d", "-d", "hello", p.URL+"/channels/demo/a") + <-consumer; got != "hello" {
		t.Fatalf("the two got %q", got)
	}
	<-kit.Curl("-A", "\u0085e", p.URL+"/channels/demo/late?wait=0")
	p.WaitForRow(t, "select 1 from requests")
	id := p.SQLite(t, "select id from exchanges")
	p.Stop(t)
	for command, want := range map[string]string{
		"export":                 `,a\u009b31m\u202eb`,
		"export --format ndjson": `"c\u2066d"`,
		"export requests":        `\u0085e`,
		"list --json":            `"a\u009b31m\u202eb"`,
		"list":                   " delivered ",
		"list requests --json":   `"\u0085e"`,
		"tail --json":            `"a\u009b31m\u202eb"`,
		"tail requests --json":   `"\u0085e"`,
		"show " + id:             ` a\u009b31m\u202eb` + "\n",
		"show --json " + id:      `"c\u2066d"`,
		"summary":                "exchanges 1",
		"check":                  "sound",
	} {
		shown := onTerminal(t, p.Dir, []string{"NO_COLOR=1"}, append([]string{"audit"}, strings.Fields(command)...)...).All()
		odd := strings.ContainsFunc(shown, func(c rune) bool { return !unicode.IsPrint(c) && c != '\n' })
		if odd || !strings.Contains(shown, want) {
			t.Errorf("audit %s shows %q, want %q", command, shown, want)
		}
	}
	// A pipe gets the bytes.
	for _, command := range []string{"export", "list --json"} {
		if _, output := kit.Run(t, p.Dir, append([]string{"audit"}, strings.Fields(command)...)...); !strings.Contains(output, "a\u009b31m\u202eb") {
			t.Errorf("in a pipe audit %s prints %q", command, output)
		}
	}
}

// deleteRunning deletes a channel after one byte of an exchange.
func deleteRunning(t *testing.T, p *kit.Server, channel string) {
	t.Helper()
	body, feed := io.Pipe()
	t.Cleanup(func() { feed.Close() })
	produced := kit.Post(t, p.URL+"/channels/"+channel, body, -1)
	go io.WriteString(feed, "a")
	resp := kit.Get(t, p.URL+"/channels/"+channel)
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if got := <-kit.Curl("-X", "DELETE", p.URL+"/channels/"+channel); got != "" {
		t.Fatalf("the deletion got %q", got)
	}
	<-produced
}

// sorted returns the lines of a text in order.
func sorted(text string) string {
	return strings.Join(slices.Sorted(strings.SplitSeq(text, "\n")), "\n")
}

// TestShowByPrefix checks that a unique prefix of an id is enough.
func TestShowByPrefix(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	relayOne(t, p, "demo/a")
	relayOne(t, p, "demo/b")
	a, b := p.SQLite(t, "select id from exchanges where channel = 'a'"), p.SQLite(t, "select id from exchanges where channel = 'b'")
	n := 0
	for a[n] == b[n] {
		n++
	}
	for prefix, want := range map[string]string{a: a, a[:n+1]: a, strings.ToUpper(b[:n+1]): b} {
		if code, output := kit.Run(t, p.Dir, "audit", "show", prefix); code != 0 || !strings.Contains(output, want+"\n") {
			t.Errorf("%s: exit %d, %s", prefix, code, output)
		}
	}
	code, output := kit.Run(t, p.Dir, "audit", "show", a[:n])
	if want := `httpipe: more than one exchange has an id that begins with "` + a[:n] + `": ` + b + ", " + a + "\n"; code != 1 || output != want {
		t.Errorf("a prefix of both: exit %d, %s\nwant %s", code, output, want)
	}
	for _, none := range []string{"ffff", "x", "%", a + "0", ""} {
		if code, output := kit.Run(t, p.Dir, "audit", "show", none); code != 1 || !strings.HasPrefix(output, "httpipe: no exchange has an id") {
			t.Errorf("%q: exit %d, %s", none, code, output)
		}
	}
}

// TestTailRequests checks that tail -f prints refused requests.
func TestTailRequests(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	<-kit.Curl(p.URL + "/channels/demo/before?wait=0")
	p.WaitForRow(t, "select 1 from requests")
	screen := onTerminal(t, p.Dir, nil, "audit", "tail", "requests", "-f")
	screen.WaitFor("demo/before")
	<-kit.Curl(p.URL + "/channels/demo/after?wait=0")
	screen.WaitFor("demo/after ")
	screen.Type("\x03")
	shown := screen.All()
	if strings.Count(shown, "ENDED ") != 1 || strings.Count(shown, " timed_out ") != 2 {
		t.Errorf("it shows\n%s", shown)
	}
}

// TestCompletion presses TAB in real shells.
func TestCompletion(t *testing.T) {
	path := kit.Binary(t)
	dir := t.TempDir()
	kit.WriteFile(t, dir+"/unique-name.conf", "")
	start := func(t *testing.T, shell string, args ...string) *kit.Terminal {
		t.Helper()
		kit.NeedTool(t, shell)
		cmd := exec.Command(shell, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TERM=dumb", "PS1=$ ", "HOME="+dir, "PATH="+strings.TrimSuffix(path, "/httpipe")+":"+os.Getenv("PATH"))
		return kit.OnTerminal(t, cmd)
	}
	completions := map[string]string{
		"httpipe aud\t":                     "httpipe audit ",
		"httpipe audit ex\t":                "httpipe audit export ",
		"httpipe audit list req\t":          "httpipe audit list requests ",
		"httpipe audit list --json ch\t":    "httpipe audit list --json channels ",
		"httpipe audit list --outc\t":       "httpipe audit list --outcome ",
		"httpipe --audit bes\t":             "httpipe --audit best-effort ",
		"httpipe --audit=bes\t":             "httpipe --audit=best-effort ",
		"httpipe audit check --config un\t": "httpipe audit check --config unique-name.conf ",
		"httpipe help audit su\t":           "httpipe help audit summary ",
		"httpipe completion z\t":            "httpipe completion zsh ",
	}
	t.Run("bash", func(t *testing.T) {
		screen := start(t, "bash", "--norc", "--noprofile", "-i")
		screen.Type("bind 'set enable-bracketed-paste off'; source <(httpipe completion bash)\n")
		checkCompletion(screen, completions)
	})
	t.Run("zsh", func(t *testing.T) {
		screen := start(t, "zsh", "-f", "-i")
		screen.Type("autoload -U compinit; compinit -u -D; source <(httpipe completion zsh)\n")
		checkCompletion(screen, completions)
	})
	t.Run("fish", func(t *testing.T) {
		kit.NeedTool(t, "fish")
		for typed, want := range completions {
			words := strings.Fields(want)
			script := "httpipe completion fish | source; complete -C '" + strings.TrimSuffix(typed, "\t") + "'"
			cmd := exec.Command("fish", "--no-config", "-c", script)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "PATH="+strings.TrimSuffix(path, "/httpipe")+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			if got, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\t"); err != nil || got != words[len(words)-1] {
				t.Errorf("%q: %v, %s\nwant %s", typed, err, out, words[len(words)-1])
			}
		}
	})
}

// checkCompletion types each text with its TAB, and waits for the completed one.
func checkCompletion(screen *kit.Terminal, completions map[string]string) {
	for typed, want := range completions {
		screen.Type("echo =; " + typed)
		screen.WaitFor("echo =; " + want)
		screen.Type("\x15\n") // rubs the line out
	}
}

// TestManual checks that groff formats the manual page without warnings.
func TestManual(t *testing.T) {
	kit.NeedTool(t, "groff")
	dir := t.TempDir()
	code, page := kit.Run(t, dir, "man")
	if code != 0 {
		t.Fatal(page)
	}
	cmd := exec.Command("groff", "-man", "-ww", "-Tutf8", "-P-cbou")
	cmd.Stdin = strings.NewReader(page)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("%v\n%s", err, &stderr)
	}
	for _, want := range []string{"NAME\n", "EXIT STATUS\n", "--stall-timeout TIME", "httpipe audit show [options] ID", "HTTPIPE_STALL_TIMEOUT", "-p, --port N"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the page lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "\u2010\n") {
		t.Errorf("the page has a hyphenated word:\n%s", out)
	}
}
