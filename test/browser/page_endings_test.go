package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"httpipe/test/kit"
)

// What the page says when a transfer does not end well.

// both lets one tab send to another on a channel of their own, and waits until both are at work.
func both(t *testing.T, v *visitor, p *kit.Server) (sender, receiver *tab) {
	t.Helper()
	sender, receiver = v.open("/#v1/sender"), v.open("/#v1/receiver")
	sender.sendText("hello")
	receiver.click("#receive .go")
	p.WaitFor(t, "v1/sender", "1", "0")
	p.WaitFor(t, "v1/receiver", "0", "1")
	return sender, receiver
}

func (tab *tab) told(end, headline, detail string) {
	tab.t.Helper()
	tab.shows(end+" .headline", headline)
	tab.shows(end+" .detail", detail)
	if tab.text(end+" .cancel") != "" {
		tab.t.Errorf("%s can still be cancelled", end)
	}
}

func TestPageDeleted(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	sender, receiver := both(t, v, p)
	if got := <-kit.Patient("-X", "DELETE", p.URL+"/channels/v1"); got != "" {
		t.Fatal(got)
	}
	sender.told("#send", "Not delivered", "The channel was deleted.")
	receiver.told("#receive", "Nothing received", "The channel was deleted.")
}

func TestPageTimedOut(t *testing.T) {
	t.Parallel()
	v, _ := visit(t, "--request-timeout", "100ms")
	tab := v.open(pageAt)
	path, _ := fileOf(t, "large", 40<<20)
	tab.send(path) // answered before its end
	tab.told("#send", "Not delivered", "No receiver came within the time limit of this server.")
	tab.click("#receive .go")
	tab.told("#receive", "Nothing received", "No sender came within the time limit of this server.")
}

func TestPageTooLarge(t *testing.T) {
	t.Parallel()
	v, _ := visit(t, "--max-body", "10MB")
	tab := v.open(pageAt)
	path, _ := fileOf(t, "large", 40<<20)
	tab.send(path)
	tab.told("#send", "Not delivered", "This is larger than the server accepts.")
}

func TestPageRefused(t *testing.T) {
	t.Parallel()
	v, p := visit(t, "--max-waiting", "2")
	both(t, v, p)
	tab := v.open(pageAt)
	const why = "The server has reached a limit and refused this. It says: too many requests wait on this server (--max-waiting). Try again in 5 s."
	tab.sendText("hello")
	tab.told("#send", "Not delivered", why)
	tab.click("#receive .go")
	tab.told("#receive", "Nothing received", why)
}

func TestPageServerStops(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	sender, receiver := both(t, v, p)
	p.Stop(t)
	sender.told("#send", "Not delivered", "The server is stopping, or another one serves this channel now. Try again in 1 s.")
	receiver.told("#receive", "Nothing received", "The server is stopping, or another one serves this channel now. Try again in 1 s.")
}

// Without an answer the page says that the outcome is unknown.
func TestPageServerDies(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	sender, receiver := both(t, v, p)
	sender.shows("#send .headline", "Waiting for the other side")
	p.Process.Signal(syscall.SIGKILL)
	sender.told("#send", "Not confirmed", "The connection broke without an answer. All of it (5 bytes) had left this browser; "+
		"the receiver may have got all of it, some or nothing. If you send it again, it may arrive twice.")
	receiver.told("#receive", "Nothing received", "The connection broke before anything came.")
}

func TestPageWithoutLog(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	path := filepath.Join(p.Dir, "httpipe.db")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	for status := 0; status != http.StatusServiceUnavailable; {
		resp, err := http.Get(p.URL + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		status = resp.StatusCode
	}
	const why = "The server cannot write its audit log, and relays nothing without a record. Try again in 1 s."
	tab.sendText("hello")
	tab.told("#send", "Not delivered", why)
	tab.click("#receive .go")
	tab.told("#receive", "Nothing received", why)
}

// What something in between answers is not taken for httpipe's, be it a 200.
func TestPageBehindALiar(t *testing.T) {
	t.Parallel()
	p := kit.Start(t, t.TempDir())
	status := http.StatusOK
	v := visitAt(t, proxied(t, p, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/channels/") {
			w.WriteHeader(status)
			return false
		}
		return true
	}))
	tab := v.open(pageAt)
	for _, status = range []int{http.StatusOK, http.StatusNoContent, http.StatusGatewayTimeout} {
		why := fmt.Sprintf("Something between this browser and httpipe answered %d.", status)
		tab.sendText("hello")
		tab.told("#send", "Not confirmed", why+" It is not known whether it was delivered.")
		tab.click("#receive .go")
		tab.told("#receive", "Nothing received", why)
	}
}

// proxied returns the URL of a proxy, which asks pass of each request whether it may go on.
func proxied(t *testing.T, p *kit.Server, pass func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	target, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pass(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// A folder looks like a file, and cannot be read.
func TestPageUnreadable(t *testing.T) {
	t.Parallel()
	v, _ := visit(t)
	tab := v.open(pageAt)
	path, _ := fileOf(t, "gone", 10)
	tab.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{path}))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	tab.click("#send .go")
	tab.told("#send", "Not sent", "This browser cannot read the file. Is it a folder, or has it been moved or changed?")
	tab.click("#no-file")
	tab.click("#send .go")
	tab.told("#send", "Nothing to send", "Write something, or choose a file.")
}

// TestPageWords: there are words for all that an answer can say to either side.
func TestPageWords(t *testing.T) {
	t.Parallel()
	v, _ := visit(t)
	tab := v.open("/")
	for role, codes := range map[string]string{
		"sent": "consumer_left producer_left stalled silent too_large deleted timed_out shut_down refused unauthorized forbidden https_required " +
			"bad_name bad_wait bad_request not_found method audit_unavailable",
		"received": "deleted timed_out shut_down refused unauthorized forbidden https_required bad_name bad_wait bad_request not_a_consumer not_found method audit_unavailable",
	} {
		for _, code := range strings.Fields(codes) {
			said := value[string](tab, fmt.Sprintf(`import('/assets/words.js').then(words => {
				const {headline, detail} = words.%s({kind: 'answered', status: 400, code: %q, left: 1}, 1);
				return headline + ': ' + detail;
			})`, role, code))
			if !strings.HasPrefix(said, "Not delivered: ") && !strings.HasPrefix(said, "Nothing received: ") || strings.Contains(said, "answered") {
				t.Errorf("of %s the page says %q", code, said)
			}
		}
	}
	for code, want := range map[string]string{
		// All bytes went, and may be there.
		`{kind: 'answered', status: 503, code: 'audit_unavailable', exchange: 'id', left: 1}`: "Not confirmed",
		`{kind: 'answered', status: 500, code: '', left: 1}`:                                  "Not confirmed",
		`{kind: 'answered', status: 418, code: 'new', left: 1}`:                               "Not confirmed",
	} {
		if got := value[string](tab, `import('/assets/words.js').then(words => words.sent(`+code+`, 1).headline)`); got != want {
			t.Errorf("%s: the page says %q, want %q", code, got, want)
		}
	}
}
