package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// What the page at /audit shows, of books that are made up. With real ones it is in auditpage_use_test.go.

// count is how many elements of the page match.
func (tab *tab) count(selector string) int {
	tab.t.Helper()
	return value[int](tab, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// has waits until so many elements match.
func (tab *tab) has(selector string, n int) {
	tab.t.Helper()
	tab.wait(fmt.Sprintf("document.querySelectorAll(%q).length === %d", selector, n))
}

// Of thousands of waiting requests the page counts all, and lists as many as a user can look through.
func TestAuditPageCrowd(t *testing.T) {
	t.Parallel()
	s := stub(t)
	var waiting []row
	for i := range 2000 {
		role := "producer"
		if i%4 > 0 {
			role = "consumer"
		}
		channel := fmt.Sprintf("job-%d", i)
		if i%2 == 0 {
			channel = "busy"
		}
		waiting = append(waiting, waiter(channel, role, time.Hour-time.Duration(i)*time.Second, "curl/8.14.1"))
	}
	var run []row
	for i := range 300 {
		run = append(run, runner(fmt.Sprint("x", i), fmt.Sprint("r", i), time.Minute, 1000, 0, 10))
	}
	s.show(view(waiting, run))
	tab := visitAt(t, s.url).open("/audit")
	tab.shows("#producers", "500")
	tab.shows("#consumers", "1,500")
	tab.shows("#exchanges", "300")
	tab.has("#waiting details", 200)
	tab.has("#running tr", 100)
	tab.shows("#waiting-note", "These have waited longest; 1,301 more wait.") // busy and 199 others, of the 1,000 that are sent
	tab.shows("#running-note", "These are the oldest; 200 more run.")
	tab.click("#waiting summary")
	tab.has("#waiting li", 51)
	tab.shows("#waiting li:last-child", "and 450 more")

	// What stays is neither made anew nor moved.
	value[bool](tab, `(() => { window.changes = []; window.first = document.querySelector('#waiting details:nth-child(3)');
		new MutationObserver(seen => changes.push(...seen.flatMap(c => [...c.addedNodes, ...c.removedNodes]).filter(n => n.nodeName !== '#text'))).observe(
			document.querySelector('#waiting'), {childList: true, subtree: true}); return true })()`)
	s.show(view(append(waiting[2:], waiter("late", "consumer", 0, "")), run[1:]))
	tab.shows("#exchanges", "299")
	if n := value[int](tab, "changes.filter(n => n.nodeName === 'DETAILS').length"); n > 4 {
		t.Errorf("%d channels were added and removed where one went and one came", n)
	}
}

// A connection that is cut is told of, and made again.
func TestAuditPageCut(t *testing.T) {
	t.Parallel()
	s := stub(t)
	s.show(view([]row{waiter("a", "consumer", time.Minute, "curl")}, nil))
	tab := visitAt(t, s.url).open("/audit")
	tab.shows("#link", "Live")
	s.answerWith(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/live") {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	s.mu.Lock()
	close(s.cut)
	s.cut = make(chan struct{})
	s.mu.Unlock()
	tab.wait("document.querySelector('#link').textContent.startsWith('Cut off')")
	tab.wait("document.querySelector('#now').classList.contains('stale')")
	if got := tab.text("#consumers"); got != "1" {
		t.Errorf("while it is cut, shown is %q", got)
	}
	s.show(view(nil, nil))
	s.answerWith(nil)
	tab.shows("#link", "Live")
	tab.shows("#consumers", "0")
	tab.shows("#waiting-note", "No client waits.")
}

// The page shows values of the log as text, even if they look like HTML.
func TestAuditPageHostileTexts(t *testing.T) {
	t.Parallel()
	const evil = `<script>document.title='evil'</script><img src=x onerror="document.title='evil'">`
	const channel = "a!$&'()*+,;=:@<b>"
	s := stub(t)
	rows := exchanged(1)
	for _, column := range []string{"producer_agent", "content_type", "producer_subject", "producer_request_id", "consumer_agent"} {
		rows[0][column] = evil
	}
	rows[0]["channel"] = channel
	rows[0]["</dl>"+evil] = evil // a column that the page does not know
	s.rows["exchanges"] = rows
	s.rows["requests"] = []row{{"namespace": "v1", "channel": channel, "role": evil, "outcome": evil, "arrived_at": stamp(time.Now()), "ended_at": stamp(time.Now()),
		"wait_ms": 7, "addr": evil, "agent": evil, "subject": "", "reason": evil, "request_id": evil, "count": 12, "id": 1}}
	run := runner("x", channel, time.Minute, 10, 20, 1)
	run["producer_agent"], run["consumer_addr"] = evil, evil
	s.show(view([]row{waiter(channel, "consumer", 0, evil)}, []row{run}))
	tab := visitAt(t, s.url).open("/audit")
	tab.shows("#waiting .name", "v1/"+channel)
	tab.click("#waiting summary")
	tab.shows("#waiting li .who", evil)
	tab.shows("#running td:nth-child(6) .who", evil)
	tab.shows("#rows tbody td:nth-child(2)", "v1/"+channel)
	tab.shows("#rows tbody td:nth-child(7) .who", evil)
	tab.click("#rows tbody a")
	tab.wait("document.querySelector('#details').open")
	tab.has("#details dd", 18)
	if n := strings.Count(value[string](tab, "document.querySelector('#details').textContent"), evil); n != 7 {
		t.Errorf("the details show the text %d times", n)
	}
	tab.click("#close")
	tab.click("[data-show=requests]")
	tab.shows("#rows tbody td:nth-child(7)", evil)
	tab.shows("#rows tbody td:nth-child(3)", evil+" × 12")
	for _, tag := range []string{"main script", "main img", "main b"} {
		if tab.count(tag) > 0 {
			t.Errorf("there is a %s", tag)
		}
	}
	if title := value[string](tab, "document.title"); title != "Audit – httpipe" {
		t.Errorf("the title is %q", title)
	}
}

// TestAuditPagePages goes through a list, and through pages that are empty because the server looked in vain for a while.
func TestAuditPagePages(t *testing.T) {
	t.Parallel()
	s := stub(t)
	s.rows["exchanges"] = exchanged(250)
	s.gap = 3
	tab := visitAt(t, s.url).open("/audit")
	first := func() string {
		return value[string](tab, "document.querySelector('#rows tbody time').title")
	}
	shown := func(from, n int) {
		t.Helper()
		tab.has("#rows tbody tr", n)
		tab.wait("document.querySelector('#list').ariaBusy === 'false'")
		if got, want := first(), s.rows["exchanges"][from]["matched_at"]; got != want {
			t.Errorf("the first exchange is of %s, want %s", got, want)
		}
	}
	disabled := func(newer, older bool) {
		t.Helper()
		tab.wait(fmt.Sprintf("document.querySelector('#newer').disabled === %t && document.querySelector('#older').disabled === %t", newer, older))
	}
	shown(0, 100)
	disabled(true, false)
	tab.click("#older")
	tab.wait("location.hash === '#cursor=100'")
	shown(100, 100)
	disabled(false, false)
	tab.click("#older")
	shown(200, 50)
	disabled(false, true)
	tab.click("#newer")
	shown(100, 100)
	tab.do(chromedp.Evaluate[chromedp.Void]("history.back()"))
	shown(200, 50)

	// The link leads another visitor to the same page, with a way to the newest.
	other := visitAt(t, s.url).open("/audit" + value[string](tab, "location.hash"))
	other.has("#rows tbody tr", 50)
	other.click("#newer")
	other.has("#rows tbody tr", 100)
}

// An exchange has an address of its own, and everything can be done by keyboard.
func TestAuditPageDetails(t *testing.T) {
	t.Parallel()
	s := stub(t)
	s.rows["exchanges"] = exchanged(3)
	tab := visitAt(t, s.url).open("/audit")
	tab.has("#rows tbody tr", 3)
	tab.has("#list[aria-busy=false]", 1)
	tab.do(chromedp.Evaluate[chromedp.Void]("window.first = document.querySelector('#rows tbody tr')"))
	tab.do(chromedp.Focus(chromedp.CSS("#rows tbody tr:nth-child(2) a")))
	tab.do(chromedp.KeyEvent(kb.Enter))
	id := s.rows["exchanges"][1]["id"].(string)
	tab.wait("location.hash === '#id=" + id + "'")
	tab.shows("#details dd:nth-of-type(2)", id)
	tab.do(chromedp.KeyEvent(kb.Escape))
	tab.wait("!document.querySelector('#details').open && location.hash === ''")
	tab.has("#rows tbody tr", 3)
	tab.do(chromedp.Evaluate[chromedp.Void]("history.back()"))
	tab.wait("document.querySelector('#details').open")
	if !value[bool](tab, "first.isConnected") {
		t.Error("for the details of one exchange the list was made anew")
	}
	other := visitAt(t, s.url).open("/audit#id=" + id)
	other.shows("#details dd:nth-of-type(2)", id)
	other.click("#close")
	other.wait("!document.querySelector('#details').open && location.hash === ''")

	// Closing it does not undo the navigation that follows at once.
	other.has("#rows tbody tr", 3)
	other.has("#list[aria-busy=false]", 1)
	other.click("#rows tbody tr:nth-child(2) a")
	other.wait("document.querySelector('#details').open")
	other.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('#close').click(); document.querySelector('[data-show=requests]').click()"))
	other.has("[data-show=requests][aria-current=page]", 1)
	other.wait("location.hash === '#show=requests'")
	other.click("[data-show=exchanges]")
	other.has("#rows tbody tr", 3)

	lateDetails(t, s, other)
}

// lateDetails checks that what is late does not come into the details of another exchange.
func lateDetails(t *testing.T, s *stubbed, other *tab) {
	t.Helper()
	id := s.rows["exchanges"][1]["id"].(string)
	waited, gone := make(chan struct{}), make(chan struct{})
	s.answerWith(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, id) {
			return false
		}
		close(waited)
		<-r.Context().Done()
		close(gone)
		return true
	})
	other.click("#rows tbody tr:nth-child(2) a")
	reached := func(what string, done chan struct{}) {
		t.Helper()
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Fatal("not so: ", what)
		}
	}
	reached("it is asked for", waited)
	other.do(chromedp.KeyEvent(kb.Escape))
	reached("the page no longer waits for it", gone)
	other.click("#rows tbody tr:nth-child(1) a")
	other.shows("#details dd:nth-of-type(2)", s.rows["exchanges"][0]["id"].(string))
}

