package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/access"
	"httpipe/reply"
)

// The permissions of clients on a server with a secret.

const (
	secret      = "0123456789abcdefghijklmnop+/rstuv="
	oldSecret   = "the-secret-that-was-used-before+/="
	otherSecret = "another-server-has-this-secret/+="
)

// guarded is a change of Config: there are a secret and an old one, and everyone may do what is granted.
func guarded(t testing.TB, everyone ...string) func(*Config) {
	t.Helper()
	secrets, err := access.ParseSecrets(secret + "," + oldSecret)
	if err != nil {
		t.Fatal(err)
	}
	var grants []access.Grant
	if len(everyone) > 0 {
		if grants, err = access.ParseGrants(strings.Join(everyone, " ")); err != nil {
			t.Fatal(err)
		}
	}
	return func(c *Config) { c.Guard = access.New(secrets, grants) }
}

// sign makes a token out of grants of the same channels, with changes.
func sign(t testing.TB, by string, grants string, changes ...func(*access.Token)) string {
	t.Helper()
	secrets, err := access.ParseSecrets(by)
	if err != nil {
		t.Fatal(err)
	}
	permissions, channels, _ := strings.Cut(grants, ":")
	token := access.Token{Name: "ci", Channels: strings.Fields(channels), Expires: time.Now().Add(time.Hour)}
	for p := range strings.SplitSeq(permissions, ",") {
		token.Allow = append(token.Allow, access.Permission(p))
	}
	for _, change := range changes {
		change(&token)
	}
	signed, err := secrets.Sign(token)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// forged is a token for everything with that header, which the secret has signed.
func forged(header string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(`{"sub":"x","allow":["produce","consume","delete","look"],"channels":["*/*"]}`))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

func bearer(token string) string { return "Authorization: Bearer " + token }

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// places are where a credential can be: each returns the path and the headers of a request.
var places = map[string]func(path, credential string) (string, []string){
	"bearer": func(path, credential string) (string, []string) { return path, []string{bearer(credential)} },
	"basic":  func(path, credential string) (string, []string) { return path, []string{basic("", credential)} },
	"query": func(path, credential string) (string, []string) {
		return path + addQuery(path, "token="+url.QueryEscape(credential)), nil
	},
}

// A guardedRoute is something that takes a permission.
type guardedRoute struct {
	method, path string
	permission   access.Permission
	status       int // of the answer to a client with the permission, while no other client is connected
	code         string
	what         string // is said to be missing
}

var guardedRoutes = []guardedRoute{
	{"POST", here + "?wait=0", access.Produce, 408, "timed_out", "produce on n/c"},
	{"PUT", here + "/?wait=0", access.Produce, 408, "timed_out", "produce on n/c"},
	{"GET", here + "?wait=0", access.Consume, 408, "timed_out", "consume on n/c"},
	{"GET", here + "?wait=0&headers", access.Consume, 408, "timed_out", "consume on n/c"},
	{"GET", here + "?wait=0&method=post&body=x", access.Produce, 408, "timed_out", "produce on n/c"},
	{"HEAD", here, access.Look, 404, "not_found", ""},
	{"DELETE", here, access.Delete, 404, "not_found", "delete on n/c"},
	{"DELETE", "/channels/n", access.Delete, 404, "not_found", "delete on n/*"},
	{"GET", "/channels/n", access.Look, 404, "not_found", "look on any channel of n"},
	{"HEAD", "/channels/n/", access.Look, 404, "not_found", ""},
	{"GET", "/channels/namespaces", access.Look, 200, "", "look on any channel"},
	{"HEAD", "/channels/namespaces", access.Look, 200, "", ""},
	{"GET", "/state", access.Look, 200, "", "look on any channel"},
	{"HEAD", "/state/", access.Look, 200, "", ""},
}

var allPermissions = []access.Permission{access.Produce, access.Consume, access.Delete, access.Look, access.Audit}

// TestAccess is every route with every kind of credential in every place.
func TestAccess(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t), func(c *Config) { c.ClientIPHeader, c.MaxHeader = "X-Real-IP", 4<<20 })
	attempt := 0
	for _, route := range guardedRoutes {
		type credential struct {
			name, text string
			status     int // 0: as the route says
		}
		p := string(route.permission)
		good := sign(t, secret, p+":n/*")
		credentials := []credential{
			{"the secret", secret, 0},
			{"the old secret", oldSecret, 0},
			{"another's secret", otherSecret, 401},
			{"a token", good, 0},
			{"an old token", sign(t, oldSecret, p+":*/*"), 0},
			{"a token for more", sign(t, secret, "audit,"+p+":x/y n/*"), 0},
			{"another server's token", sign(t, otherSecret, p+":*/*"), 401},
			{"an expired token", sign(t, secret, p+":*/*", func(t *access.Token) { t.Expires = time.Now().Add(-time.Minute) }), 401},
			{"a token of tomorrow", sign(t, secret, p+":*/*", func(t *access.Token) { t.From = time.Now().Add(time.Minute) }), 401},
			{"a truncated token", good[:len(good)-5], 401},
			{"an empty token", "", 401},
			{"alg none", forged(`{"alg":"none"}`), 401},
			{"RS256", forged(`{"alg":"RS256"}`), 401},
			{"1 MB", strings.Repeat("x", 1<<20), 401},
		}
		if !strings.Contains(route.what, "any channel") && route.path != "/channels/namespaces" && !strings.HasPrefix(route.path, "/state") {
			credentials = append(credentials, credential{"another channel's token", sign(t, secret, p+":x/* m/c"), 403})
		}
		for _, other := range allPermissions {
			if other != route.permission {
				credentials = append(credentials, credential{"a token to " + string(other), sign(t, secret, string(other)+":*/*"), 403})
			}
		}
		for _, c := range credentials {
			for place, with := range places {
				attempt++
				path, headers := with(route.path, c.text)
				headers = append(headers, fmt.Sprintf("X-Real-IP: 10.0.%d.%d", attempt>>8, attempt&255))
				name := fmt.Sprintf("%s %s with %s as %s", route.method, route.path, c.name, place)
				a := r.dial().Request(route.method, path, headers...).Answer()
				route.check(t, name, a, c.status)
			}
		}
		route.check(t, route.method+" "+route.path+" without a token", r.dial().Request(route.method, route.path).Answer(), 401)
	}
	r.Vanished()
}

