package browser

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"httpipe/test/kit"
)

// What the page at / does, and what it tells its user.

const (
	pageAt      = "/#v1/c"
	pageChannel = "/channels/v1/c"
)

// fileOf writes a file of random bytes and returns its path and content.
func fileOf(t *testing.T, name string, size int) (string, []byte) {
	t.Helper()
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(content)
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// send sends a file.
func (tab *tab) send(path string) {
	tab.t.Helper()
	tab.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{path}))
	tab.click("#send .go")
}

// sendText sends a text.
func (tab *tab) sendText(text string) {
	tab.t.Helper()
	tab.fill("#text", text)
	tab.click("#send .go")
}

// receive starts to receive, and returns when the server knows it.
func (tab *tab) receive(p *kit.Server) {
	tab.t.Helper()
	tab.click("#receive .go")
	p.WaitFor(tab.t, "v1/c", "0", "1")
}

// watchBar has the tab keep all that a progress bar shows.
func (tab *tab) watchBar(end string) {
	tab.t.Helper()
	tab.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{
		const bar = document.querySelector('%s progress');
		window.seen = [];
		new MutationObserver(() => seen.push(bar.position)).observe(bar, {attributes: true});
	}`, end)))
}

// sawProgress requires that the bar was seen on its way.
func (tab *tab) sawProgress() {
	tab.t.Helper()
	if seen := value[[]float64](tab, "seen"); !value[bool](tab, "seen.some(position => position > 0 && position < 1)") {
		tab.t.Errorf("the progress bar showed only %v", seen)
	}
}

func TestPageFromTabToTab(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	name := `häßlich; "x" 100%.bin`
	path, content := fileOf(t, name, 24<<20)
	sender, receiver := v.open(pageAt), v.open(pageAt)
	sender.watchBar("#send")
	receiver.watchBar("#receive")

	sender.send(path)
	p.WaitFor(t, "v1/c", "1", "0")
	sender.shows("#send .headline", "Waiting for the other side")
	receiver.click("#receive .go")
	receiver.shows("#receive .headline", "Received")
	sender.shows("#send .headline", "Delivered")
	sender.shows("#send .detail", "The receiver's connection took all of it: 25.2 MB.")
	sender.sawProgress()
	receiver.sawProgress()

	name = `häßlich; _x_ 100%.bin` // no system has all of the characters
	receiver.shows("#receive .detail", "25.2 MB, complete. This browser was asked to save it as "+name+".")
	if got := v.saved(name, len(content)); sha256.Sum256([]byte(got)) != sha256.Sum256(content) {
		t.Error("the file that was saved is not the one that was sent")
	}
	if sent, got := sender.text("#send .exchange"), receiver.text("#receive .exchange"); sent == "" || sent != got {
		t.Errorf("the exchange is %q to the sender and %q to the receiver", sent, got)
	}
	if got := p.SQLite(t, "select outcome, bytes from exchanges"); got != fmt.Sprintf("delivered|%d", len(content)) {
		t.Errorf("on record: %s", got)
	}
}

// Whatever a text is, it is shown as it is.
func TestPageTexts(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	for _, text := range []string{
		"hello",
		"zwei\nZeilen, ¡olé!, 漢字, 👩‍👩‍👧\n",
		`{"json": true}`,
		`<script>document.title = 'hacked'</script><img src=x onerror="document.title = 'hacked'">`,
	} {
		tab.receive(p)
		if got := <-kit.Patient("--data-binary", text, p.URL+pageChannel); got != "" {
			t.Fatalf("curl was told %q", got)
		}
		tab.shows("#receive .headline", "Received")
		tab.shows("#message", text)

		consumer := kit.Patient(p.URL + pageChannel)
		p.WaitFor(t, "v1/c", "0", "1")
		tab.sendText(text)
		if got := <-consumer; got != text {
			t.Errorf("of %q curl got %q", text, got)
		}
		tab.shows("#send .headline", "Delivered")
		tab.wait("document.querySelector('#text').value === ''") // a second click must not send it again
	}
	if title := value[string](tab, "document.title"); title != "httpipe" {
		t.Errorf("the title is %q", title)
	}
	v.savedNothing()
}

// Two tabs may want the same thing at once, as two curls may.
func TestPageTwoReceivers(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	one, other := v.open(pageAt), v.open(pageAt)
	one.receive(p)
	other.click("#receive .go")
	p.WaitFor(t, "v1/c", "0", "2")
	for _, tab := range []*tab{one, other} {
		if got := <-kit.Patient("-d", "hello", p.URL+pageChannel); got != "" {
			t.Fatalf("curl was told %q", got)
		}
		tab.shows("#message", "hello")
	}
}

// What is no text, or has a file's name, is saved.
func TestPageSavesFiles(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	large := strings.Repeat("a long text\n", 30_000)
	for channel, test := range map[string]struct {
		args       []string
		name, body string
	}{
		"latin1": {[]string{"--data-binary", "@-"}, "latin1", "caf\xe9"},
		"binary": {[]string{"--data-binary", "@-"}, "binary", "a\x00b"},
		"large":  {[]string{"--data-binary", "@-"}, "large", large},
		"a:b*":   {[]string{"-T", "-", "-H", "Content-Type: image/png"}, "a_b_", "png"},
		"form":   {[]string{"-F", "file=@-;filename=notes.txt"}, "notes.txt", "a note"},
		"path":   {[]string{"-T", "-", "-H", `Content-Disposition: attachment; filename="../../.bashrc"`}, "bashrc", "rm"},
		"rtl":    {[]string{"-T", "-", "-H", `Content-Disposition: attachment; filename*=UTF-8''%E2%80%AEgpj.exe`}, "gpj.exe", "MZ"},
	} {
		tab := v.open("/#v1/" + channel)
		tab.click("#receive .go")
		p.WaitFor(t, "v1/"+channel, "0", "1")
		producer := exec.Command("curl", append(test.args, "-sS", p.URL+"/channels/v1/"+channel)...)
		producer.Stdin = strings.NewReader(test.body)
		if out, err := producer.CombinedOutput(); len(out) > 0 || err != nil {
			t.Fatalf("curl %v: %s, %v", test.args, out, err)
		}
		tab.shows("#receive .headline", "Received")
		if got := v.saved(test.name, len(test.body)); got != test.body {
			t.Errorf("%s: saved is %.50q", channel, got)
		}
		if got := tab.text("#message"); got != "" {
			t.Errorf("%s: shown is %.50q", channel, got)
		}
	}
}

// A sender that cancels leaves nothing behind that could be taken for its message.
func TestPageSenderCancels(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	cancelled := func(detail string) {
		t.Helper()
		tab.click("#send .cancel")
		tab.shows("#send .headline", "Cancelled")
		if got := tab.text("#send .detail"); !strings.HasSuffix(got, detail) {
			t.Errorf("the sender is told %q", got)
		}
	}
	tab.sendText("hello")
	p.WaitFor(t, "v1/c", "1", "0")
	tab.shows("#send .detail", "All of it (5 bytes) has left this browser. It is not delivered until the receiver has it.")
	cancelled("All of it (5 bytes) had left this browser. If no client was receiving it at that moment, none will.")
	p.WaitFor(t, "v1/c", "", "")

	path, _ := fileOf(t, "large", 40<<20)
	const part = "of 41.9 MB had left this browser. The receiver can tell that it is not complete."
	tab.send(path)
	running := kit.Get(t, p.URL+pageChannel)
	if _, err := io.CopyN(io.Discard, running.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	cancelled(part)
	if n, err := io.Copy(io.Discard, running.Body); err == nil {
		t.Errorf("the cancelled body, after %d further bytes, looks complete", n)
	}

	// A large one that still waits may keep its place, but is not delivered.
	tab.click("#send .go")
	p.WaitFor(t, "v1/c", "1", "0")
	tab.shows("#send .headline", "Waiting for the other side")
	cancelled(part)
	if got := <-kit.Patient("-f", "-o", os.DevNull, p.URL+pageChannel+"?wait=2s"); !strings.Contains(got, "[exit ") {
		t.Errorf("after that curl got %q", got)
	}
	if got := p.SQLite(t, "select count(*) from exchanges where outcome = 'delivered'"); got != "0" {
		t.Errorf("%s are on record as delivered", got)
	}
}

func TestPageReceiverCancels(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	tab.receive(p)
	tab.click("#receive .cancel")
	tab.shows("#receive .headline", "Cancelled")
	tab.shows("#receive .detail", "Nothing had arrived.")
	p.WaitFor(t, "v1/c", "", "")

	path, _ := fileOf(t, "large", 40<<20)
	producer := kit.Patient("--limit-rate", "5M", "-T", path, p.URL+pageChannel)
	tab.click("#receive .go")
	tab.wait(`/^[1-9][0-9.]*\sMB of 41.9\sMB/.test(document.querySelector('#receive .detail').textContent)`)
	tab.click("#receive .cancel")
	tab.shows("#receive .headline", "Cancelled")
	if got := tab.text("#receive .detail"); !strings.HasPrefix(got, "After ") || !strings.HasSuffix(got, " MB of 41.9 MB. The incomplete message was discarded.") {
		t.Errorf("the receiver is told %q", got)
	}
	if got := <-producer; !strings.HasPrefix(got, "consumer_left: ") {
		t.Errorf("curl was told %q", got)
	}
	v.savedNothing()
}

// A sender whose receiver dies is told that nothing was delivered, also in the middle of a long upload.
func TestPageReceiverDies(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	path, _ := fileOf(t, "large", 200<<20)
	tab.send(path)
	if got := <-kit.Patient("--max-filesize", "1000", "-o", os.DevNull, p.URL+pageChannel); !strings.Contains(got, "[exit 63]") {
		t.Fatalf("curl took it all: %q", got)
	}
	tab.shows("#send .headline", "Not delivered")
	tab.shows("#send .detail", "The receiver hung up before the last byte.")
}

// A body that breaks off is not offered, however much of it has come.
func TestPageBrokenBody(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	tab := v.open(pageAt)
	for _, length := range []int64{-1, 5_000_000} {
		body, feed := io.Pipe()
		producer := kit.Post(t, p.URL+pageChannel, body, length, "Content-Type", "text/plain")
		tab.click("#receive .go")
		if _, err := io.WriteString(feed, strings.Repeat("some text\n", 200_000)); err != nil {
			t.Fatal(err)
		}
		so := "2.0 MB of 5.0 MB"
		if length < 0 {
			so = "2.0 MB"
			tab.shows("#receive .detail", "2.0 MB so far; the sender has not said how large it is.")
		} else {
			tab.shows("#receive .detail", "2.0 MB of 5.0 MB.")
		}
		feed.CloseWithError(errors.New("the producer dies"))
		<-producer
		tab.shows("#receive .headline", "Broken off")
		tab.shows("#receive .detail", "The transfer ended after "+so+". The incomplete message was discarded.")
		if value[bool](tab, "document.querySelector('.message').checkVisibility()") {
			t.Error("the page shows it")
		}
	}
	v.savedNothing()
}
