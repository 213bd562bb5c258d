package access

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
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

// signClaims makes a token with any claims and any algorithm.
func signClaims(t testing.TB, m jwt.SigningMethod, key any, c jwt.MapClaims) string {
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

// assembleToken makes a token from its parts.
func assembleToken(header, payload, signature string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(payload)) + "." + signature
}

// An authTest is a credential and the expected result: the name of its bearer, or the reason for a denial.
type authTest struct {
	name, credential string
	who              string
	want             error
}

func testAuthenticate(t *testing.T, tests []authTest) {
	t.Parallel()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := testGuard(t)
			for range 2 { // the second time from the cache
				b, err := g.Authenticate(test.credential, now)
				if !errors.Is(err, test.want) || b != nil && b.Name != test.who || (b != nil) != (test.who != "") {
					t.Fatalf("got %+v, %v, want %q, %v", b, err, test.who, test.want)
				}
				if known := g.Known(test.credential); known != (test.who != "") {
					t.Errorf("Known is %v", known)
				}
			}
		})
	}
}

func TestAuthenticate(t *testing.T) {
	testAuthenticate(t, []authTest{
		{"the secret", secret, "secret", nil},
		{"the old secret", oldSecret, "secret", nil},
		{"another's secret", otherSecret, "", Malformed},
		{"both secrets", secret + "," + oldSecret, "", Malformed},
		{"half the secret", secret[:16], "", Malformed},
		{"the secret and more", secret + "x", "", Malformed},
		{"nothing", "", "", Malformed},
		{"dots", "..", "", Malformed},

		{"a token", sign(t, secret), "ci", nil},
		{"signed with the old secret", sign(t, oldSecret), "ci", nil},
		{"another server's", sign(t, otherSecret), "", WrongSignature},
		{"without end", sign(t, secret, func(t *Token) { t.Expires = time.Time{} }), "ci", nil},
		{"expired", sign(t, secret, func(t *Token) { t.Expires = now.Add(-leeway) }), "ci", Expired},
		{"just expired", sign(t, secret, func(t *Token) { t.Expires = now.Add(-leeway + time.Second) }), "ci", nil},
		{"not yet valid", sign(t, secret, func(t *Token) { t.From = now.Add(leeway + time.Second) }), "ci", NotYetValid},
		{"almost valid", sign(t, secret, func(t *Token) { t.From = now.Add(leeway) }), "ci", nil},
		{"expired, another server's", sign(t, otherSecret, func(t *Token) { t.Expires = now.Add(-time.Hour) }), "", WrongSignature},
	})
}

func TestAlteredTokens(t *testing.T) {
	good := sign(t, secret)
	testAuthenticate(t, []authTest{
		{"truncated", good[:len(good)-1], "", Malformed},
		{"without its signature", good[:strings.LastIndex(good, ".")+1], "", WrongSignature},
		{"two thirds", good[:strings.LastIndex(good, ".")], "", Malformed},
		{"four segments", good + ".x", "", Malformed},
		{"a blank", good + " ", "", Malformed},
		{"another's payload", assembleToken(`{"alg":"HS256"}`, strings.Replace(consumerPayload, "consume", "produce", 1), good[strings.LastIndex(good, ".")+1:]), "", WrongSignature},
		{"1 MB", strings.Repeat("x", 1<<20), "", Malformed},
		{"1 MB of token", good + strings.Repeat("x", 1<<20), "", Malformed},
		{"1 MB of dots", strings.Repeat(".", 1<<20), "", Malformed},
	})
}

func TestAlgorithms(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	testAuthenticate(t, []authTest{
		{"alg none", signClaims(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, goodClaims(nil)), "", Malformed},
		{"alg None", assembleToken(`{"alg":"None"}`, consumerPayload, ""), "", Malformed},
		{"no alg", assembleToken(`{}`, consumerPayload, ""), "", Malformed},
		{"alg 5", assembleToken(`{"alg":5}`, consumerPayload, ""), "", Malformed},
		{"no header", assembleToken(``, consumerPayload, ""), "", Malformed},
		{"HS384", signClaims(t, jwt.SigningMethodHS384, []byte(secret), goodClaims(nil)), "", Malformed},
		{"HS512", signClaims(t, jwt.SigningMethodHS512, []byte(secret), goodClaims(nil)), "", Malformed},
		{"RS256", signClaims(t, jwt.SigningMethodRS256, key, goodClaims(nil)), "", Malformed},
		{"HS256 by the public key", signClaims(t, method, public, goodClaims(nil)), "", WrongSignature},
		{"RS256 by the secret", rsaConfusedToken(t), "", Malformed},
		{"HS256 by nothing", signClaims(t, method, []byte{}, goodClaims(nil)), "", WrongSignature},
	})
}

