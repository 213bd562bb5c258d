package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"httpipe/access"
)

// After many wrong tokens of one client, further ones are not checked. Tokens that were accepted before still are, and so are
// those of other clients.
func TestWrongTokensAreLimited(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t, "produce:hooks/*"), func(c *Config) { c.ClientIPHeader = "X-Real-IP" })
	const bad, other = "X-Real-IP: 192.0.2.1", "X-Real-IP: 192.0.2.2"
	good, fresh := sign(t, secret, "consume:n/*"), sign(t, secret, "consume,produce:n/*")
	r.dial().Get(here+"?wait=0", bad, bearer(good)).Answer().Failed(408, "timed_out")
	expired := sign(t, secret, "consume:n/*", func(t *access.Token) { t.Expires = time.Now().Add(-time.Hour) })
	for range 2 * failuresPerMinute { // these are no guesses
		r.dial().Get(here, bad).Answer().Failed(401, "unauthorized")
		r.dial().Get(here, bad, bearer(expired)).Answer().Failed(401, "unauthorized")
		r.dial().Request("DELETE", here, bad, bearer(good)).Answer().Failed(403, "forbidden")
	}
	for i := range failuresPerMinute {
		r.dial().Get(here, bad, bearer(fmt.Sprint("guess", i))).Answer().Failed(401, "unauthorized")
	}
	a := r.guessed(here, bad).RetryAfter(1, 2)
	if a.Text != "" {
		t.Errorf("a consumer prints %q", a.Text)
	}
	r.dial().Request("HEAD", here, bad, basic("", "guess")).Answer().Failed(429, "refused")
	a = r.dial().Post(here+"?wait=0", "x", bad, bearer(fresh)).Answer().Failed(429, "refused").RetryAfter(1, 2)
	if !strings.Contains(a.Text, "wrong tokens") {
		t.Errorf("the text is %q", a.Text)
	}
	r.dial().Get(here+"?wait=0", bad, bearer(good)).Answer().Failed(408, "timed_out")
	r.dial().Post("/channels/hooks/in?wait=0", "x", bad).Answer().Failed(408, "timed_out")
	r.dial().Get(here+"?wait=0", other, bearer(fresh)).Answer().Failed(408, "timed_out")
	r.dial().Get(here+"?wait=0", other, bearer("guess")).Answer().Failed(401, "unauthorized")
}

// guessed makes guesses until the client may make no more for now, and returns the answer to the last. One is forgiven every
// two seconds, so on a slow machine the first of too many is not.
func (r *testServer) guessed(path string, headers ...string) *answer {
	r.t.Helper()
	for range 10 * failuresPerMinute {
		if a := r.dial().Get(path, append(headers, bearer("guess"))...).Answer(); a.StatusCode != 401 {
			return a.Failed(429, "refused")
		}
	}
	r.t.Fatal("nothing limits guesses")
	return nil
}
