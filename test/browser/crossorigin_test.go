package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"httpipe/test/kit"
)

// What pages of other origins can do with a relay, in a real Chromium.

// evilName is a foreign host name that resolves to this machine.
const evilName = "evil.example"

// foreignPage opens an empty page at a URL, in which a test runs scripts. Its origin is not the relay's.
func foreignPage(t *testing.T, url string) *tab {
	t.Helper()
	tab := &tab{visitor: visitAt(t, url)}
	ctx, cancel := chromedp.NewContext(tab.visitor.ctx)
	tab.ctx = ctx
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // the tab lasts as long as this context
		t.Fatal(err)
	}
	tab.do(chromedp.Navigate(url))
	return tab
}

// emptySite serves an empty page, and returns its URL.
func emptySite(t *testing.T) string {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>A page</title>")
	}))
	t.Cleanup(site.Close)
	return site.URL
}

// fetched returns what fetch gives the page: status and body, or the kind of error.
func (tab *tab) fetched(url, options string) string {
	tab.t.Helper()
	return value[string](tab, fmt.Sprintf("fetch(%q, %s).then(async r => r.status + ' ' + (await r.text()).trim(), e => e.name)", url, options))
}

const blocked = "TypeError" // is all that a page is told of an answer that is not for it

// TestPagesOfOtherOrigins: they may produce and consume, with any headers. Lists, HEAD, DELETE and the audit log are for
// those that are named, and the audit log takes the key even then.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	site := emptySite(t)
	for _, test := range []struct {
		origins string
		named   bool
	}{{"*", false}, {site, true}, {"*," + site, true}, {"https://page.example", false}} {
		p := kit.Start(t, t.TempDir(), "--cors-origin", test.origins)
		page := foreignPage(t, site)
		open, channel := test.origins != "https://page.example", p.URL+"/channels/v1/c"
		is := func(want, url, options string) {
			t.Helper()
			if got := page.fetched(url, options); got != want {
				t.Errorf("--cors-origin %s: fetch(%s, %s): %q, want %q", test.origins, strings.TrimPrefix(url, p.URL), options, got, want)
			}
		}
		either := func(allowed bool, want string) string {
			if allowed {
				return want
			}
			return blocked
		}

		if open {
			consumer := kit.Curl(channel)
			p.WaitFor(t, "v1/c", "0", "1")
			is("200 ", channel, `{method: 'POST', body: 'hello', headers: {traceparent: '00-1-2-01', 'X-Requested-With': 'x', 'Cache-Control': 'no-cache', 'Content-Type': 'application/json'}}`)
			if got := <-consumer; got != "hello" {
				t.Errorf("the page's message came as %q", got)
			}
			producer := kit.Curl("-d", "hi", channel)
			p.WaitFor(t, "v1/c", "1", "0")
			is("200 hi", channel, `{headers: {traceparent: '00-1-2-01'}}`)
			<-producer
		} else {
			is(blocked, channel+"?wait=0", `{method: 'POST', body: 'hello', headers: {traceparent: '00-1-2-01'}}`)
		}
		is(either(open, "200 ok"), p.URL+"/healthz", `{}`)

		consumer := kit.Curl(channel)
		p.WaitFor(t, "v1/c", "0", "1")
		is(either(test.named, `200 {"v1":["c"]}`), p.URL+"/state", `{}`)
		is(either(test.named, `200 ["c"]`), p.URL+"/channels/v1", `{}`)
		is(either(test.named, "200 "), channel, `{method: 'HEAD'}`)
		for _, path := range []string{"exchanges", "requests", "channels", "summary", "live"} {
			if got := page.fetched(p.URL+"/audit/"+path, `{}`); got != blocked && !(test.named && strings.HasPrefix(got, "401 unauthorized: ")) {
				t.Errorf("--cors-origin %s: the page gets %.100q at /audit/%s", test.origins, got, path)
			}
		}
		withKey := fmt.Sprintf("{headers: {Authorization: 'Bearer %s'}}", p.AuditKey(t))
		if got := page.fetched(p.URL+"/audit/exchanges", withKey); (got != blocked) != test.named || test.named && !strings.HasPrefix(got, `200 {"exchanges":[{`) {
			t.Errorf("--cors-origin %s: with the key the page gets %.100q", test.origins, got)
		}
		is(either(test.named, "204 "), channel, `{method: 'DELETE'}`)
		if !test.named {
			p.WaitFor(t, "v1/c", "0", "1") // it still waits
			<-kit.Curl("-X", "DELETE", channel)
		}
		<-consumer
	}
}

