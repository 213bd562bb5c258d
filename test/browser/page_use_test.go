package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"httpipe/test/kit"
)

// How the page looks on various screens, and its minor features.

const rule = "A namespace and a name are each 1 to 255 of A to Z, a to z, 0 to 9 and - . _ ~ ! $ & ' ( ) * + , ; = : @"

// The page takes the channel of its address, or makes up a new one.
func TestPageChannel(t *testing.T) {
	t.Parallel()
	v, _ := visit(t)
	const channel = `[...document.querySelectorAll('.name input')].map(field => field.value).join('/')`
	made := make(map[string]bool)
	for range 3 {
		tab := v.open("/")
		name := value[string](tab, channel)
		if made[name] || len(name) != len("v1/xxxx-xxxx-xxxx") || "#"+name != value[string](tab, "location.hash") {
			t.Errorf("a new channel is %s, at %s", name, value[string](tab, "location.href"))
		}
		made[name] = true
		tab.click("#new-name")
		if again := value[string](tab, channel); again == name || "#"+again != value[string](tab, "location.hash") {
			t.Errorf("the next channel is %s, at %s", again, value[string](tab, "location.href"))
		}
	}
	tab := v.open("/?token=secret#v1/c")
	if got := value[string](tab, "location.href"); got != v.server+pageAt {
		t.Errorf("the address is %s", got)
	}
	for fragment, want := range map[string]string{
		"#v1/do_work":                       "v1/do_work",
		"#a!$&'()*+,;=:@/~._-":              "a!$&'()*+,;=:@/~._-",
		"#v1%2Fdo_work":                     "v1/do_work",
		"#hello":                            "v1/hello",
		"#v1/do_work/x":                     "!A channel has one “/”, between its namespace and its name.",
		"#v1/..":                            "!“..” is not a name.",
		"#v1/ä":                             "!A name cannot contain “ä”. " + rule,
		"#v1/%20":                           "!A name cannot contain a space. " + rule,
		"#v1/a%E2%80%AE":                    "!A name cannot contain an invisible character. " + rule,
		"#v1/":                              "!" + rule,
		"#%":                                "!A name cannot contain “%”. " + rule,
		`#<img src=x onerror="alert(1)">/x`: "!A name cannot contain “<”. " + rule,
		"#v1/" + strings.Repeat("x", 256):   "!This name has 256 characters. " + rule,
	} {
		value[bool](tab, fmt.Sprintf(`new Promise(heard => {
			addEventListener('hashchange', () => heard(true), {once: true});
			location.hash = %s;
		})`, quoted(fragment)))
		got := value[string](tab, channel)
		why, wrong := strings.CutPrefix(want, "!")
		if wrong && (len(got) != len("v1/xxxx-xxxx-xxxx") || tab.text("#channel-hint") != "This is a new channel, because the link had no valid one. "+why) || !wrong && got != want {
			t.Errorf("%s: the channel is %s (%s)", fragment, got, tab.text("#channel-hint"))
		}
	}
}

// A channel on which something runs stays the one that is shown.
func TestPageChannelStays(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	tab.receive(p)
	tab.do(chromedp.Evaluate[chromedp.Void]("location.hash = 'v1/other'"))
	tab.wait("location.hash === '#v1/c'")
	if !value[bool](tab, "document.querySelector('#name').readOnly && document.querySelector('#new-name').disabled") {
		t.Error("the channel can be changed")
	}
	tab.click("#receive .cancel")
	tab.do(chromedp.Evaluate[chromedp.Void]("location.hash = 'v1/other'"))
	tab.wait("document.querySelector('#name').value === 'other'")

	tab.fill("#name", "not possible")
	tab.shows("#channel-hint", "A name cannot contain a space. "+rule)
	tab.click("#receive .go")
	tab.told("#receive", "Not started", "A channel cannot have this name.")
}

// runIn runs a shell command in a directory. The channel delivers its output, and its error if it fails.
func runIn(dir, command string) <-chan string {
	done := make(chan string, 1)
	go func() {
		shell := exec.Command("sh", "-c", command)
		shell.Dir = dir
		out, err := shell.CombinedOutput()
		if err != nil {
			out = fmt.Append(out, err)
		}
		done <- string(out)
	}()
	return done
}

