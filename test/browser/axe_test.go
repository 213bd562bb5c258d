package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"httpipe/test/kit"
)

// browserPackages returns the directory of the scripts that look at pages, of the versions in testdata.
func browserPackages(t *testing.T) string {
	t.Helper()
	return kit.Installed(t, "test/browser/testdata/axe", "package-lock.json", "npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
}

// axe returns the source of axe-core.
func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(browserPackages(t), "node_modules/axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// scheme emulates a preference for dark or light colours.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

// TestPagesByAxe: axe-core finds no violation on any page, with data and without, on a desktop and a phone, dark and light.
func TestPagesByAxe(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	a := inspector{visitor: v, source: axe(t)}
	missing := a.open("/nothing")
	a.check(missing, "404")
	missing.mu.Lock()
	missing.complaints = nil // of the 404
	missing.mu.Unlock()
	a.check(a.open(pageAt), "the page")
	empty := a.open("/audit#token=" + p.AuditKey(t))
	empty.shows("#rows-note", "No records match.")
	a.check(empty, "the empty log")

	fillLog(t, p)
	page := a.open(pageAt)
	page.sendText("hello")
	page.click("#receive .go")
	page.shows("#message", "hello")
	page.shows("#send .headline", "Delivered")
	a.check(page, "the page with a message")
	log := a.open("/audit#token=" + p.AuditKey(t))
	log.shows("#totals strong", "5")
	log.shows("#waiting .name", "v1/waits")
	a.check(log, "the log")
	log.click("#figures summary")
	log.click("#waiting summary")
	a.check(log, "the log with details open")
	log.click("#rows tbody a")
	log.wait("document.querySelector('#details dd') !== null")
	a.check(log, "an exchange")
	for show, name := range map[string]string{"calls": "v1/service", "publications": "v1/topic", "subscriptions": "v1/topic", "requests": ""} {
		a.checkList(log, show, name)
	}
	for what, tab := range map[string]*tab{"the page with a message": page, "an exchange": log} {
		tab.do(phone)
		a.check(tab, fmt.Sprint(what, " on a phone"))
	}
}

// An inspector is a visitor that has axe-core look at pages.
type inspector struct {
	*visitor
	source string // of axe-core
}

// open opens a page with axe-core in it.
func (a inspector) open(path string) *tab {
	a.t.Helper()
	tab := a.visitor.open(path)
	tab.do(chromedp.Evaluate[chromedp.Void](a.source + "; 0"))
	return tab
}

// aboutColours are the rules of axe-core that look at colours.
const aboutColours = "{runOnly: ['color-contrast', 'link-in-text-block']}"

// check reports the violations on a page. With dark colours it is the same page, so the other rules do not look at it again.
func (a inspector) check(tab *tab, what string) {
	a.t.Helper()
	for colours, rules := range map[string]string{"light": "{}", "dark": aboutColours} {
		tab.do(scheme(colours))
		found := value[[]string](tab, `axe.run(document, `+rules+`).then(result => result.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.html.slice(0, 120)).join('; ')))`)
		for _, violation := range found {
			a.t.Errorf("%s, %s: %s", what, colours, violation)
		}
	}
}

// checkList checks the list of a kind of records, whose first one has that name, and that record; "": there is none.
func (a inspector) checkList(log *tab, show, name string) {
	a.t.Helper()
	log.do(chromedp.Evaluate[chromedp.Void]("location.hash = '#show=" + show + "'"))
	if name == "" {
		log.shows("#rows-note", "No records match.")
		a.check(log, "no "+show)
		return
	}
	log.shows("#rows tbody td:nth-child(2)", name)
	log.has("#list[aria-busy=false]", 1)
	a.check(log, show)
	log.click("#rows tbody td a")
	log.wait("document.querySelector('#details dd') !== null && document.querySelector('#details-note').textContent !== 'Looking …'")
	a.check(log, "one of the "+show)
}

// fillLog makes a record of each kind but an unmatched request. One client waits and one is subscribed until the test ends.
func fillLog(t *testing.T, p *kit.Server) {
	t.Helper()
	for _, channel := range []string{"v1/one", "v1/two"} {
		exchange(t, p, channel, "hello")
	}
	call(t, p, "v1/service", "done")
	listener := kit.Curl("-N", "-H", "Accept: text/event-stream", p.URL+"/topics/v1/topic")
	p.WaitForRow(t, "SELECT count(*) = 1 FROM subscriptions")
	if got := <-kit.Curl("-d", "hello", p.URL+"/topics/v1/topic"); got != "" {
		t.Error(got)
	}
	waiting := kit.Curl(p.URL + "/channels/v1/waits")
	p.WaitFor(t, "v1/waits", "0", "1")
	t.Cleanup(func() {
		for path, client := range map[string]<-chan string{"/channels/v1/waits": waiting, "/topics/v1/topic": listener} {
			if got := <-kit.Curl("-X", "DELETE", p.URL+path); got != "" {
				t.Error(got)
			}
			<-client
		}
	})
}
