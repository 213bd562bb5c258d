package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestOneVisitTakesOneMessage opens the addresses of channels in Chromium. Two messages of one type wait on each.
func TestOneVisitTakesOneMessage(t *testing.T) {
	const settled = 2 * time.Second // a player asks within a few milliseconds of the navigation
	v, server := visit(t)
	visits := []struct {
		contentType, disposition string
		saved                    bool // not shown
	}{
		{"video/mp4", "", true},
		{"VIDEO/MP4; codecs=avc1", "", true},
		{"video/webm", "", true},
		{"audio/wav", "", true},
		{"audio/mpeg", "", true},
		{"audio/ogg", "", true},
		{"application/ogg", "", true},
		{"application/vnd.apple.mpegurl", "", true},
		{"application/x-mpegurl", "", true},
		{"audio/mpegurl", "", true},
		{"video/mp4", `attachment; filename="film.mp4"`, true},
		{"video/mp4", `form-data; name="file"; filename="film.mp4"`, true}, // curl -F
		{"video/mp4", `filename="film.mp4"`, true},
		{"application/pdf", "", false},
		{"image/png", "", false},
		{"image/svg+xml", "", false},
		{"text/html", "", false},
		{"text/plain", "", false},
		{"application/json", "", false},
		{"application/xml", "", false},
		{"application/octet-stream", "", true},
	}
	for i, visit := range visits {
		channel := fmt.Sprint("visits/", i)
		for range 2 {
			go produceAs(server.URL+"/channels/"+channel, visit.contentType, visit.disposition, visible[visit.contentType])
		}
		server.WaitFor(t, channel, "2", "0")
		ctx, cancel := chromedp.NewContext(v.ctx)
		defer cancel()
		err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/channels/"+channel))
		if saved := err != nil && strings.Contains(err.Error(), "ERR_ABORTED"); visit.saved != saved || err != nil && !saved {
			t.Errorf("%s %s: saved is %t (%v), want %t", visit.contentType, visit.disposition, saved, err, visit.saved)
		}
	}
	time.Sleep(settled)
	for i, visit := range visits {
		if n := server.SQLite(t, fmt.Sprintf("select count(*) from exchanges where channel = '%d'", i)); n != "1" {
			t.Errorf("%s %s: one visit took %s messages", visit.contentType, visit.disposition, n)
		}
	}
}

// produceAs sends a message of a type, until it is delivered or the server ends.
func produceAs(url, contentType, disposition, body string) {
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		panic(err) // no test has such a URL
	}
	request.Header.Set("Content-Type", contentType)
	if disposition != "" {
		request.Header.Set("Content-Disposition", disposition)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
	}
}

// visible is what Chromium shows something of. Of other types it need not be able to show anything: its player
// asks for any message before it knows.
var visible = map[string]string{
	"audio/wav": "RIFF\x24\x08\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x00\x08\x00\x00" +
		strings.Repeat("\x80", 2048),
	"application/pdf": "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n",
	"image/svg+xml":    `<svg xmlns="http://www.w3.org/2000/svg"/>`,
	"text/html":        "<p>hello",
	"text/plain":       "hello",
	"application/json": `"hello"`,
	"application/xml":  "<a/>",
}
