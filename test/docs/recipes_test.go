package docs

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"httpipe/test/kit"
)

// recipe starts a loop of docs/recipes.md that contains some text, in dir, until the end of the test. change gives pairs of texts
// to replace. It returns what the loop prints.
func recipe(t *testing.T, p *kit.Server, dir, contains string, change ...string) io.Reader {
	t.Helper()
	block := theBlock(t, "docs/recipes.md", "sh", contains)
	change = append(change, "localhost:3000", p.URL, "wait=50s", "wait=200ms")
	bash := exec.Command("bash", "-c", strings.NewReplacer(change...).Replace(block))
	bash.Dir = dir
	bash.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that the loops that it starts in the background end with it
	kit.EndWithTest(bash)
	out, err := bash.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-bash.Process.Pid, syscall.SIGKILL); bash.Wait() })
	return out
}

// TestRecipeQueue runs four workers, and sends them jobs, of which one fails at first.
func TestRecipeQueue(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	dir := t.TempDir()
	script := "#!/bin/sh\njob=$(cat)\n[ \"$job\" = fails ] && ! [ -e failed ] && touch failed && exit 1\necho \"done: $job\"\n"
	if err := os.WriteFile(filepath.Join(dir, "do-job"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	recipe(t, p, dir, "./do-job")
	send := strings.ReplaceAll(theBlock(t, "docs/recipes.md", "sh", "photo 17"), "localhost:3000", p.URL)
	results := map[string]chan string{}
	for _, job := range []string{"photo 1", "photo 2", "photo 3", "photo 4", "photo 5", "fails"} {
		result := make(chan string, 1)
		results[job] = result
		go func() {
			out, err := inDir(t, dir, "bash", "-c", strings.ReplaceAll(send, "photo 17", job)).Output()
			result <- fmt.Sprintf("%s%v", out, err)
		}()
	}
	for job, result := range results {
		if got, want := <-result, "done: "+job+"\n<nil>"; got != want {
			t.Errorf("the result of %s is %q, want %q", job, got, want)
		}
	}
	p.WaitForRow(t, "select 1 from calls where outcome = 'answered' and status = 200 group by service having count(*) = 6")
	p.WaitForRow(t, "select 1 from calls where outcome = 'answered' and status = 503")
}

// TestRecipeWebhook sends webhooks with a right and with a wrong signature.
func TestRecipeWebhook(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	t.Setenv("SECRET", "it's a secret")
	out := recipe(t, p, t.TempDir(), "Hub-Signature")
	send := func(body, secret string) {
		t.Helper()
		mac := hmac.New(sha256.New, []byte(secret))
		io.WriteString(mac, body)
		header := fmt.Sprintf("X-Hub-Signature-256: sha256=%x", mac.Sum(nil))
		if got := <-kit.Patient("-H", header, "-H", "Content-Type: application/json", "-d", body, p.URL+"/channels/hooks/github"); got != "" {
			t.Fatalf("the webhook got %q", got)
		}
	}
	send(`{"evil":1}`, "a guess")
	send(`{"zen":"Keep it simple."}`, "it's a secret")
	const want = `{"zen":"Keep it simple."}`
	got := make([]byte, len(want))
	if _, err := io.ReadFull(out, got); err != nil || string(got) != want {
		t.Errorf("the loop printed %q, %v; want %q", got, err, want)
	}
}

// TestRecipeShare opens a web site through a service.
func TestRecipeShare(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Location", "page.html?x=%2F") // relative, which http.Redirect would not leave
			w.WriteHeader(http.StatusFound)
		case "/page.html":
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, "<p>%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("Content-Type"), body)
		default:
			http.NotFound(w, r)
		}
	}))
	defer site.Close()
	p := kit.Start(t, t.TempDir())
	recipe(t, p, t.TempDir(), "localhost:8000", "localhost:8000", site.Listener.Addr().String())
	base := p.URL + "/services/me/site"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-L", base + "/"}, "<p>GET /page.html?x=%2F   text/html; charset=utf-8 200"},
		{[]string{"-d", "a=b", "-H", "Content-Type: application/json", base + "/page.html"}, "<p>POST /page.html application/json a=b text/html; charset=utf-8 200"},
		{[]string{base + "/a/../b"}, "404 page not found\n text/plain; charset=utf-8 404"},
		{[]string{"-I", "-o", "/dev/null", base + "/page.html"}, " text/html; charset=utf-8 200"},
	} {
		if got := <-kit.Patient(append([]string{"-w", " %{content_type} %{http_code}"}, test.args...)...); got != test.want {
			t.Errorf("%q prints %q, want %q", test.args, got, test.want)
		}
	}
}
