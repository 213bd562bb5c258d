package deploy

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"httpipe/test/kit"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	p := kit.Start(t, t.TempDir())
	kit.Smoke(t, p.URL+"/")
	kit.Smoke(t, "--audit-db", filepath.Join(p.Dir, "httpipe.db"), p.URL)
	if got := p.SQLite(t, "select outcome, count(*) from exchanges group by 1"); got != "delivered|4\nproducer_left|2" {
		t.Errorf("on record: %s", got)
	}
}

// whole is a body that hides how it was cut off.
type whole struct{ io.ReadCloser }

func (w whole) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// replace changes the first such bytes of a response's body.
func replace(resp *http.Response, from, to string) {
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		resp.Body = io.NopCloser(bytes.NewReader(bytes.Replace(body, []byte(from), []byte(to), 1)))
	}
}

// TestSmokeFinds: behind a server that breaks one thing, scripts/smoke fails and names that.
func TestSmokeFinds(t *testing.T) {
	t.Parallel()
	p, other := kit.Start(t, t.TempDir()), kit.Start(t, t.TempDir())
	logOf := func(p *kit.Server) []string { return []string{"--audit-db", filepath.Join(p.Dir, "httpipe.db")} }
	for _, test := range []struct {
		name  string
		spoil func(*http.Response)
		args  []string
		want  string
	}{
		{"not healthy", on("GET", "/healthz", func(r *http.Response) { r.StatusCode = 503 }), nil, "GET /healthz got 503 instead of 200"},
		{"not httpipe", on("GET", "/nowhere", func(r *http.Response) { r.Header.Del("Httpipe-Error") }), nil, "the 404 of /nowhere is not httpipe's"},
		{"names with escapes", on("GET", "%41", func(r *http.Response) { r.StatusCode = 408 }), nil, "a name with an escape in it got 408 instead of 400"},
		{"HEAD finds no consumer", on("HEAD", "", func(r *http.Response) { r.Header = http.Header{} }), nil, "HEAD does not count the waiting client in Httpipe-Consumers"},
		{"changed bytes", on("GET", "", func(r *http.Response) { replace(r, "\x00", "\x01") }), nil, "the consumer did not get the"},
		{"two exchanges", on("GET", "", func(r *http.Response) { r.Header.Set("Httpipe-Exchange", "1") }), nil, "the two sides have different Httpipe-Exchange headers"},
		{"a lying receipt", on("PUT", "", func(r *http.Response) { replace(r, "delivered", "forgotten") }), nil, `the receipt has no "outcome":"delivered"`},
		{"a lost type", on("GET", "", func(r *http.Response) { r.Header.Del("Content-Type") }), nil, "the type text/x-smoke came as"},
		{"a hidden cut", on("GET", "", func(r *http.Response) { r.ContentLength = -1; r.Header.Del("Content-Length"); r.Body = whole{r.Body} }), nil, "a transfer that was cut off looks whole"},
		{"another's log", nil, logOf(other), "the audit log has for exchange"},
		{"no log", nil, []string{"--audit-db", "nowhere.db"}, "nowhere.db"},
		{"nothing wrong", nil, logOf(p), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := spoiled(t, p.URL, test.spoil)
			var stderr strings.Builder
			cmd := exec.Command("scripts/smoke", append(test.args, url)...)
			cmd.Stderr = &stderr
			err := cmd.Run()
			if test.want == "" && (err != nil || stderr.Len() > 0) {
				t.Errorf("%v, %s", err, &stderr)
			}
			if test.want != "" && (err == nil || !strings.Contains(stderr.String(), test.want) || strings.Count(stderr.String(), "\n") != 1) {
				t.Errorf("%v, %q, want one line with %q", err, &stderr, test.want)
			}
			// Its curls have ended with it, and not after a minute.
			waitForState(t, p, "{}")
		})
	}
}

// spoiled runs a server that does as the relay does, but for a change to its responses, and returns its URL.
func spoiled(t *testing.T, relay string, change func(*http.Response)) string {
	t.Helper()
	target, err := url.Parse(relay)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			if change != nil {
				change(r)
			}
			return nil
		},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // the cuts are intended
	})
	t.Cleanup(front.Close)
	return front.URL
}

// waitForState polls until the server says that these channels exist.
func waitForState(t *testing.T, p *kit.Server, want string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		got := strings.TrimSpace(<-kit.Curl(p.URL + "/state"))
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s", got)
		}
	}
}

// on limits a change to responses to such a request.
func on(method, path string, change func(*http.Response)) func(*http.Response) {
	return func(r *http.Response) {
		if r.Request.Method == method && strings.Contains(r.Request.URL.EscapedPath(), path) {
			change(r)
		}
	}
}
