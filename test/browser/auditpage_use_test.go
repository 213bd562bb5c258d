package browser

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"httpipe/test/kit"
)

// The page at /audit of a real server, which real clients use.

// The page shows arrivals, running exchanges and their progress live.
func TestAuditPageLive(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open("/audit#token=" + p.AuditKey(t))
	tab.shows("#link", "Live")
	tab.shows("#waiting-note", "No client waits.")
	tab.shows("#running-note", "Nothing.")
	const channel = "a!$&'()*+,;=:@"
	consumer := kit.Curl("--globoff", "-A", "taker <b>1</b>", p.URL+"/channels/v1/"+channel)
	tab.shows("#consumers", "1")
	tab.shows("#consumers + span", "consumer waiting")
	tab.shows("#waiting .name", "v1/"+channel)
	tab.shows("#waiting .roles", "1 consumer")
	tab.wait("document.querySelector('#waiting .clock').textContent >= '0:02'") // it is no dead picture
	tab.click("#waiting summary")
	tab.shows("#waiting li .who", "taker <b>1</b>")

	body, feed := io.Pipe()
	producer := kit.Post(t, p.URL+"/channels/v1/"+channel, body, 4_000_000)
	send := func(n int) {
		t.Helper()
		if _, err := feed.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	send(1_000_000)
	tab.shows("#running .name", "v1/"+channel)
	tab.shows("#running td:nth-child(2)", "1.0 MB of 4.0 MB")
	tab.shows("#exchanges", "1")
	tab.has("#waiting details", 0)
	tab.do(chromedp.Evaluate[chromedp.Void]("window.first = document.querySelector('#running tr')"))
	send(2_000_000)
	tab.shows("#running td:nth-child(2)", "3.0 MB of 4.0 MB")
	tab.wait("document.querySelector('#running progress').position === 0.75")
	if !value[bool](tab, "first === document.querySelector('#running tr')") {
		t.Error("the row was made anew")
	}
	send(1_000_000)
	feed.Close()
	<-consumer
	<-producer
	tab.shows("#running-note", "Nothing.")
	tab.shows("#exchanges", "0")

	leaver := kit.Curl(p.URL + "/channels/v1/c?wait=4s")
	tab.shows("#waiting .name", "v1/c")
	<-leaver
	tab.shows("#waiting-note", "No client waits.")
	tab.has("#waiting details", 0)
}

// exchange lets a text go through a channel.
func exchange(t *testing.T, p *kit.Server, channel, text string) {
	t.Helper()
	done := kit.Post(t, p.URL+"/channels/"+channel, strings.NewReader(text), int64(len(text)))
	if got, err := io.ReadAll(kit.Get(t, p.URL+"/channels/"+channel).Body); string(got) != text || err != nil {
		t.Fatalf("the consumer got %q, %v", got, err)
	}
	if status := <-done; status != "200" {
		t.Fatal("the producer got ", status)
	}
}

// TestAuditPageHistory: what happened is found by all that one can ask for, counted, listed page by page, and told in full.
func TestAuditPageHistory(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	for i := range 130 {
		exchange(t, p, fmt.Sprint("v1/c", i%2), "hello")
	}
	exchange(t, p, "v2/a&b=c(d)", "hi")
	for range 2 {
		<-kit.Curl(p.URL + "/channels/v1/nobody?wait=1ms")
	}
	p.WaitForRow(t, "select count(*) = 2 from requests")
	tab := v.open("/audit#token=" + p.AuditKey(t))
	tab.has("#rows tbody tr", 100)
	tab.shows("#totals strong", "131")
	tab.shows("#outcomes", "delivered 131")
	tab.has("#plots svg", 4)
	tab.click("#older")
	tab.has("#rows tbody tr", 31)
	tab.wait("document.querySelector('#older').disabled")
	tab.click("#newer")
	tab.has("#rows tbody tr", 100)

	find := func(field, text, address string, rows int) {
		t.Helper()
		tab.fill("#filter [name="+field+"]", text)
		tab.click("#filter .main")
		tab.wait("location.hash === " + quoted(address))
		tab.has("#rows tbody tr", rows)
		tab.has("#list[aria-busy=false]", 1)
	}
	find("namespace", "v1", "#namespace=v1", 100)
	tab.shows("#totals strong", "130")
	find("channel", "c1", "#namespace=v1&channel=c1", 65)
	tab.shows("#totals strong", "65")
	find("outcome", "stalled", "#namespace=v1&channel=c1&outcome=stalled", 0)
	tab.shows("#rows-note", "No records match.")
	find("outcome", "", "#namespace=v1&channel=c1", 65)
	find("namespace", "v2", "#namespace=v2&channel=c1", 0)
	find("channel", "a&b=c(d)", "#namespace=v2&channel=a%26b%3Dc%28d%29", 1)
	find("last", "1h", "#namespace=v2&channel=a%26b%3Dc%28d%29&last=1h", 1)

	// The link alone leads to the same view.
	other := v.open("/audit" + value[string](tab, "location.hash") + "&token=" + p.AuditKey(t))
	other.shows("#rows .name", "v2/a&b=c(d)")
	other.click("#rows tbody a")
	id := p.SQLite(t, "select id from exchanges where namespace = 'v2'")
	other.shows("#details dd:nth-of-type(2)", id)
	other.shows("#details dd:nth-of-type(4)", "2")

	tab.click("#everything")
	tab.has("#rows tbody tr", 100)
	find("last", "span", "#last=span", 100)
	find("to", "2020-01-01T00:00:00", "#last=span&to=2020-01-01T00%3A00%3A00.000Z", 0)
	tab.click("#everything")
	tab.click("[data-show=requests]")
	tab.has("#rows tbody tr", 2)
	tab.shows("#rows tbody td:nth-child(3)", "timed_out")
	find("outcome", "left", "#show=requests&outcome=left", 0)
	find("namespace", "not possible", "#show=requests&namespace=not+possible&outcome=left", 0)
}

// With access on, the page shows nothing to those whose token has not the permission.
func TestAuditPageAccess(t *testing.T) {
	t.Parallel()
	v, p := visit(t, "--auth-secret", kit.Secret, "--anonymous", "produce:*/*", "--anonymous", "consume:*/*")
	exchange(t, p, "v1/c", "hello")
	tab := v.open("/audit")
	for _, token := range []string{"wrong", kit.Token(t, kit.Secret, "--name", "ci", "--allow", "look", "--channels", "*/*")} {
		tab.wait("document.activeElement === document.querySelector('#token')")
		tab.fill("#token", token)
		tab.click("#access .main")
		tab.wait("document.querySelector('#access-why').textContent.startsWith('This does not open the audit log.')")
	}
	operator := kit.Token(t, kit.Secret, "--name", "operator", "--allow", "audit", "--channels", "*/*")
	tab.fill("#token", operator)
	tab.click("#access .main")
	tab.shows("#link", "Live")
	tab.has("#rows tbody tr", 1)
	tab.has("#plots svg", 4)
	tab.click("#rows tbody a")
	tab.shows("#details dd:nth-of-type(4)", "5")

	// A link leads to where it should, although a token is asked for on the way.
	other := v.open(value[string](tab, "location.pathname + location.hash"))
	other.wait("document.activeElement === document.querySelector('#token')")
	other.fill("#token", operator)
	other.click("#access .main")
	other.shows("#details dd:nth-of-type(4)", "5")
}

// Without a log the page shows the present, and says that there is no history.
func TestAuditPageWithoutLog(t *testing.T) {
	t.Parallel()
	v, p := visit(t, "--audit", "off", "--auth-secret", kit.Secret)
	tab := v.open("/audit#token=" + kit.Secret)
	tab.shows("#link", "Live")
	tab.shows("#no-log", "This server keeps no audit log (--audit=off), so it has no history.")
	if tab.text("#filter") != "" || tab.text("#list") != "" {
		t.Error("the page offers to look into a log that there is not")
	}
	kit.Curl("-u", ":"+kit.Secret, p.URL+"/channels/v1/c")
	tab.shows("#waiting .name", "v1/c")
}
