package httpapi

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"httpipe/access"
	"httpipe/pipe"
	"httpipe/relay"
)

// Where a credential can be in a request, and that it is gone from there.

func TestOddCredentials(t *testing.T) {
	t.Parallel()
	token := sign(t, secret, "consume:n/*")
	raw := func(part string) string { return base64.RawURLEncoding.EncodeToString([]byte(part)) }
	const several, malformed, fine = "several tokens", "not a token", ""
	for _, test := range []struct {
		query   string
		headers []string
		want    string
	}{
		{"", []string{"authorization: bearer " + token}, fine},
		{"", []string{"AUTHORIZATION: BEARER   " + token}, fine},
		{"", []string{"Authorization: bAsIc " + base64.StdEncoding.EncodeToString([]byte("x:"+secret))}, fine},
		{"", []string{basic("some:"+token, "")}, malformed},
		{"", []string{basic(token, "")}, malformed},
		{"", []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(token))}, malformed},
		{"", []string{"Authorization: Basic " + token}, malformed},
		{"", []string{"Authorization: Basic"}, malformed},
		{"", []string{"Authorization: Basic !!!"}, malformed},
		{"", []string{"Authorization: " + token}, malformed},
		{"", []string{"Authorization: Bearer"}, malformed},
		{"", []string{"Authorization: Bearer "}, malformed},
		{"", []string{"Authorization:"}, malformed},
		{"", []string{"Authorization: Digest username=x"}, malformed},
		{"", []string{"Authorization: Token " + token}, malformed},
		{"", []string{bearer(token + ", Bearer " + token)}, malformed},
		{"", []string{bearer("\x80\xff")}, malformed},
		{"", []string{bearer(raw(`{"alg":"HS256"}`) + "." + raw(`{"allow":"consume"}`) + ".x")}, "consume on n/c: the token's allow is not valid: must be an array of strings"},
		{"", []string{bearer(raw(`{"alg":"RS256"}`) + "." + raw(`{}`) + ".x")}, "the token's alg is not valid: must be HS256"},
		{"", []string{bearer(token), bearer(token)}, several},
		{"", []string{bearer(token), "authorization: Basic x"}, several},
		{"&token=" + token, []string{bearer(token)}, several},
		{"&token=", []string{bearer(token)}, several},
		{"&token=" + token + "&token=" + token, nil, several},
		{"&token=" + token, nil, fine},
		{"&%74oken=" + token, nil, fine},
		{"&token=" + url.QueryEscape(secret), nil, fine},
		{"&token=" + secret, nil, fine}, // with its + as it is
		{"&token=" + strings.ReplaceAll(token, ".", "%2E"), nil, fine},
		{"&token", nil, malformed},
		{"&token=", nil, malformed},
		{"&token=%zz", nil, malformed},
		{"&token=%00", nil, malformed},
		{"&token=x" + token, nil, malformed},
		{"&TOKEN=" + token, nil, "needs a token"},
		{"&x=token=" + token, nil, "needs a token"},
		{"&tokens=" + token, nil, "needs a token"},
	} {
		r := start(t, guarded(t))
		a := r.dial().Get(here+"?wait=0"+test.query, test.headers...).Answer()
		if test.want == fine {
			a.Failed(408, "timed_out")
		} else if a.Failed(401, "unauthorized"); !strings.Contains(a.Text, test.want) {
			t.Errorf("%.50q %.80q: %q, want %s", test.query, test.headers, a.Text, test.want)
		}
	}
}

// Behind the secret, what is in the query beside a token still counts.
func TestTokenLeavesTheQueryAlone(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t))
	token := sign(t, secret, "consume,look:n/*")
	r.dial().Get(here+"?token="+token+"&wait=0").Answer().Failed(408, "timed_out")
	r.dial().Get(here+"?wait=x&token="+token).Answer().Failed(400, "bad_wait")
	r.dial().Get(here+"?wait=1;x&token="+token).Answer().Failed(400, "bad_wait")
	r.dial().Get("http://relay/state?token=" + token).Answer().Is(200)
	r.dial().Get("http://relay/channels/n/c?wait=0&token="+token).Answer().Failed(408, "timed_out")
}

