package browser

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"httpipe/test/kit"
)

// How two devices meet by the page: it shows a code, opens the share sheet, and counts the clients at the other end.

// read returns what a QR code on the page says, as a reader sees it that has nothing to do with what drew it.
const read = `((image) => {
	const canvas = document.createElement('canvas');
	canvas.width = canvas.height = 400;
	const context = canvas.getContext('2d');
	context.drawImage(image, 0, 0, 400, 400);
	return jsQR(context.getImageData(0, 0, 400, 400).data, 400, 400)?.data ?? '';
})`

// TestPageCode: the code is that of the link, also after a new name. On a phone it is behind a button.
func TestPageCode(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join(browserPackages(t), "node_modules/jsqr/dist/jsQR.js"))
	if err != nil {
		t.Fatal(err)
	}
	v, _ := visit(t)
	tab := v.open("/#v1/a!$&'()*+,;=:@~-._")
	tab.do(chromedp.Evaluate[chromedp.Void](string(source) + "; 0"))
	says := func(id string) {
		t.Helper()
		tab.wait(read + "(document.querySelector('" + id + "')) === location.href")
	}
	says("#code")
	tab.click("#new-name")
	says("#code")
	tab.fill("#name", "not possible")
	tab.do(chromedp.KeyEvent(kb.Tab))
	tab.wait("document.querySelector('#enlarge').hidden")
	tab.fill("#name", strings.Repeat("x", 255))
	tab.do(chromedp.KeyEvent(kb.Tab))
	says("#code")

	tab.do(phone)
	tab.wait("!document.querySelector('#enlarge').checkVisibility()")
	tab.do(chromedp.Focus(chromedp.CSS("#show-code")))
	tab.do(chromedp.KeyEvent(kb.Enter))
	tab.wait("document.querySelector('#code-sheet').open")
	says("#large-code")
	if got := tab.text("#code-link"); !strings.HasSuffix(got, "/#v1/"+strings.Repeat("x", 255)) {
		t.Errorf("below the code is %q", got)
	}
	tab.fits("the code")
	tab.do(chromedp.KeyEvent(kb.Escape))
	tab.wait("document.activeElement === document.querySelector('#show-code')")
}

// TestPageShares: where the browser has a share sheet, the page gives it the link.
func TestPageShares(t *testing.T) {
	t.Parallel()
	v, _ := visit(t)
	tab := v.open(pageAt)
	if value[bool](tab, "document.querySelector('#share').checkVisibility() !== ('share' in navigator)") {
		t.Error("the button is there without a share sheet, or the other way round")
	}
	tab.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: "navigator.share = async what => { window.shared = what; throw new DOMException('closed', 'AbortError'); }"})
		return err
	}))
	tab.do(chromedp.Reload())
	tab.click("#share")
	tab.wait("window.shared?.url === location.href")
}

// TestPagePresence: before a user chooses, the page shows how many clients wait at the other end.
func TestPagePresence(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	producer := kit.Patient("-d", "hello", p.URL+pageChannel)
	listener := kit.Curl("-N", "-H", "Accept: text/event-stream", p.URL+"/topics/v1/c")
	tab.shows("#receive .there", "1 sender is waiting")
	tab.shows("#topic .there", "1 listens")
	tab.click("#receive .go")
	tab.shows("#message", "hello")
	if got := <-producer; got != "" {
		t.Errorf("the producer got %q", got)
	}
	tab.shows("#receive .there", "")

	one, other := kit.Patient(p.URL+pageChannel), kit.Patient(p.URL+pageChannel)
	tab.shows("#send .there", "2 receivers are waiting")
	tab.sendText("you")
	tab.shows("#send .headline", "Delivered")
	tab.shows("#send .there", "1 receiver is waiting")
	tab.sendText("two")
	for _, got := range []string{<-one, <-other} {
		if got != "you" && got != "two" {
			t.Errorf("a consumer got %q", got)
		}
	}

	tab.listens()
	tab.shows("#topic .there", "1 other listens")
	if got := <-kit.Curl("-X", "DELETE", p.URL+"/topics/v1/c"); got != "" {
		t.Errorf("DELETE: %s", got)
	}
	<-listener
	tab.shows("#topic .there", "")

	// The page does not count its own requests.
	tab.sendText("last")
	p.WaitFor(t, "v1/c", "1", "0")
	tab.shows("#send .headline", "Waiting for the other side")
	tab.shows("#receive .there", "")
	visitAt(t, p.URL).open(pageAt).shows("#receive .there", "1 sender is waiting")
	if got := <-kit.Patient(p.URL + pageChannel); got != "last" {
		t.Errorf("the consumer got %q", got)
	}
}

// TestPagePresenceIsNotTold: a server that does not tell is not asked again and again.
func TestPagePresenceIsNotTold(t *testing.T) {
	t.Parallel()
	v, p := visit(t, "--auth-secret", kit.Secret, "--anonymous", "consume:*/*")
	tab := v.open(pageAt)
	consumer := kit.Patient(p.URL + pageChannel + "?wait=20s")
	tab.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('#access').open = true"))
	if got := tab.text("#send .there"); got != "" {
		t.Errorf("the page says %q", got)
	}
	tab.fill("#token", kit.Secret)
	tab.do(chromedp.KeyEvent(kb.Tab))
	tab.shows("#send .there", "1 receiver is waiting")
	tab.sendText("hello")
	if got := <-consumer; got != "hello" {
		t.Errorf("the consumer got %q", got)
	}
}

// TestPageKeepsReceiving: messages come one after the other until the user stops it, and none is lost from sight. What broke
// off ends it.
func TestPageKeepsReceiving(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	tab.click("#keep")
	tab.click("#receive .go")
	for _, text := range []string{"one", "two <b>", "three"} {
		if got := <-kit.Patient("--data-binary", text, p.URL+pageChannel); got != "" {
			t.Fatalf("the producer got %q", got)
		}
		tab.shows("#message", text)
	}
	list := func(want string) {
		t.Helper()
		tab.wait("[...document.querySelectorAll('#received li span')].map(e => e.textContent.replaceAll('\\u00a0', ' ')).join('|') === " + quoted(want))
	}
	list("one|two <b>")
	tab.shows("#receive .headline", "Waiting for a sender")
	if got := <-kit.Patient("-F", "file=@-;filename=x.bin", p.URL+pageChannel); got != "" {
		t.Fatalf("the producer got %q", got)
	}
	v.saved("x.bin", 0)
	list("one|two <b>|three")
	p.WaitFor(t, "v1/c", "0", "1")
	tab.click("#receive .cancel")
	tab.told("#receive", "Cancelled", "Nothing had arrived.")
	list("one|two <b>|three|x.bin, 0 bytes")
	if value[bool](tab, "document.querySelector('.message').checkVisibility()") {
		t.Error("what was cancelled shows a message")
	}
}