// TestPageCommands runs the commands that the page gives, with all that a shell could misunderstand.
func TestPageCommands(t *testing.T) {
	t.Parallel()
	const hostile = `it's "$HOME" ` + "`id`" + ` $(id) \ \\ !! ; & | > x @file %41 {a,b} [1-2]`
	const channel = "a!$&'()*+,;=:@b"
	v, p := visit(t)
	url := p.URL + "/channels/v1/" + channel
	tab := v.open("/#v1/" + channel)
	dir := t.TempDir()
	name := `we;ird, "name" $x.bin`
	kit.WriteFile(t, filepath.Join(dir, name), hostile)
	run := func(command string) <-chan string { return runIn(dir, command+" -sS") }

	for _, text := range []string{hostile, "two\nlines", "@" + name, "-d"} {
		tab.fill("#text", text)
		producer := run(tab.text("#curl-send"))
		if got := <-kit.Patient("--globoff", url); got != text {
			t.Errorf("%s sent %q", tab.text("#curl-send"), got)
		}
		if got := <-producer; got != "" {
			t.Errorf("%s printed %q", tab.text("#curl-send"), got)
		}
	}
	tab.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{filepath.Join(dir, name)}))
	producer := run(tab.text("#curl-send"))
	tab.click("#receive .go")
	tab.shows("#receive .headline", "Received")
	if got := v.saved("we;ird, _name_ $x.bin", len(hostile)); got != hostile {
		t.Errorf("%s sent %q", tab.text("#curl-send"), got)
	}
	<-producer

	for _, id := range []string{"#curl-print", "#curl-save"} {
		tab.click("#send .go")
		got := <-run(tab.text(id))
		tab.shows("#send .headline", "Delivered")
		if id == "#curl-save" {
			content, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(name, `"`, "_")))
			if err != nil {
				t.Error(err)
			}
			got += string(content)
		}
		if got != hostile {
			t.Errorf("%s received %q", tab.text(id), got)
		}
	}
	if got := tab.text("#curl-manual"); got != "curl "+p.URL+"/" {
		t.Errorf("the manual is at %q", got)
	}
}

// TestPageToken: a token is asked for, used, and neither shown nor kept.
func TestPageToken(t *testing.T) {
	t.Parallel()
	v, p := visit(t, "--auth-secret", kit.Secret)
	wrong := kit.Token(t, kit.Secret, "--name", "other", "--allow", "produce,consume", "--channels", "v2/*")
	token := kit.Token(t, kit.Secret, "--name", "somebody", "--allow", "produce,consume", "--channels", "v1/*")
	tab := v.open(pageAt)
	if tab.text("#access form") != "" {
		t.Error("a token is asked for before it is needed")
	}
	path, _ := fileOf(t, "large", 40<<20)
	tab.send(path)
	tab.told("#send", "Not delivered", "This server asks for an access token. It says: produce on v1/c needs a token; send one as Authorization: Bearer, or by curl -u :TOKEN.")
	tab.wait("document.activeElement === document.querySelector('#token')")
	tab.click("#no-file")
	tab.click("#receive .go")
	tab.told("#receive", "Nothing received", "This server asks for an access token. It says: consume on v1/c needs a token; send one as Authorization: Bearer, or by curl -u :TOKEN.")

	tab.fill("#token", wrong)
	tab.sendText("hello")
	tab.told("#send", "Not delivered", "The access token does not allow this. It says: the token is not for produce on v1/c.")
	tab.fill("#token", "a blank")
	tab.click("#send .go")
	tab.told("#send", "Not started", "A token contains only ASCII characters, and no spaces.")

	tab.fill("#token", token)
	tab.click("#send .go")
	tab.click("#receive .go")
	tab.shows("#message", "hello")
	tab.shows("#send .headline", "Delivered")
	if got := p.SQLite(t, "select producer_subject, consumer_subject from exchanges"); got != "somebody|somebody" {
		t.Errorf("on record: %s", got)
	}
	for _, id := range []string{"#curl-send", "#curl-print", "#curl-save"} {
		if got := tab.text(id); !strings.Contains(got, `-H "Authorization: Bearer $TOKEN" `) {
			t.Errorf("the command is %s", got)
		}
	}
	for _, shown := range []string{"document.documentElement.outerHTML", "location.href", "document.cookie",
		"JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + JSON.stringify(history.state)"} {
		if strings.Contains(value[string](tab, shown), token) {
			t.Errorf("the token is in %s", shown)
		}
	}
	tab.do(chromedp.Reload())
	if got := value[string](tab, "document.querySelector('#token').value"); got != "" {
		t.Errorf("after a reload the token is %q", got)
	}
}