// A token of 1 MB is too much for the head of a request as usual.
func TestTokenOverTheHeadersLimit(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t))
	c := r.dial()
	fmt.Fprintf(c, "GET /state HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", strings.Repeat("x", 40<<10))
	if a := c.Answer(); a.StatusCode != 431 {
		t.Errorf("the answer is %d", a.StatusCode)
	}
	r.dial().Get("/state", bearer(secret)).Answer().Is(200)
}

// A page that was asked for with a token in its address is not for showing, since it could give the address away.
func TestTokenInTheAddressIsForSaving(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t))
	token := sign(t, secret, "consume,produce:n/*")
	for _, test := range []struct{ sent, place, want string }{
		{"", "query", "attachment"},
		{"inline", "query", "attachment"},
		{"inline; filename=x", "query", "attachment"},
		{"attachment; filename=x y", "query", "attachment"},
		{"attachment; filename=x", "query", "attachment; filename=x"},
		{"", "bearer", ""},
		{"inline; filename=x", "basic", "inline; filename=x"},
	} {
		headers := []string{bearer(token), "Content-Type: text/html"}
		if test.sent != "" {
			headers = append(headers, "Content-Disposition: "+test.sent)
		}
		p := r.dial().Post(here, "<p>hello", headers...)
		path, credential := places[test.place](here, token)
		if a := r.dial().Get(path, credential...).Answer(); a.Header.Get("Content-Disposition") != test.want {
			t.Errorf("sent as %q, asked for by %s: %q, want %q", test.sent, test.place, a.Header.Get("Content-Disposition"), test.want)
		}
		p.Answer().Is(200)
	}
}

// After newRequest, no part of a request contains a credential.
func TestCredentialsAreTakenOut(t *testing.T) {
	t.Parallel()
	token := sign(t, secret, "consume:n/*")
	for place, with := range places {
		path, headers := with("http://relay/channels/n/c?a=b;c&wait=1", token)
		r := newRequest(relay.NewRequest(parseRequest(t, "GET "+path+" HTTP/1.1\r\nHost: relay\r\n"+strings.Join(append(headers, "X: y"), "\r\n")+"\r\n\r\n")))
		if c := r.credentials; c.last != token || c.inURL != (place == "query") {
			t.Errorf("as %s it is %+v", place, c)
		}
		rest := fmt.Sprintf("%+v", *r.Request)
		if strings.Contains(rest, token) || strings.Contains(rest, base64.StdEncoding.EncodeToString([]byte(":"+token))) {
			t.Errorf("as %s it stays: %s", place, rest)
		}
		if r.Path != "/channels/n/c" || r.Query != "a=b;c&wait=1" || r.Header.Get("X") != "y" {
			t.Errorf("with it went more: %s", rest)
		}
	}
}

func parseRequest(t testing.TB, wire string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:1234"
	return r
}

// FuzzCredential: no request without the secret is admitted, and no credential stays in a request.
func FuzzCredential(f *testing.F) {
	for _, seed := range [][2]string{
		{bearer(secret), ""}, {basic("x", secret), "a=b"}, {"", "token=" + secret}, {"Authorization: Bearer", "token"},
		{"authorization:bearer\tx\r\nAuthorization: Digest y", "%74oken=%zz&token=x;token=y"},
	} {
		f.Add(seed[0], seed[1])
	}
	s := New(Config{ReadAhead: 1 << 10, MaxHeader: 32 << 10, CORSOrigins: []string{"*"}, Logger: slog.New(slog.DiscardHandler)}.with(guarded(f)))
	f.Fuzz(func(t *testing.T, headers, query string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET /state?" + query + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n\r\n")))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1234"
		left := newRequest(relay.NewRequest(r.Clone(t.Context())))
		values, _ := url.ParseQuery(left.Query)
		if _, sent := left.Header.Lookup("Authorization"); values.Has("token") || sent || strings.Contains(left.Path, "?") {
			t.Errorf("a credential stays in %+v", *left.Request)
		}
		s.gate.failures = newRates(failuresPerMinute)
		w := httptest.NewRecorder()
		serveOrAbort(t, s, w, r)
		if w.Code >= 400 {
			if w.Code != 401 || strings.Count(w.Body.String(), "\n") != 1 {
				t.Errorf("%d %q", w.Code, w.Body)
			}
			return
		}
		shown := headers
		for word := range strings.FieldsSeq(headers) {
			decoded, _ := base64.StdEncoding.DecodeString(word)
			shown += string(decoded)
		}
		for pair := range strings.SplitSeq(query, "&") {
			decoded, _ := url.PathUnescape(pair)
			shown += decoded
		}
		if !strings.Contains(shown, secret) && !strings.Contains(shown, oldSecret) {
			t.Errorf("%q %q came in", headers, query)
		}
	})
}