// TestAuditPagePlots: what the plots show is in them as text, and as a table.
func TestAuditPagePlots(t *testing.T) {
	t.Parallel()
	s := stub(t)
	s.sums = summary(time.Now().Add(-24*time.Hour), 96)
	tab := visitAt(t, s.url).open("/audit")
	tab.has("#plots svg", 4)
	buckets := s.sums["buckets"].([]row)
	tab.has("[data-plot=exchanges] a", len(buckets))
	tab.has("#figures tbody tr", len(buckets))
	outcomes := buckets[0]["outcomes"].(row)
	if got := value[string](tab, "document.querySelector('[data-plot=exchanges] title').textContent"); !strings.Contains(got, fmt.Sprintf("%d delivered", outcomes["delivered"])) {
		t.Errorf("the first bar says %q, want %v", got, outcomes)
	}
	if got := tab.text("#outcomes"); !strings.Contains(got, "deleted 288") {
		t.Errorf("the totals say %q", got)
	}
	if broken := value[int](tab, "[...document.querySelectorAll('svg *')].filter(e => /NaN|undefined|Infinity|-/.test(['x', 'y', 'width', 'height', 'd'].map(name => e.getAttribute(name)))).length"); broken > 0 {
		t.Errorf("%d elements are nowhere", broken)
	}
	if !value[bool](tab, "import('/assets/audit-plots.js').then(({linear}) => [0, 1, 2, 3, 5, 7, 30].every(most => linear(most, 100).ticks.every(Number.isInteger)))") {
		t.Error("a plot of counts has a mark at a fraction")
	}
	wide := value[float64](tab, "document.querySelector('svg').getBoundingClientRect().width")
	tab.do(phone)
	tab.wait(fmt.Sprintf("document.querySelector('svg').getBoundingClientRect().width < %v", min(wide, 330)))

	tab.click("#outcomes a:nth-child(2)")
	tab.wait("location.hash === '#outcome=consumer_left' && document.querySelector('[name=outcome]').value === 'consumer_left'")
	tab.has("#plots[aria-busy=false]", 1) // or the bars still lead to all outcomes
	value[bool](tab, "document.querySelector('[data-plot=bytes] a:nth-of-type(2)').dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))")
	tab.wait("new URLSearchParams(location.hash.slice(1)).get('last') === 'span'")
	tab.has("#list[aria-busy=false]", 1)
	queries := s.queries()
	if query := queries[len(queries)-1]; query.Get("from") != buckets[1]["from"] || query.Get("outcome") != "consumer_left" {
		t.Errorf("a bar leads to %v, want what is in %v", query, buckets[1]["from"])
	}
}

