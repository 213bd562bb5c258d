package access

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// consumerPayload is the payload of a token for consuming.
const consumerPayload = `{"sub":"ci","allow":["consume"],"channels":["jobs/*"]}`

// tokenWithClaim makes a token with one more claim, whose value is JSON.
func tokenWithClaim(t testing.TB, claim, value string) string {
	t.Helper()
	return signedBy(t, secret, fmt.Sprintf(`%s,%q:%s}`, strings.TrimSuffix(consumerPayload, "}"), claim, value))
}

const past, future, bad = -1, 1, 0

// dates are values of exp and nbf, and when they are.
var dates = map[string]int{
	"0":                              past,
	"-1":                             past,
	"-0":                             past,
	"-62135596800":                   past, // the zero time.Time
	"-62135596830":                   past, // the same with the leeway
	"-62135596770":                   past,
	"-9223372036854775808":           past,
	"-9223372036854775809":           past,
	"-1e300":                         past,
	"-1e400":                         past,
	"1e-400":                         past,
	"1e9":                            past,
	"1.5e+9":                         past,
	"1500000000.999":                 past,
	fmt.Sprint(now.Unix() - 31):      past,
	fmt.Sprint(now.Unix()+31) + ".0": future,
	"4102444800":                     future,
	"41024448e2":                     future,
	"4.1024448E9":                    future,
	"9007199254740993":               future, // 2^53+1
	"9223372036854775807":            future, // 2^63-1
	"9223372036854775808":            future,
	"9223372036854775808.5":          future,
	"18446744073709551615":           future, // 2^64-1
	"18446744073709551616":           future,
	"36893488147419103232":           future, // 2^65
	"1e300":                          future,
	"1e400":                          future, // beyond float64
	"1" + strings.Repeat("0", 1000):  future,
	"-1" + strings.Repeat("0", 1000): past,
	`"4102444800"`:                   bad,
	`"tomorrow"`:                     bad,
	`""`:                             bad,
	`"Infinity"`:                     bad,
	"null":                           bad,
	"true":                           bad,
	"false":                          bad,
	"[4102444800]":                   bad,
	`{"seconds":4102444800}`:         bad,
	"NaN":                            bad,
	"Infinity":                       bad,
	"0x10":                           bad,
	"+1":                             bad,
	"01":                             bad,
	"1_000":                          bad,
	".5":                             bad,
}

// TestDates checks that times of any size are before or after now, and that other values are rejected.
func TestDates(t *testing.T) {
	t.Parallel()
	for value, want := range dates {
		for claim, verdicts := range map[string]map[int]error{
			"nbf": {past: nil, future: NotYetValid, bad: Malformed},
			"exp": {past: Expired, future: nil, bad: Malformed},
		} {
			g := testGuard(t)
			for range 2 { // the second time from the cache
				if _, err := g.Authenticate(tokenWithClaim(t, claim, value), now); !errors.Is(err, verdicts[want]) {
					t.Errorf("%s %.40s: %v, want %v", claim, value, err, verdicts[want])
				}
			}
		}
	}
}

