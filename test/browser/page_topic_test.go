package browser

import (
	"net/http"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// listens lets the tab listen to its topic.
func (tab *tab) listens() {
	tab.t.Helper()
	tab.click("#topic .listen")
	tab.shows("#topic .told", "Listening.")
}

// fed waits until the feed shows these messages.
func (tab *tab) fed(want ...string) {
	tab.t.Helper()
	tab.eventually("the feed shows "+strings.Join(want, ", "), func() bool {
		return value[string](tab, `[...document.querySelectorAll('#topic li span')].map(e => e.textContent.replaceAll('\u00a0', ' ')).join('|')`) == strings.Join(want, "|")
	})
}

// Two people talk, and a third with curl. Then one is told what it missed.
func TestKeepReceiving(t *testing.T) {
	v, p := visit(t)
	ann, bob := v.open(pageAt), visitAt(t, p.URL).open(pageAt)
	value[bool](bob, `delete ReadableStream.prototype[Symbol.asyncIterator]`) // which some browsers do not have
	ann.fill("#say", "is anybody there?")
	ann.click("#topic .say button")
	ann.shows("#topic .told", "Sent, but no client is listening.")
	ann.listens()
	bob.listens()
	ann.fill("#say", "hello <b>Bob</b>")
	ann.click("#topic .say button")
	ann.shows("#topic .told", "Sent: 2 of 2 listening have it.")
	ann.fed("hello <b>Bob</b>")
	bob.fed("hello <b>Bob</b>")
	topic := p.URL + "/topics/v1/c"
	<-kit.Curl("--data-binary", "two\nlines", topic)
	const separated = "three\u2028event: base64" // JavaScript takes U+2028 for the end of a line; the stream does not
	<-kit.Curl("--data-binary", separated, topic)
	<-kit.Curl("--data-binary", "\xff\xfe", topic)
	bob.fed("hello <b>Bob</b>", "two\nlines", separated, "A message that is not text (2 bytes).")

	request, _ := http.NewRequest("DELETE", topic, nil)
	if response, err := http.DefaultClient.Do(request); err != nil || response.StatusCode != 204 {
		t.Fatal(response, err)
	}
	bob.shows("#topic .told", "The connection broke. It is tried again.")
	<-kit.Curl("-d", "while you were away", topic)
	bob.shows("#topic .told", "Listening.")
	<-kit.Curl("-d", "again", topic)
	bob.fed("hello <b>Bob</b>", "two\nlines", separated, "A message that is not text (2 bytes).", "Missed: 1.", "again")

	if !value[bool](bob, `document.querySelector('#name').readOnly`) {
		t.Error("the name can be changed while the page listens")
	}
	bob.click("#topic .listen")
	bob.shows("#topic .told", "Stopped.")
	bob.shows("#topic .listen", "Listen")
	if value[bool](bob, `document.querySelector('#name').readOnly`) {
		t.Error("the name cannot be changed after the end")
	}
}

// A hidden tab notifies, if the user has asked for it and the browser allows it.
func TestNotifications(t *testing.T) {
	v, p := visit(t)
	tab := v.open(pageAt)
	value[bool](tab, `(() => {
		window.notified = [];
		window.Notification = class {
			constructor(title, {body}) { notified.push(title + ': ' + body); }
			static requestPermission() { return Promise.resolve(window.answer); }
		};
		return true;
	})()`)
	value[bool](tab, `window.answer = 'denied', true`)
	tab.click("#topic .notify")
	tab.shows("#topic .told", "This browser does not allow notifications here.")
	if value[bool](tab, `document.querySelector('#topic .notify').checked`) {
		t.Error("the box stays checked")
	}
	value[bool](tab, `window.answer = 'granted', true`)
	tab.click("#topic .notify")
	tab.listens()
	<-kit.Curl("-d", "seen", p.URL+"/topics/v1/c")
	tab.fed("seen")
	value[bool](tab, `Object.defineProperty(document, 'hidden', {value: true}) && true`)
	<-kit.Curl("-d", "unseen", p.URL+"/topics/v1/c")
	tab.fed("seen", "unseen")
	tab.wait(`notified.join() === 'c: unseen'`)
}

// A server that asks for a token says so.
func TestKeepReceivingNeedsAToken(t *testing.T) {
	v, p := visit(t, "--auth-secret", kit.Secret)
	tab := v.open(pageAt)
	tab.click("#topic .listen")
	tab.wait(`document.querySelector('#topic .told').textContent.startsWith('The server answered 401 (unauthorized).')`)
	value[bool](tab, `(document.querySelector('#access').open = true)`)
	tab.fill("#token", kit.Secret)
	tab.listens()
	<-kit.Curl("-u", ":"+kit.Secret, "-d", "hello", p.URL+"/topics/v1/c")
	tab.fed("hello")
}