// A relayed page can do nothing with the server's own origin. (Where --cors-origin lets any page of the web
// call the relay, it lets this one too.)
func TestPageRelayedHTML(t *testing.T) {
	t.Parallel()
	const evil = `<!doctype html><title>evil</title><iframe src="/"></iframe><script type="module">
		const tried = {origin: self.origin};
		for (const [name, attempt] of Object.entries({
			fetch: () => fetch('/state').then(answer => answer.text()),
			cookie: () => document.cookie,
			localStorage: () => localStorage.length,
			sessionStorage: () => sessionStorage.length,
			indexedDB: () => new Promise((yes, no) => Object.assign(indexedDB.open('x'), {onsuccess: yes, onerror: () => no(new Error('SecurityError'))})),
			worker: () => navigator.serviceWorker.register('/channels/v1/worker'),
			opener: () => opener.document.title,
			location: () => opener.location.href,
			frame: () => frames[0].document.title,
		})) {
			try {
				tried[name] = 'got ' + await attempt();
			} catch (error) {
				tried[name] = error.name;
			}
		}
		opener.postMessage(tried, '*');
	</script>`
	v, p := visit(t, "--cors-origin", "https://elsewhere.example")
	producer := kit.Curl("-H", "Content-Type: text/html", "-d", evil, p.URL+pageChannel)
	p.WaitFor(t, "v1/c", "1", "0")
	tab := v.open("/#v1/page")
	tab.do(chromedp.Evaluate[chromedp.Void](`sessionStorage.setItem('secret', 'x');
		addEventListener('message', event => window.heard = JSON.stringify(event.data));
		window.open('` + pageChannel + `').name`))
	tab.wait("'heard' in window")
	var tried map[string]string
	if err := json.Unmarshal([]byte(value[string](tab, "heard")), &tried); err != nil {
		t.Fatal(err)
	}
	if got := <-producer; got != "" || tried["origin"] != "null" || len(tried) != 10 {
		t.Errorf("the page, of which curl said %q, tried %v", got, tried)
	}
	for name, result := range tried {
		if strings.HasPrefix(result, "got") {
			t.Errorf("%s: the page %s", name, result)
		}
	}
}

// phone emulates a small one.
func phone(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: 360, Height: 740, DeviceScaleFactor: 2, Mobile: true})
	return chromedp.Void{}, err
}

// TestPageOnAPhone checks that the page never needs horizontal scrolling.
func TestPageOnAPhone(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 255)
	v, p := visit(t)
	tab := v.open("/#" + long + "/" + long)
	tab.do(phone)
	fits := func(when string) {
		t.Helper()
		if width := value[int](tab, "document.scrollingElement.scrollWidth"); width > 360 {
			t.Errorf("%s: the page is %d pixels wide", when, width)
		}
		if outside := value[[]string](tab, `[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && !e.matches('.unseen, code') &&
			(e.getBoundingClientRect().right > 360 || e.getBoundingClientRect().left < 0)).map(e => e.outerHTML.slice(0, 99))`); len(outside) > 0 {
			t.Errorf("%s: outside are %q", when, outside)
		}
	}
	fits("a long channel")
	path, _ := fileOf(t, strings.Repeat("long", 50)+".txt", 100)
	tab.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{path}))
	tab.click("#access summary")
	fits("a long file name")
	tab.click("#send .go")
	p.WaitFor(t, long+"/"+long, "1", "0")
	fits("waiting")
	tab.click("#receive .go")
	tab.shows("#send .headline", "Delivered")
	tab.shows("#receive .headline", "Received")
	fits("a file received")
	tab.click("#no-file")
	tab.sendText(strings.Repeat("y", 5000))
	tab.click("#receive .go")
	tab.shows("#message", strings.Repeat("y", 5000))
	fits("a long word received")
}

