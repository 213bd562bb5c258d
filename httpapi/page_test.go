package httpapi

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"httpipe/test/rawhttp"
	"httpipe/web"
)

// What the server shows of itself. What its page does is tested with a browser, in test/browser.

const browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

func TestHome(t *testing.T) {
	r := start(t)
	for accept, html := range map[string]bool{
		browser:                          true,
		"Accept: text/plain, text/html":  true,
		"Accept: */*":                    false, // curl
		"Accept: text/html;q=0, */*":     false,
		"Accept: text/*":                 false,
		"Accept: application/json":       false,
		"X-Accept: text/html":            false,
		"Accept: text/html, Accept: a/b": true,
	} {
		a := r.dial().Get("/", accept).Answer().Is(200)
		want, begins := "text/plain; charset=utf-8", "httpipe pipes data"
		if html {
			want, begins = "text/html; charset=utf-8", "<!doctype html>"
		}
		if kind := a.Header.Get("Content-Type"); kind != want || !strings.HasPrefix(a.Text, begins) {
			t.Errorf("%s: got %.30q (%s)", accept, a.Text, kind)
		}
		if vary := strings.Join(a.Header.Values("Vary"), ", "); !strings.Contains(vary+", ", "Accept, ") {
			t.Errorf("%s: the answer varies by %q", accept, vary)
		}
		isolated(t, a)
		if head := r.dial().Request("HEAD", "/", accept).Answer().Is(200); head.Text != "" || head.Header.Get("Content-Type") != want {
			t.Errorf("%s: HEAD got %q (%s)", accept, head.Text, head.Header.Get("Content-Type"))
		}
	}
	// Nothing about a prefetch is wrong here.
	r.dial().Get("/?token=secret", browser, "Sec-Purpose: prefetch").Answer().Is(200)
}

// Every client gets the operator's page. It contains no data, and loads nothing from other servers.
func TestAuditPage(t *testing.T) {
	r := start(t)
	for _, path := range []string{"/audit", "/audit/", "/audit?namespace=v1"} {
		a := r.dial().Get(path).Answer().Is(200)
		if kind := a.Header.Get("Content-Type"); kind != "text/html; charset=utf-8" || !strings.Contains(a.Text, "<title>Audit") {
			t.Errorf("%s is %.50q (%s)", path, a.Text, kind)
		}
		isolated(t, a)
	}
	r.dial().Request("HEAD", "/audit").Answer().Is(200)
	r.dial().Request("POST", "/audit").Answer().Failed(405, "method")
}

