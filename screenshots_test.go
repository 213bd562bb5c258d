package main

import (
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "directory into which TestScreenshots puts pictures of the pages")

// TestScreenshots makes the README's pictures; scripts/screenshots runs it.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("only scripts/screenshots makes pictures")
	}
	p := start(t, t.TempDir())
	chromiumOptions = append(chromiumOptions,
		chromedp.Flag("host-resolver-rules", "MAP relay.example.com:80 "+strings.TrimPrefix(p.url, "http://")),
		chromedp.Flag("disable-features", "HttpsUpgrades"))
	t.Setenv("FONTCONFIG_FILE", write(t, filepath.Join(t.TempDir(), "fonts.conf"), fonts))
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
			picture, err := chromedp.Run(tab.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(*screenshots, shot.name+".png"), string(picture))
		})
	}
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
func halfway(t *testing.T, p *process, tab *tab) {
	path := filepath.Join(t.TempDir(), "photos.zip")
	if err := os.WriteFile(path, make([]byte, 48_300_000), 0o600); err != nil {
		t.Fatal(err)
	}
	tab.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{path}))
	tab.click("#send .go")
	<-curl("-o", "/dev/null", p.url+"/channels/v1/k7qm-x2vd-9hjt")
	tab.shows("#send .headline", "Delivered")

	body, feed := io.Pipe()
	t.Cleanup(func() { feed.Close() })
	post(t, p.url+"/channels/v1/k7qm-x2vd-9hjt", body, 19_300_000)
	go feed.Write(make([]byte, 12_400_000))
	tab.click("#receive .go")
	tab.shows("#receive .detail", "12.4 MB of 19.3 MB.")
	tab.do(chromedp.Evaluate[chromedp.Void]("document.activeElement.blur()"))
}

// look emulates a screen.
func look(scheme string, width, height int64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := chromedp.EmulateViewport(width, height, chromedp.EmulateScale(2))(ctx, t); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}
