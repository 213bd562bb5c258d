package httpapi

import (
	"slices"
	"strings"
	"testing"
)

// Who may do what, where there is no secret.

// TestWithoutSecret: everybody may do everything but read the audit log. A credential that is not needed is not looked at, how
// often it may come, and one that is needed is the audit key.
func TestWithoutSecret(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	wrong := [][]string{{bearer("nonsense")}, {basic("some", "one")}, {"Authorization: Digest username=x"}, {bearer("a"), bearer("b")}, {bearer(sign(t, secret, "audit:*/*"))}}
	for _, headers := range append(wrong, nil, []string{withKey}) {
		for _, route := range guardedRoutes {
			if a := r.dial().request(route.method, route.path, headers...).answer(); a.StatusCode != route.status {
				t.Errorf("%s %s with %q: %d, want %d", route.method, route.path, headers, a.StatusCode, route.status)
			}
		}
		p := r.dial().post(here+"?token=meant-for-nobody", "hello", headers...)
		r.dial().get(here+"?token=neither", headers...).answer().got("hello")
		p.answer().is(200)
	}
	for range failuresPerMinute { // these are no guesses
		r.dial().request("HEAD", here, bearer("nonsense")).answer().failed(404, "not_found")
	}
	for _, headers := range wrong {
		r.dial().get("/audit/exchanges", headers...).answer().failed(401, "unauthorized")
		r.dial().get("/audit/live", headers...).answer().failed(401, "unauthorized")
	}
	if a := r.dial().get("/audit/summary").answer().failed(401, "unauthorized"); !strings.Contains(a.body, "httpipe audit key") || a.Header.Get("WWW-Authenticate") != challenge {
		t.Errorf("without a key: %q %q", a.body, a.Header.Get("WWW-Authenticate"))
	}
	for place, with := range places {
		path, headers := with("/audit/exchanges?limit=1", auditKey)
		if a := r.dial().get(path, headers...).answer(); a.StatusCode != 200 {
			t.Errorf("with the key as %s: %d", place, a.StatusCode)
		}
	}
	r.guessed("/audit/exchanges")
	r.dial().get("/audit/exchanges", withKey).answer().is(200)
	r.dial().get("/state", bearer("guess")).answer().is(200)

	got := r.rows(1, "SELECT count(*) FROM exchanges WHERE producer_subject || consumer_subject <> ''")
	if got[0] != "0" {
		t.Errorf("%s exchanges have somebody's name", got[0])
	}
}

// TestOpenIsOnRecord: who was refused the audit log is on record, with what was wrong.
func TestOpenIsOnRecord(t *testing.T) {
	t.Parallel()
	r := startAudited(t)
	r.dial().get("/audit/exchanges").answer().failed(401, "unauthorized")
	r.dial().get("/audit/live", bearer("nonsense")).answer().failed(401, "unauthorized")
	want := []string{"refused audit: no_token ", "refused audit: foreign "}
	if got := r.rows(2, "SELECT outcome, reason, subject FROM requests ORDER BY id"); !slices.Equal(got, want) {
		t.Errorf("on record is %q, want %q", got, want)
	}
}
