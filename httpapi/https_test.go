package httpapi

import (
	"net/http"
	"strings"
	"testing"
)

// TestRequireHTTPS: what came to the proxy by plain http is told so, takes no message and leaves none.
func TestRequireHTTPS(t *testing.T) {
	t.Parallel()
	r := startAudited(t, func(c *Config) { c.RequireHTTPS = true })
	refused := func(a *answer) {
		t.Helper()
		body := a.Failed(http.StatusForbidden, "https_required").Text
		if !strings.Contains(body, "https://") || strings.Count(body, "\n") != 1 || a.Header.Get("Location") != "" {
			t.Errorf("it is told %q, and to go to %q", body, a.Header.Get("Location"))
		}
	}
	const plain = "X-Forwarded-Proto: http"
	refused(r.dial().Get(here, plain).Answer())
	refused(r.dial().Post(here, "x", plain).Answer())
	refused(r.dial().Post(here, strings.Repeat("x", 1<<20), plain).Answer())
	refused(r.dial().Get(here, "X-Forwarded-Proto: https, http").Answer())
	refused(r.dial().Get(here, "X-Forwarded-Proto: https", plain).Answer())
	refused(r.dial().Get("/state", plain).Answer())
	refused(r.dial().Request("DELETE", here, plain).Answer())
	r.dial().Get("/healthz", plain).Answer().Is(200)
	r.Vanished()
	got := r.rows(5, "SELECT role FROM requests WHERE outcome = 'refused' AND reason = 'require-https' ORDER BY id")
	if strings.Join(got, ", ") != "consumer, producer, producer, consumer, consumer" {
		t.Errorf("on record: %q", got)
	}

	// By https, and not through the proxy.
	p := r.dial().Post(here, "hello", "X-Forwarded-Proto: HTTPS")
	r.dial().Get(here).Answer().Got("hello")
	p.Answer().Is(200)
	r.dial().Get("/state", "X-Forwarded-Proto: http, https").Answer().Is(200)
}

func TestPlainHTTPMayBeAllowed(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.dial().Get("/state", "X-Forwarded-Proto: http").Answer().Is(200)
}
