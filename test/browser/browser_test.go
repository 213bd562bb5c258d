package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"httpipe/test/kit"
)

// These tests use the server's pages as people do, in a real Chromium.

// chromium is a browser without a window, started once for all tests.
var chromium = sync.OnceValues(func() (context.Context, error) {
	options := slices.Concat(chromedp.DefaultExecAllocatorOptions[:], []chromedp.ExecAllocatorOption{chromedp.ExecPath("chromium"),
		chromedp.Flag("host-resolver-rules", "MAP "+evilName+" 127.0.0.1")}, chromiumOptions)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // as root Chromium has none to offer
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	closeChromium = func() { chromedp.Cancel(ctx) }
	return ctx, chromedp.Do(ctx)
})

// chromiumOptions are further ones, for a test that has the browser for itself.
var chromiumOptions []chromedp.ExecAllocatorOption

// closeChromium is called when all tests have ended.
var closeChromium = func() {}

// A visitor is a browser profile of its own: its tabs share no storage with those of other visitors.
type visitor struct {
	t         *testing.T
	server    string // its URL
	downloads string // where the browser saves files
	ctx       context.Context
}

// visit starts a server, and returns a visitor of its pages.
func visit(t *testing.T, args ...string) (*visitor, *kit.Server) {
	t.Helper()
	p := kit.Start(t, t.TempDir(), args...)
	return visitAt(t, p.URL), p
}

// visitAt returns a visitor of the pages at a URL.
func visitAt(t *testing.T, url string) *visitor {
	t.Helper()
	kit.NeedTool(t, "chromium")
	first, err := chromium()
	if err != nil {
		t.Fatal("chromium does not start: ", err)
	}
	v := &visitor{t: t, server: url, downloads: t.TempDir()}
	ctx, cancel := chromedp.NewContext(first, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	v.ctx = ctx
	if err := chromedp.Do(ctx, v.saveFiles()); err != nil {
		t.Fatal(err)
	}
	return v
}

// saveFiles lets the browser save files without asking.
func (v *visitor) saveFiles() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		c := chromedp.FromContext(ctx)
		_, err := cdp.Call(ctx, c.Browser, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
			Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: c.BrowserContextID, DownloadPath: v.downloads})
		return err
	})
}

// saved waits until the browser has saved a file of this name, and returns its content.
func (v *visitor) saved(name string, size int) string {
	v.t.Helper()
	var content []byte
	v.eventually("the file "+name+" is saved", func() bool {
		content, _ = os.ReadFile(filepath.Join(v.downloads, name))
		return len(content) == size
	})
	return string(content)
}

// savedText returns the content of a file that the browser saves, as far as it has come.
func (v *visitor) savedText(name string) string {
	content, _ := os.ReadFile(filepath.Join(v.downloads, name))
	return string(content)
}

// savedNothing requires that no file, nor part of one, was saved.
func (v *visitor) savedNothing() {
	v.t.Helper()
	if files, err := os.ReadDir(v.downloads); len(files) > 0 || err != nil {
		v.t.Errorf("files were saved: %v, %v", files, err)
	}
}

func (v *visitor) eventually(what string, so func() bool) {
	v.t.Helper()
	for deadline := time.Now().Add(kit.Patience); !so(); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.t.Fatalf("not within %v: %s", kit.Patience, what)
		}
	}
}

// A tab is a page that a visitor has open.
type tab struct {
	*visitor
	ctx context.Context

	mu         sync.Mutex // guards the rest
	complaints []string   // of the browser about the page
}

// open opens a page in a new tab. At the test's end it must have worked without an error, without
// violating its policy, and without a request to any other server. Steps before happen in the tab before it has the page.
func (v *visitor) open(path string, before ...chromedp.Action[chromedp.Void]) *tab {
	v.t.Helper()
	tab := &tab{visitor: v}
	ctx, cancel := chromedp.NewContext(v.ctx, chromedp.WithListener(tab.notice))
	tab.ctx = ctx
	v.t.Cleanup(func() {
		cancel()
		tab.mu.Lock()
		defer tab.mu.Unlock()
		for _, complaint := range tab.complaints {
			v.t.Errorf("%s: %s", path, complaint)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // the tab lasts as long as this context
		v.t.Fatal(err)
	}
	tab.do(append(before, chromedp.Navigate(v.server+path))...)
	return tab
}

// hurried makes a page's clock run ten times as fast, for a test of what the page does only after some seconds.
var hurried = chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
	_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `{
		const [now, began] = [Date.now, Date.now()];
		Date.now = () => began + 10 * (now() - began);
	}`})
	return err
})

