package httpapi

import (
	"strings"
	"testing"
	"time"

	"httpipe/access"
	"httpipe/reply"
)

// The permissions for services, and the records of their use.

// TestCallFromPages: pages of other origins may call any service, by any method, and read the answer with its headers.
func TestCallFromPages(t *testing.T) {
	r := start(t)
	from := "Origin: https://app.example"
	a := r.dial().Request("OPTIONS", service+"/x", from, "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: x-mine").Answer().Is(204)
	if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Methods") != "PATCH" {
		t.Errorf("a preflight is answered %v", a.Header)
	}
	for _, headers := range [][]string{{from}, {"Access-Control-Request-Method: PATCH"}} { // no preflights
		c := r.dial().Request("OPTIONS", service, headers...)
		_, replyTo := r.take()
		r.dial().Post(replyTo, "x", "Httpipe-Header-X-Theirs: 1").Answer().Is(200)
		a := c.Answer().Got("x")
		if exposed := a.Header.Get("Access-Control-Expose-Headers"); headers[0] == from && !strings.Contains(exposed, "X-Theirs") {
			t.Errorf("a page may read %q", exposed)
		}
	}
	c := r.dial().Get(service, "X-Mine: 1")
	request := r.dial().Get(work, from).Answer().Is(200)
	if exposed := request.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, "Httpipe-Reply") || !strings.Contains(exposed, "Httpipe-Header-X-Mine") {
		t.Errorf("a page that works may read %q", exposed)
	}
	r.dial().Post(request.Header.Get(reply.HeaderReply), "x", from).Answer().Is(200)
	c.Answer().Got("x")
	closed := start(t, func(c *Config) { c.CORSOrigins = []string{"https://other.example"} })
	closed.dial().Request("OPTIONS", service, from, "Access-Control-Request-Method: PATCH").Answer().Is(204)
	closed.dial().Request("POST", service, from, length(0)).Answer().Failed(403, "forbidden")
}

// TestCallCredentials: what verifies as ours is used and removed, the rest is the worker's.
func TestCallCredentials(t *testing.T) {
	token := sign(t, secret, "produce:n/*")
	expired := sign(t, secret, "produce:n/*", func(t *access.Token) { t.Expires = time.Now().Add(-time.Minute) })
	for _, test := range []struct {
		name    string
		changes []func(*Config)
		query   string
		headers []string
		status  int
		auth    string // what the worker sees
		target  string
	}{
		{"open, theirs", nil, "?token=theirs&x", []string{bearer("theirs")}, 200, "Bearer theirs", "/?token=theirs&x"},
		{"open, the audit key", nil, "?token=" + auditKey + "&x", []string{withKey}, 200, "", "/?x"},
		{"open, ours in its own header", nil, "", []string{"Httpipe-Token: x", bearer("theirs")}, 200, "Bearer theirs", "/"},
		{"closed, none", []func(*Config){guarded(t)}, "", nil, 401, "", ""},
		{"closed, theirs", []func(*Config){guarded(t)}, "", []string{bearer("theirs")}, 401, "", ""},
		{"closed, theirs in the query", []func(*Config){guarded(t)}, "?token=theirs", nil, 401, "", ""},
		{"closed, a token", []func(*Config){guarded(t)}, "?x", []string{bearer(token)}, 200, "", "/?x"},
		{"closed, a token in the query", []func(*Config){guarded(t)}, "?token=" + token, []string{bearer("theirs")}, 200, "Bearer theirs", "/"},
		{"closed, a token in its own header", []func(*Config){guarded(t)}, "?token=theirs", []string{"Httpipe-Token: " + token, bearer("theirs")}, 200, "Bearer theirs", "/?token=theirs"},
		{"closed, a wrong token in its own header", []func(*Config){guarded(t)}, "", []string{"Httpipe-Token: theirs"}, 401, "", ""},
		{"closed, two tokens", []func(*Config){guarded(t)}, "?token=" + token, []string{bearer(token)}, 401, "", ""},
		{"closed, an expired token", []func(*Config){guarded(t, "produce:*/*")}, "", []string{bearer(expired)}, 401, "", ""},
		{"closed, another service's token", []func(*Config){guarded(t)}, "", []string{bearer(sign(t, secret, "produce:n/other"))}, 403, "", ""},
		{"anonymous, theirs", []func(*Config){guarded(t, "produce:*/*")}, "?token=theirs", []string{bearer("theirs")}, 200, "Bearer theirs", "/?token=theirs"},
		{"anonymous, a token", []func(*Config){guarded(t, "produce:*/*")}, "", []string{bearer(token)}, 200, "", "/"},
	} {
		r := start(t, test.changes...)
		c := r.dial().Get(service+test.query, test.headers...)
		if test.status != 200 {
			c.Answer().Is(test.status)
			continue
		}
		me := []string{}
		if test.changes != nil {
			me = []string{bearer(secret)}
		}
		request := r.dial().Get(work, me...).Answer().Is(200)
		h := request.Header
		if h.Get("Httpipe-Header-Authorization") != test.auth || h.Get("Httpipe-Target") != test.target || h.Get("Httpipe-Header-Httpipe-Token") != "" {
			t.Errorf("%s: the worker gets %v", test.name, h)
		}
		r.dial().Post(h.Get(reply.HeaderReply), "x", me...).Answer().Is(200)
		c.Answer().Got("x")
	}
}

