package browser

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"httpipe/test/kit"
)

// The script of a page that notes what an EventSource gives it. It reconnects soon.
const listen = `(() => {
	window.heard = [];
	const source = new EventSource('/topics/demo/news');
	const note = event => heard.push(event.type + ' ' + event.data);
	source.onmessage = note;
	source.addEventListener('missed', note);
	source.onopen = () => heard.push('open');
	return true;
})()`

// An EventSource comes back by itself, and is told what it has missed, also by a server that was started again.
func TestEventSourceIsToldWhatItMissed(t *testing.T) {
	dir, address := t.TempDir(), kit.FreeAddress(t)
	port := address[strings.LastIndex(address, ":")+1:]
	p := kit.Start(t, dir, "--port", port)
	v := visitAt(t, p.URL)
	tab := v.open("/")
	value[bool](tab, listen)
	tab.hears("open")
	publish(t, p, "one")
	tab.hears("open", "message one")

	// Deleting the topic ends the stream. Messages come until the browser is back.
	request, _ := http.NewRequest("DELETE", p.URL+"/topics/demo/news", nil)
	if response, err := http.DefaultClient.Do(request); err != nil || response.StatusCode != 204 {
		t.Fatal(response, err)
	}
	publish(t, p, "two")
	publish(t, p, "three")
	tab.hears("open", "message one", "open", "missed 2")
	publish(t, p, "four")
	tab.hears("open", "message one", "open", "missed 2", "message four")

	if err := p.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Exited
	q := kit.Start(t, dir, "--port", port)
	publish(t, q, "five")
	tab.hears("open", "message one", "open", "missed 2", "message four", "open", "missed 1")
	publish(t, q, "six")
	tab.hears("open", "message one", "open", "missed 2", "message four", "open", "missed 1", "message six")
}

// publish publishes a message on the topic of the script.
func publish(t *testing.T, p *kit.Server, message string) {
	t.Helper()
	if got := <-kit.Curl("-d", message, p.URL+"/topics/demo/news"); got != "" {
		t.Fatalf("the publisher is told %q", got)
	}
}

// hears waits until the script has noted this.
func (tab *tab) hears(want ...string) {
	tab.t.Helper()
	text := strings.Join(want, "\n")
	got := ""
	for deadline := time.Now().Add(kit.Patience); ; time.Sleep(20 * time.Millisecond) {
		if got = value[string](tab, `heard.join("\n")`); got == text {
			return
		}
		if time.Now().After(deadline) || len(got) > len(text) {
			tab.t.Fatalf("the page has heard\n%s\nwant\n%s", got, text)
		}
	}
}
