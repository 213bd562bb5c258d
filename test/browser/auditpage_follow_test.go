package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"httpipe/test/kit"
)

// TestAuditPageFollows: the newest page of the history moves on by itself, keeps the rows that it has, and loses neither what is
// selected nor the focus. Its channels lead to their filter, and it can be saved.
func TestAuditPageFollows(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	exchange(t, p, "v1/one", "hello")
	tab := v.open("/audit#token="+p.AuditKey(t), hurried)
	tab.has("#rows tbody tr", 1)
	tab.shows("#totals strong", "1")
	tab.do(chromedp.Evaluate[chromedp.Void]("window.first = document.querySelector('#rows tbody tr')"))
	exchange(t, p, "v1/two", "hello")
	tab.has("#rows tbody tr", 2)
	if !value[bool](tab, "first.isConnected && first === document.querySelector('#rows tbody').lastElementChild") {
		t.Error("the row that was there has moved, or was made anew")
	}

	tab.do(chromedp.Focus(chromedp.CSS("#rows tbody tr a")))
	tab.do(chromedp.KeyEvent(kb.Enter))
	tab.wait("document.querySelector('#details').open && document.querySelector('#details dd') !== null")
	tab.do(chromedp.KeyEvent(kb.Escape))
	tab.wait("!document.querySelector('#details').open && !location.hash.includes('id=')")
	tab.wait("document.activeElement === document.querySelector('#rows tbody tr a')")
	tab.shows("#totals strong", "2") // some seconds later

	tab.click("#csv")
	var saved string
	v.eventually("the list is saved", func() bool {
		saved = v.savedText("exchanges.csv")
		return strings.Count(saved, "\n") == 3
	})
	if !strings.HasPrefix(saved, "id,") || !strings.Contains(saved, ",two,") {
		t.Errorf("saved was %s", saved)
	}

	consumer := kit.Curl(p.URL + "/channels/v2/three?wait=5s")
	p.WaitFor(t, "v2/three", "0", "1")
	const offered = "[...document.querySelectorAll('#%s option')].map(option => option.value).join()"
	tab.do(chromedp.Focus(chromedp.CSS("[name=channel]")))
	tab.wait(fmt.Sprintf(offered+" === 'one,three,two'", "channels"))
	tab.wait(fmt.Sprintf(offered+" === 'v1,v2'", "namespaces"))
	if got := <-consumer; got != "" {
		t.Errorf("the consumer got %q", got)
	}

	tab.click("#rows tbody tr:last-child .name")
	tab.has("#rows tbody tr", 1)
	if got := value[string](tab, "[...document.querySelectorAll('#filter input')].slice(0, 2).map(field => field.value).join('/')"); got != "v1/one" {
		t.Errorf("the filter is %s", got)
	}
	if got := <-kit.Curl(p.URL + "/channels/v1/one?wait=0"); got != "" {
		t.Error(got)
	}
	tab.shows("#unmatched", "1 unmatched request: timed_out 1")
	tab.click("#unmatched a")
	tab.wait("location.hash.includes('show=requests') && location.hash.includes('outcome=timed_out')")
	tab.has("#rows tbody tr", 1)
	for n := range 2 { // rows that are alike but for their time
		<-kit.Curl(p.URL + "/channels/v1/one?wait=0")
		tab.has("#rows tbody tr", n+2)
	}
}
