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
		body := a.failed(http.StatusForbidden, "https_required").body
		if !strings.Contains(body, "https://") || strings.Count(body, "\n") != 1 || a.Header.Get("Location") != "" {
			t.Errorf("it is told %q, and to go to %q", body, a.Header.Get("Location"))
		}
	}
	const plain = "X-Forwarded-Proto: http"
	refused(r.dial().get(here, plain).answer())
	refused(r.dial().post(here, "x", plain).answer())
	refused(r.dial().post(here, strings.Repeat("x", 1<<20), plain).answer())
	refused(r.dial().get(here, "X-Forwarded-Proto: https, http").answer())
	refused(r.dial().get(here, "X-Forwarded-Proto: https", plain).answer())
	refused(r.dial().get("/state", plain).answer())
	refused(r.dial().request("DELETE", here, plain).answer())
	r.dial().get("/healthz", plain).answer().is(200)
	r.vanished()
	got := r.rows(5, "SELECT role FROM requests WHERE outcome = 'refused' AND reason = 'require-https' ORDER BY id")
	if strings.Join(got, ", ") != "consumer, producer, producer, consumer, consumer" {
		t.Errorf("on record: %q", got)
	}

	// By https, and not through the proxy.
	p := r.dial().post(here, "hello", "X-Forwarded-Proto: HTTPS")
	r.dial().get(here).answer().got("hello")
	p.answer().is(200)
	r.dial().get("/state", "X-Forwarded-Proto: http, https").answer().is(200)
}

func TestPlainHTTPMayBeAllowed(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.dial().get("/state", "X-Forwarded-Proto: http").answer().is(200)
}