// notice hears what the browser says of the page.
func (tab *tab) notice(event any) {
	complaint := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		complaint = (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	case *runtime.EventConsoleAPICalled:
		complaint = "console: " + string(e.Type)
	case *log.EventEntryAdded:
		// That a request on a channel or a topic, or for the books, failed is what many tests are about.
		at, _ := strings.CutPrefix(e.Entry.URL, tab.server)
		if e.Entry.Source != log.EntrySourceNetwork || !strings.HasPrefix(at, "/channels/") && !strings.HasPrefix(at, "/audit/") && !strings.HasPrefix(at, "/topics/") {
			complaint = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		// A data: URL is the browser's own: the icon of a field for times. The page's policy forbids them.
		if url := e.Request.URL; !strings.HasPrefix(url, tab.server+"/") && !strings.HasPrefix(url, "blob:"+tab.server+"/") && !strings.HasPrefix(url, "data:") {
			complaint = "foreign request: " + url
		}
	}
	if complaint != "" {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		tab.complaints = append(tab.complaints, complaint)
	}
}

// do does something in the tab.
func (tab *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, kit.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tab.t.Fatal(err)
	}
}

// click clicks on an element as soon as that is possible. It happens all at once, in the page: between a look for
// the place and a mouse's click there the page may move.
func (tab *tab) click(selector string) {
	tab.t.Helper()
	tab.wait(fmt.Sprintf(`(element => {
		element.scrollIntoView({block: 'center'});
		const {left, top, width, height} = element.getBoundingClientRect();
		if (!element.contains(document.elementFromPoint(left + width / 2, top + height / 2))) {
			return false;
		}
		element.click();
		return true;
	})(document.querySelector(%q))`, selector))
}

// fill puts a text into a field at once.
func (tab *tab) fill(selector, text string) {
	tab.t.Helper()
	value[bool](tab, fmt.Sprintf(`(field => {
		field.value = %s;
		return ['input', 'change'].every(type => field.dispatchEvent(new Event(type, {bubbles: true})));
	})(document.querySelector(%q))`, quoted(text), selector))
}

// quoted returns a text as JavaScript writes it.
func quoted(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // it is a string
	}
	return string(quoted)
}

// value evaluates a JavaScript expression in the tab. It waits for a promise and returns its result.
func value[T any](tab *tab, expression string) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, kit.Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise, asUser))
	if err != nil {
		tab.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// asUser lets a script do what browsers allow only right after a user's action.
func asUser(p *runtime.EvaluateParams) { p.UserGesture = new(true) }

// text returns what an element shows, nothing if it is hidden. A blank is a blank, may a line break there or not.
func (tab *tab) text(selector string) string {
	tab.t.Helper()
	return value[string](tab, fmt.Sprintf(`(e => e && e.checkVisibility() ? e.textContent.replaceAll('\u00a0', ' ') : '')(document.querySelector(%q))`, selector))
}

// shows waits until an element shows a text.
func (tab *tab) shows(selector, want string) {
	tab.t.Helper()
	got := ""
	defer func() {
		if got != want {
			tab.t.Logf("%s shows %q; %s", selector, got, tab.text("#send .report")+" | "+tab.text("#receive .report"))
		}
	}()
	tab.eventually(fmt.Sprintf("%s shows %q", selector, want), func() bool {
		got = tab.text(selector)
		return got == want
	})
}

// wait waits until a JavaScript expression is true.
func (tab *tab) wait(expression string) {
	tab.t.Helper()
	tab.eventually(expression, func() bool { return value[bool](tab, expression) })
}