// TestServiceAccess: calling takes produce, working and answering take consume.
func TestServiceAccess(t *testing.T) {
	r := start(t, guarded(t))
	produce, consume := bearer(sign(t, secret, "produce:n/s")), bearer(sign(t, secret, "consume:n/s"))
	c := r.dial().Get(service, produce)
	r.dial().Get(service, consume).Answer().Failed(403, "forbidden")
	r.dial().Get(work, produce).Answer().Failed(403, "forbidden")
	r.dial().Get(work).Answer().Failed(401, "unauthorized")
	r.dial().Request("HEAD", work, consume).Answer().Is(403)
	r.dial().Request("DELETE", work, produce).Answer().Failed(403, "forbidden")
	request := r.dial().Get(work, consume).Answer().Is(200)
	replyTo := request.Header.Get(reply.HeaderReply)
	r.dial().Post(replyTo, "x").Answer().Failed(401, "unauthorized")
	r.dial().Post(replyTo, "x", produce).Answer().Failed(403, "forbidden")
	r.dial().Post(replyTo, "x", consume).Answer().Is(200)
	c.Answer().Got("x")
}

// TestCallsOnRecord: the log agrees with what callers and workers were told, and shows no path, query or reply id.
func TestCallsOnRecord(t *testing.T) {
	r := startAudited(t)
	answered := r.dial().Get(service + "/secret-path?secret-query")
	_, replyTo := r.take()
	r.dial().Post(replyTo, "x", "Httpipe-Status: 404").Answer().Is(200)
	answered.Answer().Is(404)
	left := r.dial().Request("DELETE", service)
	_, lateReply := r.take()
	left.HangUp()
	r.gone()
	r.dial().Post(lateReply, "late").Answer().Failed(502, "consumer_left")
	r.dial().Post(replyTo, "again").Answer().Failed(404, "not_found")
	r.config.Log.Sync()
	for path, want := range map[string][]string{
		"/audit/calls": {`"method":"GET","outcome":"answered","status":404`, `"method":"DELETE","outcome":"left","status":null`},
		"/audit/calls?service=s&outcome=answered": {`"outcome":"answered"`},
		"/audit/calls?service=other":              {},
		"/audit/calls?namespace=n&outcome=left":   {`"outcome":"left"`},
		"/audit/requests?shape=service":           {`"outcome":"consumer_left"`},
		"/audit/exchanges?namespace=n&channel=s":  {`"shape":"service"`, `"reply_to":"`, `"reply_to":null`},
	} {
		a := r.dial().Get(path, withKey, "Accept: application/json").Answer().Is(200)
		for _, word := range want {
			if !strings.Contains(a.Text, word) {
				t.Errorf("%s: %s has no %s", path, a.Text, word)
			}
		}
		if n := strings.Count(a.Text, `"service"`); strings.HasPrefix(path, "/audit/calls") && n != len(want) {
			t.Errorf("%s has %d calls, want %d: %s", path, n, len(want), a.Text)
		}
		if strings.Contains(a.Text, "secret") || strings.Contains(a.Text, replyTo[len(replyTo)-32:]) {
			t.Errorf("%s shows too much: %s", path, a.Text)
		}
	}
	r.dial().Get("/audit/calls?outcome=delivered", withKey).Answer().Failed(400, "bad_filter")
	r.dial().Get("/audit/calls?channel=s", withKey).Answer().Failed(400, "bad_filter")
}
