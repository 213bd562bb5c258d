package httpapi

import (
	"slices"
	"strings"
	"testing"
)

// The permissions of clients on a server without a secret.

// TestWithoutSecret: every client may do everything but read the audit log. A credential that is not needed is not checked, how
// often it may come, and one that is needed is the audit key.
func TestWithoutSecret(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	wrong := [][]string{{bearer("nonsense")}, {basic("some", "one")}, {"Authorization: Digest username=x"}, {bearer("a"), bearer("b")}, {bearer(sign(t, secret, "audit:*/*"))}}
	for _, headers := range append(wrong, nil, []string{withKey}) {
		for _, route := range guardedRoutes {
			if a := r.dial().Request(route.method, route.path, headers...).Answer(); a.StatusCode != route.status {
				t.Errorf("%s %s with %q: %d, want %d", route.method, route.path, headers, a.StatusCode, route.status)
			}
		}
		p := r.dial().Post(here+"?token=meant-for-nobody", "hello", headers...)
		r.dial().Get(here+"?token=neither", headers...).Answer().Got("hello")
		p.Answer().Is(200)
	}
	for range failuresPerMinute { // these are no guesses
		r.dial().Request("HEAD", here, bearer("nonsense")).Answer().Failed(404, "not_found")
	}
	for _, headers := range wrong {
		r.dial().Get("/audit/exchanges", headers...).Answer().Failed(401, "unauthorized")
		r.dial().Get("/audit/live", headers...).Answer().Failed(401, "unauthorized")
	}
	if a := r.dial().Get("/audit/summary").Answer().Failed(401, "unauthorized"); !strings.Contains(a.Text, "httpipe audit key") || a.Header.Get("WWW-Authenticate") != challenge {
		t.Errorf("without a key: %q %q", a.Text, a.Header.Get("WWW-Authenticate"))
	}
	for place, with := range places {
		path, headers := with("/audit/exchanges?limit=1", auditKey)
		if a := r.dial().Get(path, headers...).Answer(); a.StatusCode != 200 {
			t.Errorf("with the key as %s: %d", place, a.StatusCode)
		}
	}
	r.guessed("/audit/exchanges")
	r.dial().Get("/audit/exchanges", withKey).Answer().Is(200)
	r.dial().Get("/state", bearer("guess")).Answer().Is(200)

	got := r.rows(1, "SELECT count(*) FROM exchanges WHERE producer_subject || consumer_subject <> ''")
	if got[0] != "0" {
		t.Errorf("%s exchanges have somebody's name", got[0])
	}
}

// TestOpenIsOnRecord: a client that was refused the audit log is on record, with the reason.
func TestOpenIsOnRecord(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	r.dial().Get("/audit/exchanges").Answer().Failed(401, "unauthorized")
	r.dial().Get("/audit/live", bearer("nonsense")).Answer().Failed(401, "unauthorized")
	want := []string{"refused audit: no_token ", "refused audit: foreign "}
	if got := r.rows(2, "SELECT outcome, reason, subject FROM requests ORDER BY id"); !slices.Equal(got, want) {
		t.Errorf("on record is %q, want %q", got, want)
	}
}