func TestClaims(t *testing.T) {
	hs := func(changes jwt.MapClaims) string { return signClaims(t, method, []byte(secret), goodClaims(changes)) }
	testAuthenticate(t, []authTest{
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
	})
}

// rsaConfusedToken makes a token whose header says RS256, but which is signed with the secret.
func rsaConfusedToken(t *testing.T) string {
	t.Helper()
	text := assembleToken(`{"alg":"RS256","typ":"JWT"}`, `{"sub":"ci","allow":["consume"],"channels":["jobs/*"]}`, "")
	signature, err := method.Sign(text[:len(text)-1], []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text + base64.RawURLEncoding.EncodeToString(signature)
}

// signedBy signs any payload, valid or not.
func signedBy(t testing.TB, key, payload string) string {
	t.Helper()
	return signedWith(t, `{"alg":"HS256"}`, key, payload)
}

func signedWith(t testing.TB, header, key, payload string) string {
	t.Helper()
	text := assembleToken(header, payload, "")
	signature, err := method.Sign(text[:len(text)-1], []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return text + base64.RawURLEncoding.EncodeToString(signature)
}

func TestRights(t *testing.T) {
	t.Parallel()
	g := testGuard(t)
	owner, err := g.Authenticate(secret, now)
	if err != nil {
		t.Fatal(err)
	}
	ci, err := g.Authenticate(sign(t, secret), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Permissions {
		if !owner.May(p, "any", "thing") || !owner.MayAll(p, "any") {
			t.Errorf("the secret may not %s", p)
		}
	}
	if !ci.May(Consume, "jobs", "a") || ci.May(Consume, "other", "a") || ci.May(Produce, "jobs", "a") {
		t.Error("the token does not allow exactly what it says")
	}
	if !ci.May(Produce, "hooks", "a") || !g.Anonymous().May(Produce, "hooks", "a") || g.Anonymous().May(Consume, "hooks", "a") {
		t.Error("clients without a credential may not do exactly what is granted to everyone")
	}
}

// A token in the cache expires like any other.
func TestCachedTokenExpires(t *testing.T) {
	t.Parallel()
	g := testGuard(t)
	token := sign(t, secret)
	if _, err := g.Authenticate(token, now); err != nil {
		t.Fatal(err)
	}
	if b, err := g.Authenticate(token, now.Add(2*time.Hour)); err != Expired || b.Name != "ci" {
		t.Errorf("two hours later: %v, %v", b, err)
	}
	if _, err := g.Authenticate(token, now.Add(-time.Hour)); err != NotYetValid {
		t.Errorf("an hour before: %v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	g := testGuard(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range maxCached {
				token := sign(t, secret, func(t *Token) { t.Name = fmt.Sprint(i, "-", j) })
				if b, err := g.Authenticate(token, now); err != nil || b.Name != fmt.Sprint(i, "-", j) {
					t.Errorf("%v, %v", b, err)
				}
				g.Authenticate(fmt.Sprint("nonsense", j), now)
			}
		})
	}
	all.Wait()
	if n := g.cache.Len(); n > maxCached {
		t.Errorf("%d credentials are in the cache", n)
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
	for text, want := range map[string]error{secret: nil, oldSecret: WrongSignature} {
		if _, err := New(secrets(t, text), nil).Authenticate(token, now); err != want {
			t.Errorf("with the secret %s: %v, want %v", text, err, want)
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
			t.Errorf("the error contains the secret: %v", err)
		}
	}
}

// FuzzAuthenticate checks that a credential is accepted only if it is a secret, or a token that an independent
// implementation verifies.
func FuzzAuthenticate(f *testing.F) {
	good := sign(f, secret)
	for _, seed := range []string{"", "..", secret, oldSecret, good, good[:len(good)-2], sign(f, otherSecret),
		assembleToken(`{"alg":"none"}`, `{"sub":"a","allow":["produce"],"channels":["*/*"]}`, ""), strings.ToUpper(secret),
		tokenWithClaim(f, "nbf", "1e300"), tokenWithClaim(f, "exp", "9223372036854775808"), signedWith(f, `{"alg":"HS256","crit":["x"]}`, secret, consumerPayload)} {
		f.Add(seed)
	}
	g := testGuard(f)
	f.Fuzz(func(t *testing.T, credential string) {
		b, err := g.Authenticate(credential, now)
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
		t.Errorf("%q is accepted as %+v", credential, b)
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	for name, credential := range map[string]string{"secret": secret, "token": sign(b, secret), "foreign": sign(b, otherSecret)} {
		b.Run(name, func(b *testing.B) {
			g := testGuard(b)
			b.ReportAllocs()
			for b.Loop() {
				g.Authenticate(credential, now)
			}
		})
		b.Run(name+" forgotten", func(b *testing.B) {
			g := testGuard(b)
			b.ReportAllocs()
			for b.Loop() {
				g.cache.Purge()
				g.Authenticate(credential, now)
			}
		})
	}
}
