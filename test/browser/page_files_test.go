package browser

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"httpipe/test/kit"
)

// TestPageSeveralFiles: files that are chosen together are sent one after the other; the first that is not delivered is the
// last.
func TestPageSeveralFiles(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	dir := t.TempDir()
	var paths []string
	for _, name := range []string{"one", "two", "three"} {
		paths = append(paths, kit.WriteFile(t, filepath.Join(dir, name+".txt"), name))
	}
	tab.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), paths))
	tab.shows("#file-hint", "3 files, 11 bytes: one.txt, two.txt, three.txt")
	tab.click("#send .go")
	tab.shows("#send .headline", "Waiting for the other side: file 1 of 3")
	for _, want := range []string{"one", "two", "three"} {
		if got := <-kit.Patient("-i", p.URL+pageChannel); !strings.HasSuffix(got, "\r\n\r\n"+want) || !strings.Contains(got, `filename="`+want+`.txt"`) {
			t.Errorf("instead of %s came %q", want, got)
		}
	}
	tab.told("#send", "Delivered", "The receiver's connection took all of it: 5 bytes. All 3 files were delivered.")

	tab.click("#send .go")
	if got := <-kit.Patient(p.URL + pageChannel); got != "one" {
		t.Errorf("the consumer got %q", got)
	}
	tab.shows("#send .headline", "Waiting for the other side: file 2 of 3")
	p.WaitFor(t, "v1/c", "1", "0")
	if got := <-kit.Patient("-X", "DELETE", p.URL+pageChannel); got != "" {
		t.Errorf("DELETE: %s", got)
	}
	tab.told("#send", "Not delivered", "The channel was deleted. This is file 2 of 3; the one before it was delivered.")
}

// TestPageShortcuts: Ctrl+Enter sends the text, and files can be pasted.
func TestPageShortcuts(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	tab.do(chromedp.Focus(chromedp.CSS("#text")))
	tab.do(chromedp.KeyEvent("hello"))
	tab.do(chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	if got := <-kit.Patient(p.URL + pageChannel); got != "hello" {
		t.Errorf("the consumer got %q", got)
	}
	tab.shows("#send .headline", "Delivered")
	tab.do(chromedp.Evaluate[chromedp.Void](`{
		const clipboardData = new DataTransfer();
		for (const name of ['a.png', 'b.png']) {
			clipboardData.items.add(new File(['hello'], name, {type: 'image/png'}));
		}
		document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true}));
	}`))
	tab.shows("#file-hint", "2 files, 10 bytes: a.png, b.png")
}