// Patterns and names are made of the same characters.
func TestPatternsTakeEveryName(t *testing.T) {
	for c := range rune(256) {
		_, err := access.ParsePattern("n/x" + string(c))
		if isName := pipe.CheckName("channel", "x"+string(c)) == nil; isName != (err == nil) {
			t.Errorf("%q is of a name: %v, of a pattern: %v", c, isName, err)
		}
	}
}

// BenchmarkAccess is a request that does next to nothing, on a server without and with a secret.
func BenchmarkAccess(b *testing.B) {
	nothing := func(*Config) {}
	for _, test := range []struct {
		name   string
		change func(*Config)
		header string
	}{
		{"open", nothing, "X: y"},
		{"everyone", guarded(b, "look:n/*"), "X: y"},
		{"secret", guarded(b), bearer(secret)},
		{"token", guarded(b), bearer(sign(b, secret, "consume,look:jobs/* n/*"))},
	} {
		b.Run(test.name, func(b *testing.B) {
			s := New(Config{ReadAhead: 1 << 10, MaxHeader: 32 << 10, CORSOrigins: []string{"*"}, Logger: slog.New(slog.DiscardHandler)}.with(test.change))
			h, wire := http.Handler(s), "HEAD "+here+" HTTP/1.1\r\nHost: relay\r\n"+test.header+"\r\n\r\n"
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(httptest.NewRecorder(), parseRequest(b, wire))
			}
		})
	}
}

// with returns c after the change.
func (c Config) with(change func(*Config)) Config {
	change(&c)
	return c
}

// TestForeignAuthorization: a consumer that asks for the producer's headers sees an Authorization that is not for this server,
// such as a webhook's, and never one that could be.
func TestForeignAuthorization(t *testing.T) {
	for _, test := range []struct {
		name    string
		changes []func(*Config)
		headers []string
		want    []string
	}{
		{"another server's token", nil, []string{bearer("theirs")}, []string{"Bearer theirs"}},
		{"another scheme", nil, []string{"Authorization: HMAC x"}, []string{"HMAC x"}},
		{"two", nil, []string{bearer("theirs"), basic("x", "y")}, []string{"Bearer theirs", "Basic eDp5"}},
		{"the audit key", nil, []string{withKey}, nil},
		{"the audit key as a password", nil, []string{basic("x", auditKey)}, nil},
		{"the audit key and another", nil, []string{bearer("theirs"), withKey}, nil},
		{"the secret", []func(*Config){guarded(t)}, []string{bearer(secret)}, nil},
		{"a token", []func(*Config){guarded(t, "produce:*/*")}, []string{bearer(sign(t, secret, "produce:*/*"))}, nil},
	} {
		r := start(t, test.changes...)
		consumer := []string{}
		if test.changes != nil {
			consumer = append(consumer, bearer(secret))
		}
		for _, connection := range []string{"Connection: keep-alive", "Connection: keep-alive, x"} { // for the engine, and for net/http
			r.dial().Post(here+"?token=&q&token=x", "hello", connection) // is ignored, or refused
			if test.changes == nil {
				r.Waiting(1, 0)
			}
			r.dial().Post(here+"?q", "hello", append(test.headers, connection)...)
			a := r.dial().Get(here+"?headers", consumer...).Answer().Got("hello")
			if test.changes == nil {
				if q := a.Header.Get("Httpipe-Query"); q != "q" {
					t.Errorf("%s: the query is %q", test.name, q)
				}
				a = r.dial().Get(here+"?headers", consumer...).Answer().Got("hello")
			}
			if got := a.Header.Values("Httpipe-Header-Authorization"); !slices.Equal(got, test.want) {
				t.Errorf("%s: the consumer sees %q, want %q", test.name, got, test.want)
			}
		}
	}
}
