package browser

import (
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"httpipe/test/kit"
)

var screenshots = flag.String("screenshots", "", "directory into which TestScreenshots puts pictures of the pages")

// TestScreenshots makes the README's pictures; scripts/screenshots runs it.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("only scripts/screenshots makes pictures")
	}
	p, books := kit.Start(t, t.TempDir()), aDay(t)
	chromiumOptions = append(chromiumOptions,
		chromedp.Flag("host-resolver-rules", "MAP relay.example.com:80 "+strings.TrimPrefix(p.URL, "http://")),
		chromedp.Flag("disable-features", "HttpsUpgrades"))
	t.Setenv("FONTCONFIG_FILE", kit.WriteFile(t, filepath.Join(t.TempDir(), "fonts.conf"), fonts))
	for _, shot := range []struct {
		name, scheme  string
		width, height int64
	}{
		{"page", "light", 900, 800},
		{"page-dark", "dark", 900, 800},
		{"page-phone", "light", 360, 740},
	} {
		t.Run(shot.name, func(t *testing.T) {
			tab := visitAt(t, "http://relay.example.com").open("/#v1/k7qm-x2vd-9hjt")
			tab.do(look(shot.scheme, shot.width, shot.height))
			halfway(t, p, tab)
			tab.picture(shot.name)
		})
	}
	for _, shot := range []struct {
		name, scheme  string
		width, height int64
	}{
		{"audit", "light", 1100, 800},
		{"audit-dark", "dark", 1100, 800},
		{"audit-phone", "light", 360, 740},
	} {
		t.Run(shot.name, func(t *testing.T) {
			tab := visitAt(t, books.url).open("/audit")
			tab.do(look(shot.scheme, shot.width, shot.height))
			tab.has("#rows tbody tr", 6)
			tab.has("#plots svg", 4)
			tab.shows("#exchanges", "3")
			tab.click("#waiting summary")
			tab.do(chromedp.Evaluate[chromedp.Void]("document.activeElement.blur()"))
			tab.picture(shot.name)
		})
	}
}

// picture takes one of the whole page.
func (tab *tab) picture(name string) {
	tab.t.Helper()
	picture, err := chromedp.Run(tab.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tab.t.Fatal(err)
	}
	kit.WriteFile(tab.t, filepath.Join(*screenshots, name+".png"), string(picture))
}

// aDay is a server with a day's work in its books.
func aDay(t *testing.T) *stubbed {
	s := stub(t)
	s.rows["exchanges"] = exchanged(6)
	s.sums = summary(time.Now().Add(-24*time.Hour), 96)
	var waiting []row
	for i, name := range []string{"thumbnails", "thumbnails", "invoices", "mail", "thumbnails", "mail"} {
		waiting = append(waiting, waiter(name, "consumer", time.Duration(4100-700*i)*time.Second, "curl/8.14.1"))
	}
	call := runner("c", "thumbs", 3*time.Second, 1_200_000, 4_100_000, 700_000)
	call["shape"] = "service"
	now := view(append(waiting, waiter("k7qm-x2vd-9hjt", "producer", 7*time.Second, "Mozilla/5.0")), []row{
		runner("a", "backup", 75*time.Second, 1_240_000_000, 3_900_000_000, 16_500_000),
		runner("b", "logs", 4000*time.Second, 48_213, 0, 120), call,
	})
	now["topics"] = []row{
		{"namespace": "v1", "topic": "deploys", "subscribers": 12, "sending": 0, "waiting": 0},
		{"namespace": "v1", "topic": "prices", "subscribers": 431, "sending": 1, "sending_since": stamp(time.Now().Add(-2 * time.Second)), "waiting": 0},
	}
	now["topics_omitted"] = 0
	s.show(now)
	return s
}

// fonts are such as a desktop would have.
const fonts = `<?xml version="1.0"?>
<fontconfig>
	<include>/etc/fonts/fonts.conf</include>
	<match><test name="family"><string>sans</string></test><edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
	<match><test name="family"><string>sans-serif</string></test><edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
	<match><test name="family"><string>monospace</string></test><edit name="family" mode="prepend" binding="strong"><string>JetBrains Mono</string></edit></match>
</fontconfig>`

// halfway lets the page have delivered a file, and be in the middle of receiving another.
func halfway(t *testing.T, p *kit.Server, tab *tab) {
	path := filepath.Join(t.TempDir(), "photos.zip")
	if err := os.WriteFile(path, make([]byte, 48_300_000), 0o600); err != nil {
		t.Fatal(err)
	}
	tab.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{path}))
	tab.click("#send .go")
	<-kit.Curl("-o", "/dev/null", p.URL+"/channels/v1/k7qm-x2vd-9hjt")
	tab.shows("#send .headline", "Delivered")

	body, feed := io.Pipe()
	t.Cleanup(func() { feed.Close() })
	kit.Post(t, p.URL+"/channels/v1/k7qm-x2vd-9hjt", body, 19_300_000)
	go feed.Write(make([]byte, 12_400_000))
	tab.click("#receive .go")
	tab.shows("#receive .detail", "12.4 MB of 19.3 MB.")
	tab.do(chromedp.Evaluate[chromedp.Void]("document.activeElement.blur()"))
}

// look emulates a screen.
func look(colours string, width, height int64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := chromedp.EmulateViewport(width, height, chromedp.EmulateScale(2))(ctx, t); err != nil {
			return err
		}
		_, err := scheme(colours)(ctx, t)
		return err
	})
}