// check asserts that an answer is 401 or 403 as it should be, or else what the route does.
func (route guardedRoute) check(t *testing.T, name string, a *answer, status int) {
	t.Helper()
	code, what := map[int]string{401: "unauthorized", 403: "forbidden"}[status], route.what
	if status == 0 {
		status, code, what = route.status, route.code, ""
	}
	if got := a.Header.Get(reply.HeaderError); a.StatusCode != status || got != code {
		t.Errorf("%s: %d %s %q, want %d %s", name, a.StatusCode, got, a.Text, status, code)
	}
	if challenged := a.Header.Get("WWW-Authenticate"); strings.HasPrefix(challenged, challenge) != (status == 401) {
		t.Errorf("%s: %d, and the challenge is %q", name, status, challenged)
	}
	if !strings.Contains(a.Text, what) {
		t.Errorf("%s: %q does not say %q", name, a.Text, what)
	}
}

// A client without the permission look cannot find out whether a channel exists.
func TestDenialsDoNotTell(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t))
	for _, credential := range []string{"", sign(t, secret, "audit:*/*")} {
		ask := func() (answers []string) {
			for _, route := range guardedRoutes {
				var headers []string
				if credential != "" {
					headers = append(headers, bearer(credential))
				}
				a := r.dial().Request(route.method, route.path, headers...).Answer()
				a.Header.Del("Date")
				answers = append(answers, fmt.Sprint(a.StatusCode, a.Header, a.Text))
			}
			return answers
		}
		before := ask()
		c := r.dial().Get(here, bearer(secret))
		r.Waiting(0, 1)
		for i, answer := range ask() {
			if answer != before[i] {
				t.Errorf("%v: %s, and when the channel exists %s", guardedRoutes[i], before[i], answer)
			}
		}
		r.dial().Request("DELETE", here, bearer(secret)).Answer().Is(204)
		c.Answer().Failed(410, "deleted")
	}
}