// TestAuditPageOnAPhone checks that the page never needs horizontal scrolling.
func TestAuditPageOnAPhone(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 255)
	s := stub(t)
	rows := exchanged(20)
	for _, r := range rows {
		r["namespace"], r["channel"], r["producer_agent"], r["content_type"] = long, long, strings.Repeat("Mozilla ", 30), long
	}
	s.rows["exchanges"] = rows
	s.sums = summary(time.Now().Add(-24*time.Hour), 96)
	s.show(view([]row{waiter(long, "consumer", 400*time.Hour, long), waiter("c", "producer", 0, "")}, []row{runner("x", long, 400*time.Hour, 1<<50, 1<<52, 1<<30)}))
	tab := visitAt(t, s.url).open("/audit")
	tab.do(phone)
	tab.has("#rows tbody tr", 20)
	tab.click("#waiting summary")
	tab.click("#figures summary")
	tab.fits("everything")
	tab.do(chromedp.Evaluate[chromedp.Void]("location.hash = '#last=span'"))
	tab.fits("a span of time")
	// The rows are being asked for anew, so whether there is one is found out in the same breath.
	tab.wait("(link => link !== null && (link.click(), true))(document.querySelector('#rows tbody a'))")
	tab.wait("document.querySelector('#details').open")
	tab.has("#details dd", 15)
	tab.fits("the details")
}

