package relay

import "testing"

// A browser that shows audio or video asks for it twice, so it is to save them.
func TestNavigationsDoNotPlay(t *testing.T) {
	t.Parallel()
	r := start(t)
	const document, noPlayer = "Sec-Fetch-Dest: document", "Sec-Fetch-Dest: empty"
	for _, test := range []struct{ fetch, contentType, disposition, want string }{
		{document, "video/mp4", "", "attachment"},
		{document, "Audio/WAV; x=y", "", "attachment"},
		{document, "application/ogg", "", "attachment"},
		{document, "application/vnd.apple.mpegurl", "", "attachment"},
		{document, "video/mp4", "inline", "inline"},
		{document, "video/mp4", `inline; filename="film.mp4"`, `inline; filename="film.mp4"`},
		{document, "video/mp4", `attachment; filename="film.mp4"`, `attachment; filename="film.mp4"`},
		{document, "video/mp4", `filename="film.mp4"`, "attachment"}, // says nothing to a browser
		{document, "image/png", "", ""},
		{document, "application/pdf", "", ""},
		{document, "text/plain", "", ""},
		{"Sec-Fetch-Dest: iframe", "video/mp4", "", "attachment"},
		{"Sec-Fetch-Dest: video", "video/mp4", "", ""},
		{noPlayer, "video/mp4", "", ""},
		{browser, "video/mp4", "", "attachment"}, // plain http: no Sec-Fetch
		{"Accept: */*", "video/mp4", "", ""},
	} {
		headers := []string{"Content-Type: " + test.contentType}
		if test.disposition != "" {
			headers = append(headers, "Content-Disposition: "+test.disposition)
		}
		r.dial().Post(here, "hello", headers...)
		r.Waiting(1, 0)
		a := r.dial().Get(here, test.fetch).Answer().Got("hello")
		if got := a.Header.Get("Content-Disposition"); got != test.want || a.Header.Get("Content-Type") != test.contentType {
			t.Errorf("%v: Content-Disposition %q, Content-Type %q", test, got, a.Header.Get("Content-Type"))
		}
		r.Vanished()
	}
}