// TestPageByKeyboard: all can be reached, is named, and shows where one is.
func TestPageByKeyboard(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	if unnamed := value[[]string](tab, `[...document.querySelectorAll('input, textarea, button, a[href], progress')].filter(e =>
		!(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).map(e => e.outerHTML)`); len(unnamed) > 0 {
		t.Errorf("without a name are %q", unnamed)
	}
	press := func(keys string) { tab.do(chromedp.KeyEvent(keys)) }
	at := func() string {
		return value[string](tab, `(e => e.id || e.dataset.copies || (e.closest('[id]')?.id ?? '') + ' ' + e.className || e.tagName)(document.activeElement)`)
	}
	for _, want := range []string{"namespace", "name", "enlarge", "copy-link", "new-name", "text", "file", "send main go", "receive main go", "keep",
		"topic listen", "topic notify", "say", "topic ", "curl-send", "curl-print", "curl-save", "curl-publish", "access "} {
		press(kb.Tab)
		if got := at(); got != want {
			t.Fatalf("the next is %q, want %q", got, want)
		}
		if !value[bool](tab, `(e => [e, e.nextElementSibling, e.parentElement].some(e => e && getComputedStyle(e).outlineStyle !== 'none'))(document.activeElement)`) {
			t.Errorf("the focus on %s is invisible", want)
		}
	}
	press(kb.Enter)
	tab.wait("document.querySelector('#access').open")

	tab.do(chromedp.Focus(chromedp.CSS("#text")))
	press("hello")
	press(kb.Tab)
	press(kb.Tab)
	press(kb.Enter)
	p.WaitFor(t, "v1/c", "1", "0")
	press(kb.Enter) // by mistake
	press(kb.Tab)
	if got := at(); got != "send cancel" {
		t.Errorf("behind Send is %q", got)
	}
	press(kb.Enter)
	tab.shows("#send .headline", "Cancelled")
	if got := at(); got != "send main go" {
		t.Errorf("after Cancel comes %q", got)
	}
	p.WaitFor(t, "v1/c", "", "")
}

// A file can be dropped on any part of the page.
func TestPageDrop(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	drop := func(files string) {
		tab.do(chromedp.Evaluate[chromedp.Void](`{
			const dataTransfer = new DataTransfer();
			for (const name of ` + files + `) {
				dataTransfer.items.add(new File(['hello'], name, {type: 'text/plain'}));
			}
			for (const type of ['dragover', 'drop']) {
				if (document.querySelector('footer').dispatchEvent(new DragEvent(type, {dataTransfer, bubbles: true, cancelable: true}))) {
					throw new Error('the browser would open it');
				}
			}
		}`))
	}
	drop("['note.txt']")
	tab.shows("#file-hint", "note.txt, 5 bytes")
	tab.click("#send .go")
	if got := <-kit.Patient("-i", p.URL+pageChannel); !strings.Contains(got, `filename="note.txt"`) || !strings.HasSuffix(got, "\r\n\r\nhello") {
		t.Errorf("curl got %q", got)
	}
	tab.shows("#send .headline", "Delivered")
}

// What is copied is in the clipboard, also where browsers have only the old way to it: without TLS.
func TestPageCopies(t *testing.T) {
	t.Parallel()
	v, _ := visit(t)
	tab := v.open(pageAt)
	tab.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		c := chromedp.FromContext(ctx)
		_, err := cdp.Call(ctx, c.Browser, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: "clipboard-read"}, Setting: browser.PermissionSettingGranted, BrowserContextID: c.BrowserContextID})
		return err
	}))
	for _, way := range []string{"window.board = navigator.clipboard", "Object.defineProperty(navigator, 'clipboard', {value: undefined})"} {
		value[int](tab, way+"; 0")
		for button, want := range map[string]string{"#copy-link": v.server + pageAt, "[data-copies=curl-print]": "curl -f " + v.server + pageChannel} {
			tab.click(button)
			tab.shows(button, "Copied")
			if got := value[string](tab, "board.readText()"); got != want {
				t.Errorf("%s: in the clipboard is %q, want %q", button, got, want)
			}
			tab.wait(fmt.Sprintf("document.querySelector(%q).textContent !== 'Copied'", button))
		}
	}
}
