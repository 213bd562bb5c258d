package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"httpipe/test/kit"
)

// credentialPlaces are where a credential can be: each puts one into a request.
var credentialPlaces = []func(r *http.Request, credential string){
	func(r *http.Request, credential string) { r.Header.Set("Authorization", "Bearer "+credential) },
	func(r *http.Request, credential string) { r.SetBasicAuth("", credential) },
	func(r *http.Request, credential string) {
		query := r.URL.RawQuery + "&token=" + url.QueryEscape(credential)
		r.URL.RawQuery = strings.TrimPrefix(query, "&")
	},
}

// TestSecretsAreNowhere checks that no secret and no token, valid or not and in any place of a request, appears in the server's
// log at level debug, in the audit log, in a response, or in the help.
func TestSecretsAreNowhere(t *testing.T) {
	const grants = "--name ci --allow produce,consume,delete,look --channels v1/*"
	credentials := []string{
		kit.Secret, kit.AnotherSecret, "a-wrong-secret-0123456789abcdefgh",
		kit.Token(t, kit.Secret, strings.Fields(grants)...),
		kit.Token(t, kit.AnotherSecret, strings.Fields(grants)...),
		kit.Token(t, "a-wrong-secret-0123456789abcdefgh", strings.Fields(grants)...),
		kit.Token(t, kit.Secret, "--name", "other", "--allow", "audit", "--channels", "v2/*"),
	}
	t.Setenv("HTTPIPE_AUTH_SECRET", kit.Secret+","+kit.AnotherSecret)
	p := kit.Start(t, t.TempDir(), "--log-level", "debug", "--anonymous", "produce:hooks/*", "--client-ip-header", "X-Client")
	seen := askAll(t, p, credentials)
	for _, place := range credentialPlaces {
		consumed := make(chan string)
		go func() { consumed <- ask(t, p, "GET", "/channels/v1/a", "", place, credentials[3]) }()
		seen += ask(t, p, "POST", "/channels/v1/a", "hello", place, credentials[0]) + <-consumed
	}
	if !strings.Contains(seen, "hello") || !strings.Contains(seen, "401 Unauthorized") || !strings.Contains(seen, "403 Forbidden") {
		t.Error("there were no answers of each kind")
	}
	seen += files(t, p)
	p.Stop(t)
	seen += files(t, p) + p.Log.String()
	path := kit.Binary(t)
	for _, arg := range []string{"-h", "help", "version", "--prot", "verison"} {
		out, _ := exec.Command(path, arg).CombinedOutput()
		seen += string(out)
	}
	if !strings.Contains(seen, "exchange ended") || !strings.Contains(seen, "malformed") {
		t.Error("the logs were not at their most talkative")
	}
	for _, credential := range credentials {
		for _, form := range []string{credential, url.QueryEscape(credential), base64.StdEncoding.EncodeToString([]byte(":" + credential)),
			credential[strings.LastIndex(credential, ".")+1:]} {
			if i := strings.Index(seen, form); i >= 0 {
				t.Errorf("%s is in %q", form, seen[max(0, i-100):i+len(form)])
			}
		}
	}
}

// askAll makes many requests with each credential in each place, and returns the answers.
func askAll(t *testing.T, p *kit.Server, credentials []string) (answers string) {
	for _, request := range []string{
		"POST /channels/v1/a?wait=0", "GET /channels/v1/a?wait=0", "GET /channels/v1/a?wait=x", "GET /channels/v1/a?wait=1;b",
		"HEAD /channels/v1/a", "DELETE /channels/v1/a", "DELETE /channels/v1", "GET /state", "GET /channels/namespaces", "GET /channels/v1",
		"POST /channels/hooks/a?wait=0", "PATCH /channels/v1/a", "GET /healthz", "GET /nowhere", "GET /channels/v1/%41", "OPTIONS /state",
	} {
		method, path, _ := strings.Cut(request, " ")
		for _, credential := range credentials {
			for _, place := range credentialPlaces {
				answers += ask(t, p, method, path, "", place, credential)
			}
		}
	}
	return answers
}

// clients is how many addresses ask has used.
var clients atomic.Int32

// ask makes a request, and returns the whole answer. Each comes from an address of its own.
func ask(t *testing.T, p *kit.Server, method, path, body string, place func(*http.Request, string), credential string) string {
	r, err := http.NewRequest(method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return ""
	}
	place(r, credential)
	n := clients.Add(1)
	r.Header.Set("X-Client", fmt.Sprintf("10.0.%d.%d", n>>8, n&255))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	answer, err := httputil.DumpResponse(resp, true)
	if err != nil {
		t.Error(err)
	}
	return string(answer)
}

// files returns the content of all files in the server's directory.
func files(t *testing.T, p *kit.Server) (content string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(p.Dir, "*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("the files are %q, %v", names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		content += string(b)
	}
	return content
}
