package browser

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"httpipe/test/kit"
)

// call lets a caller of a service get the answer of a worker.
func call(t *testing.T, p *kit.Server, service, answer string) {
	t.Helper()
	caller := kit.Curl("-A", "caller/1", "-d", "please", p.URL+"/services/"+service+"/path")
	request, err := http.NewRequest("GET", p.URL+"/work/"+service, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("User-Agent", "worker/1")
	work, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer work.Body.Close()
	if got, err := io.ReadAll(work.Body); string(got) != "please" || err != nil {
		t.Fatalf("the worker got %q, %v", got, err)
	}
	if got := <-kit.Curl("-d", answer, "-H", "Httpipe-Status: 201", p.URL+work.Header.Get("Httpipe-Reply")); got != "" {
		t.Errorf("the worker was told %q", got)
	}
	if got := <-caller; got != answer {
		t.Errorf("the caller got %q", got)
	}
}

// TestAuditPageTopics: topics are shown where they belong: now, in the counts, in lists, and who got what in the details.
func TestAuditPageTopics(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open("/audit#token=" + p.AuditKey(t))
	topic := p.URL + "/topics/v1/news"
	listener := kit.Curl("-N", "-A", "listener/1", "-H", "Accept: text/event-stream", topic)
	tab.shows("#topics .name", "v1/news")
	tab.shows("#topics .roles", "1 subscriber")
	one := kit.Curl("-A", "one/1", topic)
	tab.shows("#topics .roles", "2 subscribers")
	for _, text := range []string{"first", "second"} {
		if got := <-kit.Curl("-A", "publisher/1", "-d", text, topic); got != "" {
			t.Errorf("the publisher was told %q", got)
		}
	}
	if got := <-one; got != "first" {
		t.Errorf("the subscriber got %q", got)
	}
	open := visitAt(t, p.URL).open("/audit#show=publications&token=" + p.AuditKey(t))
	open.has("#rows tbody tr", 2)
	open.click("#rows tbody tr td a")
	open.shows("#details .related", "1 whose subscription has not ended")
	<-kit.Curl("-X", "DELETE", topic)
	<-listener
	p.WaitForRow(t, "SELECT count(*) = 2 FROM subscriptions WHERE outcome <> 'open'")
	tab.has("#topics:not([hidden])", 0)

	tab.click("[data-show=publications]")
	tab.has("#rows tbody tr", 2)
	tab.shows("#named", "Topic")
	tab.shows("#rows tbody td:nth-child(3)", "published")
	tab.shows("#rows tbody td:nth-child(5)", "1 of 1")
	tab.shows("#rows tbody tr:last-child td:nth-child(5)", "2 of 2")
	tab.click("#refresh")
	tab.wait("document.querySelector('#published').textContent.replaceAll('\\u00a0', ' ') === '2 publicationsdelivered 3 times'")

	tab.has("#list[aria-busy=false]", 1)

	// The record of the first publication lists its subscribers.
	tab.click("#rows tbody tr:last-child td a")
	tab.shows("#details-title", "Publication")
	tab.has("#details .related li", 2)
	if got := tab.text("#details .related"); !strings.Contains(got, "one/1") || !strings.Contains(got, "listener/1") {
		t.Errorf("delivered to %q", got)
	}
	tab.wait("(link => link && (link.click(), true))([...document.querySelectorAll('#details .related li')].find(li => li.textContent.includes('listener'))?.querySelector('a'))")
	tab.shows("#details-title", "Subscription")
	tab.has("#details .related li", 2)
	tab.wait("new URLSearchParams(location.hash.slice(1)).get('show') === 'subscriptions'")
	tab.do(chromedp.KeyEvent(kb.Escape))
	tab.wait("location.hash === '#show=subscriptions'")
	tab.has("#rows tbody tr", 2)
	filterSubscriptions(v, tab)
}

// filterSubscriptions filters the two subscriptions that the page lists, by outcome and by name, and saves the list.
func filterSubscriptions(v *visitor, tab *tab) {
	tab.fill("#filter [name=outcome]", "delivered")
	tab.click("#filter .main")
	tab.has("#rows tbody tr", 1)
	tab.shows("#rows tbody .who", "one/1")

	tab.click("#everything")
	tab.fill("#filter [name=channel]", "other")
	tab.click("#filter .main")
	tab.shows("#rows-note", "No records match.")
	tab.fill("#filter [name=channel]", "news")
	tab.click("#filter .main")
	tab.has("#rows tbody tr", 2)
	tab.click("#csv")
	v.eventually("the list is saved", func() bool { return strings.Count(v.savedText("subscriptions.csv"), "\n") == 3 })
}

// TestAuditPageServices: services have a mark, and a call says who called, who worked, and how it ended.
func TestAuditPageServices(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	call(t, p, "v1/thumbs", "done")
	exchange(t, p, "v1/thumbs", "hello") // the channel of this name is another thing
	p.WaitForRow(t, "SELECT count(*) = 1 FROM calls WHERE outcome = 'answered'")
	waiting := kit.Curl("-m", "20", p.URL+"/services/v1/waits")
	tab := v.open("/audit#token=" + p.AuditKey(t))
	tab.shows("#waiting .mark", "service")
	tab.shows("#waiting .roles", "1 caller")
	tab.has("#rows tbody tr", 3)
	tab.wait("[...document.querySelectorAll('#rows .mark')].map(e => e.textContent).sort().join() === 'answer,call'")
	tab.click("[data-show=calls]")
	tab.has("#rows tbody tr", 1)
	for n, want := range map[int]string{2: "v1/thumbs", 3: "answered", 4: "POST", 5: "201", 7: "127.0.0.1 ", 8: "127.0.0.1 "} {
		tab.shows(fmt.Sprintf("#rows tbody td:nth-child(%d)", n), want)
	}
	tab.click("#rows tbody td a")
	tab.shows("#details-title", "Call")
	tab.shows("#details-note", "The caller got the whole answer of a worker.")
	tab.click("#details dd a") // its request
	tab.shows("#details-title", "Exchange")
	tab.has("#details dl", 1)
	tab.wait("document.querySelector('#details dl').textContent.includes('worker/1')")
	tab.shows("#details dt", "Service")
	if got := tab.text("#details dl"); strings.Contains(got, "Life") {
		t.Errorf("a service has no row in the view channels, but the details say %s", got)
	}
	if got := <-kit.Curl("-X", "DELETE", p.URL+"/work/v1/waits"); got != "" {
		t.Error(got)
	}
	<-waiting
	tab.do(chromedp.KeyEvent(kb.Escape))
	tab.click("[data-show=requests]")
	tab.shows("#rows .mark", "service")
	tab.click("#rows tbody td a")
	tab.shows("#details-title", "Unmatched request")
	tab.shows("#details-note", "The channel was deleted.")
}

// TestAuditPageRange: the time that is shown fits the log's age, and an old log that has been idle still shows something.
func TestAuditPageRange(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open("/audit#token=" + p.AuditKey(t))
	shown := func(want string) {
		t.Helper()
		tab.wait("document.querySelector('[name=last]').value === " + quoted(want))
		tab.has("#list[aria-busy=false]", 1)
	}
	shown("15m")
	exchange(t, p, "v1/c", "hello")
	tab.has("#rows tbody tr", 1)
	shown("15m")
	tab.fill("#filter [name=last]", "7d")
	tab.click("#filter .main")
	tab.wait("location.hash === '#last=7d'")
	shown("7d")

	s := stub(t)
	for _, test := range []struct {
		oldest, newest time.Duration
		want           string
	}{{40 * time.Minute, time.Minute, "1h"}, {5 * time.Hour, time.Minute, "6h"}, {400 * time.Hour, time.Minute, "24h"}, {400 * time.Hour, 100 * time.Hour, "7d"}} {
		sums := summary(time.Now().Add(-24*time.Hour), 3)
		sums["oldest"] = stamp(time.Now().Add(-test.oldest))
		idle := summary(time.Now().Add(-24*time.Hour), 0)
		idle["oldest"] = sums["oldest"]
		s.answerWith(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/audit/summary" {
				return false
			}
			if test.newest > 24*time.Hour && r.FormValue("from") == "24h" {
				s.json(w, idle)
			} else {
				s.json(w, sums)
			}
			return true
		})
		tab = visitAt(t, s.url).open("/audit")
		shown(test.want)
		s.asks(t, test.want)
	}
}

// TestAuditPageForm: the length of a form bounds that of the file in it.
func TestAuditPageForm(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open("/audit#token=" + p.AuditKey(t))
	const head, end = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n", "\r\n--x--\r\n"
	body, feed := io.Pipe()
	producer := kit.Post(t, p.URL+"/channels/v1/c", body, int64(len(head)+4_000_000+len(end)), "Content-Type", "multipart/form-data; boundary=x")
	consumer := kit.Curl("-o", "/dev/null", p.URL+"/channels/v1/c")
	feed.Write(append([]byte(head), bytes.Repeat([]byte("x"), 3_000_000)...))
	tab.shows("#running td:nth-child(2)", "3.0 MB of at most 4.0 MB")
	tab.wait("Math.abs(document.querySelector('#running progress').position - 0.75) < 0.01")
	feed.Write(append(bytes.Repeat([]byte("x"), 1_000_000), end...))
	feed.Close()
	if got := <-producer; got != "200" {
		t.Errorf("the producer was told %s", got)
	}
	<-consumer
}
