package access

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	secret      = "0123456789abcdefghijklmnopqrstuv"
	oldSecret   = "the-secret-that-was-used-before+/="
	otherSecret = "another-server-has-this-secret/+="
)

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func secrets(t testing.TB, text string) Secrets {
	t.Helper()
	s, err := ParseSecrets(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testGuard(t testing.TB) *Guard {
	return New(secrets(t, secret+","+oldSecret), []Grant{{Produce, Pattern{"hooks", "*"}}})
}

// sign makes a token for consuming on jobs/*, with changes.
func sign(t testing.TB, by string, changes ...func(*Token)) string {
	t.Helper()
	token := Token{Name: "ci", Allow: []Permission{Consume}, Channels: []string{"jobs/*"}, From: now, Expires: now.Add(time.Hour)}
	for _, change := range changes {
		change(&token)
	}
	signed, err := secrets(t, by).Sign(token)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// foreign makes a token as other libraries do, out of any claims.
func foreign(t testing.TB, m jwt.SigningMethod, key any, c jwt.MapClaims) string {
	t.Helper()
	signed, err := jwt.NewWithClaims(m, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func goodClaims(changes jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{"sub": "ci", "allow": []string{"consume"}, "channels": []string{"jobs/*"}, "exp": now.Add(time.Hour).Unix()}
	for name, value := range changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

// segments puts a token together by hand.
func segments(header, payload, signature string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(payload)) + "." + signature
}

func TestJudge(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	const payload = `{"sub":"ci","allow":["consume"],"channels":["jobs/*"]}`
	good := sign(t, secret)
	hs := func(changes jwt.MapClaims) string { return foreign(t, method, []byte(secret), goodClaims(changes)) }

	for _, test := range []struct {
		name, credential string
		who              string
		want             error
	}{
		{"the secret", secret, "secret", nil},
		{"the old secret", oldSecret, "secret", nil},
		{"another's secret", otherSecret, "", Malformed},
		{"both secrets", secret + "," + oldSecret, "", Malformed},
		{"half the secret", secret[:16], "", Malformed},
		{"the secret and more", secret + "x", "", Malformed},
		{"nothing", "", "", Malformed},
		{"dots", "..", "", Malformed},

		{"a token", good, "ci", nil},
		{"an old one", sign(t, oldSecret), "ci", nil},
		{"another server's", sign(t, otherSecret), "", Foreign},
		{"for ever", sign(t, secret, func(t *Token) { t.Expires = time.Time{} }), "ci", nil},
		{"expired", sign(t, secret, func(t *Token) { t.Expires = now.Add(-leeway) }), "ci", Expired},
		{"just expired", sign(t, secret, func(t *Token) { t.Expires = now.Add(-leeway + time.Second) }), "ci", nil},
		{"not yet valid", sign(t, secret, func(t *Token) { t.From = now.Add(leeway + time.Second) }), "ci", NotYetValid},
		{"almost valid", sign(t, secret, func(t *Token) { t.From = now.Add(leeway) }), "ci", nil},
		{"expired, another server's", sign(t, otherSecret, func(t *Token) { t.Expires = now.Add(-time.Hour) }), "", Foreign},

		{"truncated", good[:len(good)-1], "", Malformed},
		{"without its signature", good[:strings.LastIndex(good, ".")+1], "", Foreign},
		{"two thirds", good[:strings.LastIndex(good, ".")], "", Malformed},
		{"four segments", good + ".x", "", Malformed},
		{"a blank", good + " ", "", Malformed},
		{"another's payload", segments(`{"alg":"HS256"}`, strings.Replace(payload, "consume", "produce", 1), good[strings.LastIndex(good, ".")+1:]), "", Foreign},
		{"1 MB", strings.Repeat("x", 1<<20), "", Malformed},
		{"1 MB of token", good + strings.Repeat("x", 1<<20), "", Malformed},
		{"1 MB of dots", strings.Repeat(".", 1<<20), "", Malformed},

		{"alg none", foreign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, goodClaims(nil)), "", Malformed},
		{"alg None", segments(`{"alg":"None"}`, payload, ""), "", Malformed},
		{"no alg", segments(`{}`, payload, ""), "", Malformed},
		{"alg 5", segments(`{"alg":5}`, payload, ""), "", Malformed},
		{"no header", segments(``, payload, ""), "", Malformed},
		{"HS384", foreign(t, jwt.SigningMethodHS384, []byte(secret), goodClaims(nil)), "", Malformed},
		{"HS512", foreign(t, jwt.SigningMethodHS512, []byte(secret), goodClaims(nil)), "", Malformed},
		{"RS256", foreign(t, jwt.SigningMethodRS256, key, goodClaims(nil)), "", Malformed},
		{"HS256 by the public key", foreign(t, method, public, goodClaims(nil)), "", Foreign},
		{"RS256 by the secret", confused(t), "", Malformed},
		{"HS256 by nothing", foreign(t, method, []byte{}, goodClaims(nil)), "", Foreign},

		{"another library's", hs(jwt.MapClaims{"iss": "x", "aud": []string{"y"}, "iat": now.Unix(), "jti": "1", "more": 5}), "ci", nil},
		{"without exp", hs(jwt.MapClaims{"exp": nil}), "ci", nil},
		{"half a second left", hs(jwt.MapClaims{"exp": float64(now.Unix()) + .5}), "ci", nil},
		{"without sub", hs(jwt.MapClaims{"sub": nil}), "", Malformed},
		{"sub secret", hs(jwt.MapClaims{"sub": "secret"}), "", Malformed},
		{"sub audit-key", hs(jwt.MapClaims{"sub": "audit-key"}), "", Malformed},
		{"sub with a newline", hs(jwt.MapClaims{"sub": "a\nb"}), "", Malformed},
		{"sub a number", hs(jwt.MapClaims{"sub": 5}), "", Malformed},
		{"without allow", hs(jwt.MapClaims{"allow": nil}), "", Malformed},
		{"allow nothing", hs(jwt.MapClaims{"allow": []string{}}), "", Malformed},
		{"allow a word", hs(jwt.MapClaims{"allow": "consume"}), "", Malformed},
		{"allow something else", hs(jwt.MapClaims{"allow": []string{"consume", "admin"}}), "", Malformed},
		{"without channels", hs(jwt.MapClaims{"channels": nil}), "", Malformed},
		{"no pattern", hs(jwt.MapClaims{"channels": []string{"jobs"}}), "", Malformed},
		{"exp a word", hs(jwt.MapClaims{"exp": "tomorrow"}), "", Malformed},
		{"claims null", signedBy(t, secret, `null`), "", Malformed},
		{"claims a list", signedBy(t, secret, `[]`), "", Malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := testGuard(t)
			for range 2 { // and once more when it is remembered
				b, err := g.Judge(test.credential, now)
				if err != test.want || b != nil && b.Name != test.who || (b != nil) != (test.who != "") {
					t.Fatalf("it is judged as %+v, %v, want %q, %v", b, err, test.who, test.want)
				}
				if known := g.Known(test.credential); known != (test.who != "") {
					t.Errorf("known: %v", known)
				}
			}
		})
	}
}

// confused makes a token that says it is signed by RSA and is signed with the secret.
func confused(t *testing.T) string {
	t.Helper()
	text := segments(`{"alg":"RS256","typ":"JWT"}`, `{"sub":"ci","allow":["consume"],"channels":["jobs/*"]}`, "")
	signature, err := method.Sign(text[:len(text)-1], []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text + base64.RawURLEncoding.EncodeToString(signature)
}

// signedBy signs a payload that no library would make.
func signedBy(t testing.TB, key, payload string) string {
	t.Helper()
	return signedWith(t, `{"alg":"HS256"}`, key, payload)
}

func signedWith(t testing.TB, header, key, payload string) string {
	t.Helper()
	text := segments(header, payload, "")
	signature, err := method.Sign(text[:len(text)-1], []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return text + base64.RawURLEncoding.EncodeToString(signature)
}

func TestRights(t *testing.T) {
	t.Parallel()
	g := testGuard(t)
	owner, err := g.Judge(secret, now)
	if err != nil {
		t.Fatal(err)
	}
	ci, err := g.Judge(sign(t, secret), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range permissions {
		if !owner.May(p, "any", "thing") || !owner.MayAll(p, "any") {
			t.Errorf("the secret may not %s", p)
		}
	}
	if !ci.May(Consume, "jobs", "a") || ci.May(Consume, "other", "a") || ci.May(Produce, "jobs", "a") {
		t.Error("the token allows something else than it says")
	}
	if !ci.May(Produce, "hooks", "a") || !g.Nobody().May(Produce, "hooks", "a") || g.Nobody().May(Consume, "hooks", "a") {
		t.Error("everybody may something else than was granted")
	}
}

// A token that is remembered is not good for longer.
func TestRememberedTokenExpires(t *testing.T) {
	t.Parallel()
	g := testGuard(t)
	token := sign(t, secret)
	if _, err := g.Judge(token, now); err != nil {
		t.Fatal(err)
	}
	if b, err := g.Judge(token, now.Add(2*time.Hour)); err != Expired || b.Name != "ci" {
		t.Errorf("two hours later it is judged as %v, %v", b, err)
	}
	if _, err := g.Judge(token, now.Add(-time.Hour)); err != NotYetValid {
		t.Errorf("an hour before: %v", err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	g := testGuard(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range maxKnown {
				token := sign(t, secret, func(t *Token) { t.Name = fmt.Sprint(i, "-", j) })
				if b, err := g.Judge(token, now); err != nil || b.Name != fmt.Sprint(i, "-", j) {
					t.Errorf("%v, %v", b, err)
				}
				g.Judge(fmt.Sprint("nonsense", j), now)
			}
		})
	}
	all.Wait()
	if n := g.known.Len(); n > maxKnown {
		t.Errorf("%d credentials are remembered", n)
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	s := secrets(t, secret+","+oldSecret)
	good := Token{Name: "ci", Allow: []Permission{Produce}, Channels: []string{"jobs/*"}}
	token, err := s.Sign(good)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]error{secret: nil, oldSecret: Foreign} {
		if _, err := New(secrets(t, text), nil).Judge(token, now); err != want {
			t.Errorf("to a server with the secret %s it is %v, want %v", text, err, want)
		}
	}
	many := make([]string, 500)
	for i := range many {
		many[i] = fmt.Sprintf("namespace/%d", i)
	}
	for name, change := range map[string]func(*Token){
		"no name":         func(t *Token) { t.Name = "" },
		"a long name":     func(t *Token) { t.Name = strings.Repeat("x", 256) },
		"a name of ours":  func(t *Token) { t.Name = "secret" },
		"another of ours": func(t *Token) { t.Name = "audit-key" },
		"a newline":       func(t *Token) { t.Name = "a\nb" },
		"no UTF-8":        func(t *Token) { t.Name = "\xff" },
		"no permission":   func(t *Token) { t.Allow = nil },
		"another":         func(t *Token) { t.Allow = []Permission{"admin"} },
		"no channels":     func(t *Token) { t.Channels = nil },
		"no pattern":      func(t *Token) { t.Channels = []string{"jobs"} },
		"500 of patterns": func(t *Token) { t.Channels = many },
	} {
		bad := good
		change(&bad)
		if token, err := s.Sign(bad); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %.20q, %v, want an error of one line", name, token, err)
		}
	}
}

func TestParseSecrets(t *testing.T) {
	t.Parallel()
	for text, n := range map[string]int{
		secret:                                  1,
		" " + secret + " ":                      1,
		secret + "," + oldSecret:                2,
		secret + ", " + oldSecret:               2,
		"":                                      0,
		secret[1:]:                              0,
		secret + ",":                            0,
		"," + secret:                            0,
		secret + ",short":                       0,
		secret + "," + secret + "," + oldSecret: 0,
		secret[:20] + " " + secret[20:]:         0,
		secret + "\x00":                         0,
		"ü" + secret:                            0,
		strings.Repeat("x", maxToken+1):         0,
	} {
		s, err := ParseSecrets(text)
		if len(s.keys) != n || (err == nil) != (n > 0) {
			t.Errorf("%.50q: %d secrets, %v", text, len(s.keys), err)
		}
		if err != nil && strings.Contains(err.Error(), secret[1:20]) {
			t.Errorf("the error has the secret: %v", err)
		}
	}
}

// FuzzJudge: nobody is let in but who has a secret or a token that verifies by another reading of the standard.
func FuzzJudge(f *testing.F) {
	good := sign(f, secret)
	for _, seed := range []string{"", "..", secret, oldSecret, good, good[:len(good)-2], sign(f, otherSecret),
		segments(`{"alg":"none"}`, `{"sub":"a","allow":["produce"],"channels":["*/*"]}`, ""), strings.ToUpper(secret),
		dated(f, "nbf", "1e300"), dated(f, "exp", "9223372036854775808"), signedWith(f, `{"alg":"HS256","crit":["x"]}`, secret, consumer)} {
		f.Add(seed)
	}
	g := testGuard(f)
	f.Fuzz(func(t *testing.T, credential string) {
		b, err := g.Judge(credential, now)
		if err != nil && b == nil {
			return
		}
		if credential == secret || credential == oldSecret {
			return
		}
		text, signature, _ := strings.Cut(credential[strings.Index(credential, ".")+1:], ".")
		text = credential[:strings.Index(credential, ".")+1] + text
		for _, key := range []string{secret, oldSecret} {
			if sum, _ := method.Sign(text, []byte(key)); base64.RawURLEncoding.EncodeToString(sum) == signature {
				return
			}
		}
		t.Errorf("%q is let in as %+v", credential, b)
	})
}

func BenchmarkJudge(b *testing.B) {
	for name, credential := range map[string]string{"secret": secret, "token": sign(b, secret), "foreign": sign(b, otherSecret)} {
		b.Run(name, func(b *testing.B) {
			g := testGuard(b)
			b.ReportAllocs()
			for b.Loop() {
				g.Judge(credential, now)
			}
		})
		b.Run(name+" forgotten", func(b *testing.B) {
			g := testGuard(b)
			b.ReportAllocs()
			for b.Loop() {
				g.known.Purge()
				g.Judge(credential, now)
			}
		})
	}
}