// isolated asserts the headers that keep a page to itself.
func isolated(t *testing.T, a *answer) {
	t.Helper()
	want := map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
	if strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		want["Content-Security-Policy"] = web.Policy
	}
	for name, value := range want {
		if got := a.Header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

// reference is what in a page, a style sheet or a script makes a browser load something.
var reference = regexp.MustCompile(`(?:href|src)="([^"#]+)"|from '([^']+)'|url\(([^)]+)\)`)

// types are the right types of assets.
var types = map[string]bool{".css text/css; charset=utf-8": true, ".js text/javascript; charset=utf-8": true, ".svg image/svg+xml": true}

// TestAssets: all that pages refer to is there, of the right type, and nothing else is.
func TestAssets(t *testing.T) {
	r, files := start(t), os.DirFS("../web")
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		for _, found := range reference.FindAllStringSubmatch(string(text), -1) {
			url := path.Join("/assets", strings.Join(found[1:], ""))
			if strings.HasPrefix(found[1], "/") {
				url = found[1]
			}
			r.dial().Get(url).Answer().Is(200)
		}
		if asset, ok := strings.CutPrefix(name, "assets/"); ok {
			a := r.dial().Get("/assets/"+asset, browser).Answer().Is(200)
			if kind := a.Header.Get("Content-Type"); a.Text != string(text) || !types[path.Ext(asset)+" "+kind] {
				t.Errorf("%s is %.30q (%s)", asset, a.Text, kind)
			}
			isolated(t, a)
			r.dial().Request("HEAD", "/assets/"+asset).Answer().Is(200)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "x", ".", "..", "../index.html", "../manual.txt", "../web.go", "page.js/x", "%70age.js", "PAGE.JS"} {
		r.dial().Get("/assets/"+name).Answer().Failed(404, "not_found")
	}
}

// TestQR: a code is a picture of the text, and a text that has none is refused. That a camera can read it is tested with the
// page, by a reader of another kind.
func TestQR(t *testing.T) {
	r := start(t)
	a := r.dial().Get("/assets/qr.svg?text=http%3A%2F%2Frelay.example.com%2F%23v1%2Fc").Answer().Is(200)
	if kind := a.Header.Get("Content-Type"); kind != "image/svg+xml" || !strings.HasPrefix(a.Text, "<svg ") {
		t.Errorf("the code is %.50q (%s)", a.Text, kind)
	}
	isolated(t, a)
	if other := r.dial().Get("/assets/qr.svg?text=x").Answer().Is(200); other.Text == a.Text {
		t.Error("two texts have one code")
	}
	r.dial().Get("/assets/qr.svg?text=" + strings.Repeat("x", web.MaxQR)).Answer().Is(200)
	for _, query := range []string{"", "?text=", "?text=a;b", "?text=" + strings.Repeat("x", web.MaxQR+1)} {
		r.dial().Get("/assets/qr.svg"+query).Answer().Failed(404, "not_found")
	}
}

// The examples of the manual can be used as they are.
func TestManual(t *testing.T) {
	r := start(t)
	long := strings.Repeat("x", 300)
	for _, test := range []struct{ host, proto, want string }{
		{"relay.example.com", "", "http://relay.example.com"},
		{"relay.example.com:8080", "http", "http://relay.example.com:8080"},
		{"relay.example.com", "https", "https://relay.example.com"},
		{"relay.example.com", "HTTPS", "https://relay.example.com"},
		{"relay.example.com", "javascript", "http://relay.example.com"},
		{"relay.example.com", "https://evil/", "http://relay.example.com"},
		{"relay.example.com", "https, http", "http://relay.example.com"},
		{"relay.example.com", "http, https", "https://relay.example.com"},
		{"my_relay:3000", "", "http://my_relay:3000"},
		{"[2001:db8::1]:3000", "", "http://[2001:db8::1]:3000"},
		// Of others it is better to say where the connection has gone.
		{"", "https", "https://" + r.addr},
		{"x;reboot", "", "http://" + r.addr},
		{"$(reboot)", "", "http://" + r.addr},
		{"`reboot`", "", "http://" + r.addr},
		{"a'b", "", "http://" + r.addr},
		{"a&b", "", "http://" + r.addr},
		{"-o", "", "http://" + r.addr},
		{"user@relay", "", "http://" + r.addr},
		{"relay:port", "", "http://" + r.addr},
		{"relay:3000:1", "", "http://" + r.addr},
		{"[::1", "", "http://" + r.addr},
		{"[x]", "", "http://" + r.addr},
		{"{{.}}", "", "http://" + r.addr},
		{"%41", "", "http://" + r.addr},
		{long, "", "http://" + r.addr},
	} {
		if _, rest, http := strings.Cut(test.want, "http://"); http {
			test.want = rawhttp.Scheme() + "://" + rest
		}
		c := r.dial()
		c.Say(fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\nX-Forwarded-Proto: %s\r\n\r\n", test.host, test.proto))
		a := c.Answer()
		if a.StatusCode == http.StatusBadRequest {
			a.Failed(400, "bad_request") // it is no host at all
			continue
		}
		a.Is(200)
		examples := 0
		for line := range strings.Lines(a.Text) {
			if strings.HasPrefix(line, "    ") && strings.Contains(line, "curl") {
				examples++
				if !strings.Contains(line, " "+test.want+"/") && !strings.Contains(line, "'"+test.want+"/") {
					t.Errorf("Host %q, %q: the example is %q, want %s", test.host, test.proto, line, test.want)
				}
			}
			if len(line) > 110 && len(test.want) < 30 {
				t.Errorf("too long for a terminal: %q", line)
			}
		}
		if examples < 10 {
			t.Errorf("Host %q: there are %d examples:\n%s", test.host, examples, a.Text)
		}
	}
}