func TestAccessNeedsNoToken(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t))
	for _, headers := range [][]string{nil, {bearer("nonsense")}, {bearer(secret), basic("x", "y")}} {
		r.dial().Get("/healthz?token=nonsense", headers...).Answer().Is(200)
		r.dial().Request("OPTIONS", here, headers...).Answer().Is(204)
		a := r.dial().Request("OPTIONS", here, append(headers, "Origin: https://a", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization")...).Answer().Is(204)
		if got := a.Header.Get("Access-Control-Allow-Headers"); !strings.EqualFold(got, "authorization") {
			t.Errorf("allowed headers are %q", got)
		}
		r.dial().Get("/nowhere", headers...).Answer().Failed(404, "not_found")
		r.dial().Get("/channels/n/%41", headers...).Answer().Failed(400, "bad_name")
		r.dial().Request("PATCH", here, headers...).Answer().Failed(405, "method")
	}
	// A page may read what it is told.
	a := r.dial().Get(here, "Origin: https://a").Answer().Failed(401, "unauthorized")
	if a.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Error("a page cannot read its 401")
	}
}

func TestEveryone(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t, "produce:hooks/*", "look:pub/*"))
	const hook = "/channels/hooks/in?wait=0"
	r.dial().Post(hook, "x").Answer().Failed(408, "timed_out")
	r.dial().Post(hook, "x", bearer(sign(t, secret, "consume:jobs/*"))).Answer().Failed(408, "timed_out")
	// A token that is sent is checked, even if none is needed.
	r.dial().Post(hook, "x", bearer("nonsense")).Answer().Failed(401, "unauthorized")
	r.dial().Get(hook).Answer().Failed(401, "unauthorized")
	r.dial().Get(hook, bearer(sign(t, secret, "produce:*/*"))).Answer().Failed(403, "forbidden")
	r.dial().Request("HEAD", "/channels/pub/a").Answer().Failed(404, "not_found")
	r.dial().Get("/channels/hooks").Answer().Failed(401, "unauthorized")
}

func TestListsShowWhatOneMaySee(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t, "look:pub/*"))
	for _, channel := range []string{"a/one", "a/two", "b/one", "pub/x"} {
		r.dial().Get("/channels/"+channel, bearer(secret))
	}
	eventually(t, patience, "all wait", func() bool { return len(r.broker.Namespaces()) == 3 && len(r.broker.Channels("a")) == 2 })
	const nothing = "-"
	for _, test := range []struct{ grants, state, namespaces, a, b string }{
		{"", `{"pub":["x"]}`, `["pub"]`, nothing, nothing},
		{"look:*/*", `{"a":["one","two"],"b":["one"],"pub":["x"]}`, `["a","b","pub"]`, `["one","two"]`, `["one"]`},
		{"look:a/t* b/t*", `{"a":["two"],"pub":["x"]}`, `["a","pub"]`, `["two"]`, nothing},
		{"look:*/one", `{"a":["one"],"b":["one"],"pub":["x"]}`, `["a","b","pub"]`, `["one"]`, `["one"]`},
		{"consume,produce,delete,audit:*/*", `{"pub":["x"]}`, `["pub"]`, nothing, nothing},
	} {
		var headers []string
		if test.grants != "" {
			headers = append(headers, bearer(sign(t, secret, test.grants)))
		}
		for path, want := range map[string]string{"/state": test.state, "/channels/namespaces": test.namespaces, "/channels/a": test.a, "/channels/b": test.b} {
			a := r.dial().Get(path, headers...).Answer()
			switch {
			case want == nothing && a.StatusCode < 400 || want != nothing && a.Text != want+"\n":
				t.Errorf("%s with %q: %d %q, want %s", path, test.grants, a.StatusCode, a.Text, want)
			}
		}
	}
	// To have nothing to see is no error, only to have no leave to look.
	if a := r.dial().Get("/state", bearer(sign(t, secret, "look:x/y"))).Answer().Is(200); a.Text != "{\"pub\":[\"x\"]}\n" {
		t.Errorf("%q", a.Text)
	}
	alone := start(t, guarded(t))
	if a := alone.dial().Get("/channels/namespaces", bearer(sign(t, secret, "look:x/y"))).Answer().Is(200); a.Text != "[]\n" {
		t.Errorf("%q", a.Text)
	}
}