// TestClaimErrors checks that a malformed token's error names the claim.
func TestClaimErrors(t *testing.T) {
	t.Parallel()
	const payload = `{"sub":%s,"allow":%s,"channels":%s,"exp":%s,"nbf":%s}`
	for _, test := range []struct{ header, sub, allow, channels, exp, nbf, want string }{
		{want: "<nil>"},
		{exp: `"2030"`, want: "exp: must be a number of seconds since 1970"},
		{exp: `null`, want: "exp: must be a number of seconds since 1970"},
		{nbf: `"2030"`, want: "nbf: must be a number of seconds since 1970"},
		{sub: `null`, want: "sub: a token's name must have 1 to 255 bytes"},
		{sub: `5`, want: "sub: must be a string"},
		{allow: `"consume"`, want: "allow: must be an array of strings"},
		{allow: `["consume", 5]`, want: "allow: must be an array of strings"},
		{allow: `["read"]`, want: `allow: "read" is not a permission; the permissions are produce, consume, delete, look, audit`},
		{allow: `[]`, want: "allow: a token needs at least one permission"},
		{channels: `"a/b"`, want: "channels: must be an array of strings"},
		{channels: `["jobs"]`, want: `channels: "jobs" is not a channel pattern; want namespace/channel, where * matches any part of a name, such as jobs/*; separate several with spaces`},
		{channels: `null`, want: "channels: a token needs at least one channel pattern"},
		{header: `{"alg":"RS256"}`, want: "alg: must be HS256"},
		{header: `{"alg":"none"}`, want: "alg: must be HS256"},
		{header: `{}`, want: "malformed"},
	} {
		claims := fmt.Sprintf(payload, cmp.Or(test.sub, `"ci"`), cmp.Or(test.allow, `["consume"]`), cmp.Or(test.channels, `["jobs/*"]`), cmp.Or(test.exp, "4102444800"), cmp.Or(test.nbf, "0"))
		_, err := testGuard(t).Authenticate(signedWith(t, cmp.Or(test.header, `{"alg":"HS256"}`), secret, claims), now)
		got := fmt.Sprint(err)
		if wrong, ok := errors.AsType[*ClaimError](err); ok {
			got = wrong.Claim + ": " + wrong.Err.Error()
		}
		if got != test.want || err != nil && (!errors.Is(err, Malformed) || err.Error() != "malformed") {
			t.Errorf("%s with %+v: %s", claims, test, got)
		}
	}
}

// TestDatesToTheFraction checks that the leeway is added to the exact time in the token.
func TestDatesToTheFraction(t *testing.T) {
	t.Parallel()
	token := tokenWithClaim(t, "exp", fmt.Sprintf("%d.5", now.Unix()))
	for after, want := range map[time.Duration]error{leeway: nil, leeway + 499*time.Millisecond: nil, leeway + 501*time.Millisecond: Expired} {
		if _, err := testGuard(t).Authenticate(token, now.Add(after)); err != want {
			t.Errorf("%v after its whole second: %v, want %v", after, err, want)
		}
	}
}

// TestCritical checks that a token with crit is rejected, whatever the value.
func TestCritical(t *testing.T) {
	t.Parallel()
	for _, crit := range []string{`["exp"]`, `["b64"]`, `["http://example.com/x"]`, `[]`, `""`, `null`, `"b64"`, `{}`, `false`} {
		token := signedWith(t, fmt.Sprintf(`{"alg":"HS256","typ":"JWT","crit":%s,"b64":true,"exp":4102444800}`, crit), secret, consumerPayload)
		if b, err := testGuard(t).Authenticate(token, now); b != nil || err != Critical {
			t.Errorf("crit %s: %+v, %v", crit, b, err)
		}
	}
	// The signature is checked first.
	if _, err := testGuard(t).Authenticate(signedWith(t, `{"alg":"HS256","crit":["x"]}`, otherSecret, consumerPayload), now); err != WrongSignature {
		t.Errorf("by another secret: %v", err)
	}
	// Other headers are ignored.
	if b, err := testGuard(t).Authenticate(signedWith(t, `{"alg":"HS256","kid":"1","critical":["x"],"b64":false}`, secret, consumerPayload), now); err != nil {
		t.Errorf("with other headers: %+v, %v", b, err)
	}
}

// TestSignedDates checks that Authenticate reads the dates that Sign writes.
func TestSignedDates(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ from, expires time.Time }{
		{}, {from: now}, {expires: now.Add(time.Hour)}, {now, now.Add(time.Hour)},
		{expires: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}, {from: time.Unix(0, 0)},
	} {
		token := sign(t, secret, func(token *Token) { token.From, token.Expires = test.from, test.expires })
		if b, err := testGuard(t).Authenticate(token, now); err != nil {
			t.Errorf("from %v to %v: %+v, %v", test.from, test.expires, b, err)
		}
	}
}
