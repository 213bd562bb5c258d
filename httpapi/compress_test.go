package httpapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
)

func TestCompressedWithGzipOnly(t *testing.T) {
	t.Parallel()
	r := start(t)
	for accept, want := range map[string]string{
		"gzip":                             "gzip",
		"deflate, gzip, br, zstd":          "gzip", // curl --compressed
		"deflate":                          "",
		"deflate, br":                      "",
		"GZIP":                             "gzip",
		"x-gzip":                           "gzip",
		"br;q=1.0, gzip;q=0.8, *;q=0.1":    "gzip",
		"gzip;q=0":                         "",
		"gzip; q=0.000, deflate":           "",
		"gzip;q=0.5, identity":             "",
		"gzip;q=0.5, identity;q=0.5":       "gzip",
		"identity;q=1, *;q=0":              "",
		"*":                                "",
		"identity":                         "",
		"":                                 "",
		"deflate\r\nAccept-Encoding: gzip": "gzip",
		"gzip;q=0\r\nAccept-Encoding: br":  "",
	} {
		a := r.dial().Get("/openapi.json", "Accept-Encoding: "+accept).Answer().Is(200)
		text := a.Text
		if want != "" {
			unzipped, err := gzip.NewReader(bytes.NewReader([]byte(a.Text)))
			if err != nil {
				t.Fatalf("%q: %v", accept, err)
			}
			all, _ := io.ReadAll(unzipped)
			text = string(all)
		}
		if got := a.Header.Get("Content-Encoding"); got != want || !strings.HasPrefix(text, "{") {
			t.Errorf("%q: Content-Encoding %q, and %.20q", accept, got, text)
		}
		if vary := a.Header.Values("Vary"); !strings.Contains(strings.Join(vary, ","), "Accept-Encoding") {
			t.Errorf("%q: Vary %q", accept, vary)
		}
	}
}