// fits requires that nothing is beside a phone's screen, but in what has its own bar to scroll.
func (tab *tab) fits(when string) {
	tab.t.Helper()
	if width := value[int](tab, "document.scrollingElement.scrollWidth"); width > 360 {
		tab.t.Errorf("%s: the page is %d pixels wide", when, width)
	}
	if outside := value[[]string](tab, `[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && !e.matches('.client *, #figures .scroll *, svg *') &&
		(e.getBoundingClientRect().right > 360 || e.getBoundingClientRect().left < 0)).map(e => e.outerHTML.slice(0, 99))`); len(outside) > 0 {
		tab.t.Errorf("%s: outside are %.1000q", when, outside)
	}
}

// TestAuditPageToken: a token is asked for, used for everything, and not in the address.
func TestAuditPageToken(t *testing.T) {
	t.Parallel()
	s := stub(t)
	s.rows["exchanges"] = exchanged(3)
	s.answerWith(deny)
	tab := visitAt(t, s.url).open("/audit#namespace=v1")
	tab.shows("#access-why", keyWanted)
	tab.wait("document.activeElement === document.querySelector('#token')")
	use := func(token string) {
		t.Helper()
		tab.fill("#token", token)
		tab.do(chromedp.KeyEvent(kb.Enter))
	}
	use("a blank")
	tab.shows("#access-why", "A token contains only ASCII characters, and no spaces.")
	use("wrong")
	tab.shows("#access-why", "This does not open the audit log. The server says: the token is not for audit on any channel.")
	use("right")
	tab.shows("#link", "Live")
	tab.has("#rows tbody tr", 3)
	if tab.text("#access") != "" {
		t.Error("a token is asked for where it is not needed")
	}
	tab.do(chromedp.Reload())
	tab.shows("#link", "Live")
	tab.has("#rows tbody tr", 3)
	for _, shown := range []string{"document.documentElement.outerHTML", "location.href", "document.cookie", "JSON.stringify(localStorage)"} {
		if strings.Contains(value[string](tab, shown), "right\"") {
			t.Errorf("the token is in %s", shown)
		}
	}
	visitAt(t, s.url).open("/audit").shows("#access-why", keyWanted)
}

// deny answers like a server that gets no token, or a wrong one.
func deny(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Authorization") == "Bearer right" {
		return false
	}
	status, code, why := http.StatusUnauthorized, "unauthorized", "audit on any channel needs a token; send one as Authorization: Bearer, or by curl -u :TOKEN"
	if r.Header.Get("Authorization") != "" {
		status, code, why = http.StatusForbidden, "forbidden", "the token is not for audit on any channel"
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Httpipe-Error", code)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"detail": %q}`, why)
	return true
}