// TestForeignPages: unless it is named or "*" is, a page of another site sends and takes nothing, by no kind of request.
// Frames and images take nothing anywhere.
func TestForeignPages(t *testing.T) {
	t.Parallel()
	page := foreignPage(t, strings.Replace(emptySite(t), "127.0.0.1", evilName, 1))
	for _, origins := range []string{"https://app.example", "*"} {
		p := kit.Start(t, t.TempDir(), "--cors-origin", origins)
		channel := p.URL + "/channels/v1/jobs"
		producer := kit.Curl("-d", "kept", channel)
		p.WaitFor(t, "v1/jobs", "1", "0")
		for _, element := range []string{"iframe.src", "img.src", "object.data", "embed.src", "script.src"} {
			name, attribute, _ := strings.Cut(element, ".")
			value[bool](page, fmt.Sprintf(`new Promise(done => {
				const e = document.createElement(%q);
				e.onload = e.onerror = () => done(true);
				setTimeout(done, 2000, true); // not every element says that it has failed
				e.%s = %q;
				document.body.append(e);
			})`, name, attribute, channel))
		}
		if origins != "*" {
			page.fetched(channel, `{mode: 'no-cors'}`)
			page.fetched(channel, `{}`)
		}
		p.WaitFor(t, "v1/jobs", "1", "0")
		if got := <-kit.Curl(channel); got != "kept" {
			t.Errorf("--cors-origin %s: a page of another site has taken the message; then came %q", origins, got)
		}
		<-producer
		if origins == "*" {
			continue
		}
		consumer := kit.Curl(channel)
		p.WaitFor(t, "v1/jobs", "0", "1")
		page.fetched(channel, `{method: 'POST', mode: 'no-cors', body: 'evil job'}`)
		<-kit.Curl("-d", "right", channel)
		if got := <-consumer; got != "right" {
			t.Errorf("a page of another site has sent %q", got)
		}
	}
}

// TestNameThatLeadsHere: a page on a name that leads to this machine reads nothing of the audit log of a relay here, neither
// under that relay's own address nor under the name, where it has the relay's origin.
func TestNameThatLeadsHere(t *testing.T) {
	t.Parallel()
	p := kit.Start(t, t.TempDir())
	exchange(t, p, "v1/secret", "hello")
	named := func(url string) string { return strings.Replace(url, "127.0.0.1", evilName, 1) }
	elsewhere, rebound := foreignPage(t, named(emptySite(t))), foreignPage(t, named(p.URL)+"/healthz")
	for _, path := range []string{"exchanges", "requests", "channels", "summary", "live", "exchanges/" + p.SQLite(t, "select id from exchanges")} {
		if got := elsewhere.fetched(p.URL+"/audit/"+path, `{}`); got != blocked {
			t.Errorf("a page at %s reads /audit/%s: %.100q", evilName, path, got)
		}
		if got := rebound.fetched("/audit/"+path, `{}`); !strings.HasPrefix(got, "401 unauthorized: ") {
			t.Errorf("a page with the name for the relay's own reads /audit/%s: %.100q", path, got)
		}
	}
	if got := elsewhere.fetched(p.URL+"/channels/v1/secret", `{method: 'DELETE'}`); got != blocked {
		t.Errorf("a page at %s deletes: %q", evilName, got)
	}
}