// To delete a namespace takes the permission for all of it.
func TestDeleteNamespaceTakesAllOfIt(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t))
	r.dial().Get(here, bearer(secret))
	r.Waiting(0, 1)
	for _, grants := range []string{"delete:n/c", "delete:n/c*", "delete:m/*"} {
		r.dial().Request("DELETE", "/channels/n", bearer(sign(t, secret, grants))).Answer().Failed(403, "forbidden")
	}
	r.Waiting(0, 1)
	r.dial().Request("DELETE", "/channels/n", bearer(sign(t, secret, "delete:n/*"))).Answer().Is(204)
	r.Vanished()
}

// The log has the names of both sides, and of refused clients with the reason. Many refusals of one client share a row.
func TestAccessIsOnRecord(t *testing.T) {
	t.Parallel()
	r := startAudited(t, guarded(t, "produce:hooks/*"), func(c *Config) { c.ClientIPHeader = "X-Real-IP" })
	taker := func(t *access.Token) { t.Name = "taker" }
	p := r.dial().Post(here, "x", bearer(sign(t, secret, "produce:n/*")))
	r.dial().Get(here, bearer(sign(t, secret, "consume:n/*", taker))).Answer().Got("x")
	p.Answer().Is(200)
	p = r.dial().Post("/channels/hooks/in", "x")
	r.dial().Get("/channels/hooks/in", bearer(secret)).Answer().Got("x")
	p.Answer().Is(200)
	got := r.rows(2, "SELECT namespace, producer_subject, consumer_subject FROM exchanges ORDER BY id")
	if got[0] != "n ci taker" || got[1] != "hooks  secret" {
		t.Errorf("the exchanges on record are %q", got)
	}

	expired := func(t *access.Token) { t.Expires = time.Now().Add(-time.Minute) }
	r.dial().Get(here+"?wait=0", bearer(sign(t, secret, "consume:n/*", taker))).Answer().Failed(408, "timed_out")
	r.dial().Get(here).Answer().Failed(401, "unauthorized")
	r.dial().Post(here, "x", bearer("nonsense")).Answer().Failed(401, "unauthorized")
	r.dial().Post(here, "x", bearer(sign(t, secret, "produce:n/*", expired))).Answer().Failed(401, "unauthorized")
	r.dial().Post(here, "x", bearer(sign(t, otherSecret, "produce:n/*", taker))).Answer().Failed(401, "unauthorized")
	r.dial().Request("DELETE", "/channels/n", bearer(sign(t, secret, "delete:n/c", taker))).Answer().Failed(403, "forbidden")
	r.dial().Get("/state?token=x&token=y").Answer().Failed(401, "unauthorized")
	want := []string{
		"n c consumer timed_out  taker",
		"n c consumer refused consume: no_token ",
		"n c producer refused produce: malformed ",
		"n c producer refused produce: expired ci",
		"n c producer refused produce: foreign ",
		"n   refused delete: not_granted taker",
		"   refused look: several_tokens ",
	}
	got = r.rows(len(want), "SELECT namespace, channel, role, outcome, reason, subject FROM requests ORDER BY id")
	if !slices.Equal(got, want) {
		t.Errorf("on record:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	for range 50 {
		r.dial().Get(here, bearer("guess"), "X-Real-IP: 192.0.2.9").Answer()
	}
	r.audit.Flush()
	const refusalRows = 10 // of one client in a minute
	got = r.rows(refusalRows+1, "SELECT count FROM requests WHERE addr = '192.0.2.9' ORDER BY id")
	if got[refusalRows] != fmt.Sprint(50-refusalRows) {
		t.Errorf("50 refusals are on record as %q", got)
	}
}
