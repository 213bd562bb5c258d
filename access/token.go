package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxToken is the maximum length of a token in bytes. Longer ones are not examined.
	maxToken = 4 << 10
	// maxName is the maximum length of a token's name in bytes.
	maxName = 255
	// leeway is the tolerated difference between the clocks of the server and of the token's issuer.
	leeway = 30 * time.Second
	// secretName and keyName are the names of bearers of a secret and of the audit key.
	secretName, keyName = "secret", "audit-key"
)

// A Token says what its bearer may do, and when.
type Token struct {
	Name     string // identifies the holder in the audit log
	Allow    []Permission
	Channels []string  // patterns
	From     time.Time // zero: at once
	Expires  time.Time // zero: never
}

// claims are the claims of a token's JWT.
type claims struct {
	jwt.RegisteredClaims
	// These two replace those of RegisteredClaims, which overflow on numbers beyond 64 bits.
	NotBefore numericDate `json:"nbf,omitzero"`
	ExpiresAt numericDate `json:"exp,omitzero"`
	Allow     []string    `json:"allow"`
	Channels  []string    `json:"channels"`
}

// A numericDate is a time in a token: as RFC 7519 defines it, a JSON number of any size, in seconds since 1970.
// A number beyond float64 is positive or negative infinity. The zero value means that there is no time.
type numericDate struct {
	seconds float64 // NaN if the claim is not a number
	given   bool
}

// newNumericDate returns t in whole seconds. The zero time gives the zero value.
func newNumericDate(t time.Time) numericDate {
	return numericDate{seconds: float64(t.Unix()), given: !t.IsZero()}
}

func (d numericDate) IsZero() bool                 { return !d.given }
func (d numericDate) MarshalJSON() ([]byte, error) { return json.Marshal(d.seconds) }

// UnmarshalJSON accepts numbers only: neither null nor a string with a number is a NumericDate. It returns no error for
// them, because encoding/json would not say in which claim.
func (d *numericDate) UnmarshalJSON(text []byte) error {
	if first := text[0]; first != '-' && (first < '0' || first > '9') {
		*d = numericDate{math.NaN(), true}
		return nil
	}
	seconds, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return err
	}
	*d = numericDate{seconds, true}
	return nil
}

// method is the only accepted signature algorithm.
var method = jwt.SigningMethodHS256

// parser does not check times. Guard.Authenticate does, because it must check those of cached tokens too.
var parser = jwt.NewParser(jwt.WithValidMethods([]string{method.Alg()}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

// Sign returns the signed token. It fails if t is not valid; the error is one line.
func (s Secrets) Sign(t Token) (string, error) {
	c := claims{Channels: t.Channels}
	c.Subject = t.Name
	for _, p := range t.Allow {
		c.Allow = append(c.Allow, string(p))
	}
	c.NotBefore, c.ExpiresAt = newNumericDate(t.From), newNumericDate(t.Expires)
	if _, err := c.bearer(); err != nil {
		if wrong, ok := errors.AsType[*ClaimError](err); ok {
			err = wrong.Err
		}
		return "", err
	}
	signed, err := jwt.NewWithClaims(method, c).SignedString(s.keys[0])
	if err == nil && len(signed) > maxToken {
		err = fmt.Errorf("the token would have %d characters, but at most %d are allowed; use fewer patterns", len(signed), maxToken)
	}
	return signed, err
}

// verify returns the bearer of a token, or the Reason why it is not genuine.
func (s Secrets) verify(token string) (*Bearer, error) {
	keys := jwt.VerificationKeySet{}
	for _, key := range s.keys {
		keys.Keys = append(keys.Keys, key)
	}
	var c claims
	parsed, err := parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return keys, nil })
	if errors.Is(err, jwt.ErrSignatureInvalid) {
		return nil, WrongSignature
	}
	if parsed != nil && len(parsed.Header) > 0 && parsed.Header["alg"] != method.Alg() {
		return nil, &ClaimError{"alg", errors.New("must be " + method.Alg())}
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && claimForms[claimOf(wrong)] != "" {
		return nil, &ClaimError{claimOf(wrong), errors.New("must be " + claimForms[claimOf(wrong)])}
	}
	if err != nil {
		return nil, Malformed
	}
	// RFC 7515, 4.1.11: a server must reject a token with extensions that it does not know. This one knows none.
	if _, ok := parsed.Header["crit"]; ok {
		return nil, Critical
	}
	return c.bearer()
}

// claimForms are the forms of the claims that encoding/json checks.
var claimForms = map[string]string{"sub": "a string", "allow": "an array of strings", "channels": "an array of strings"}

// claimOf returns the claim that encoding/json could not read. Its path may begin with the name of an embedded struct.
func claimOf(err *json.UnmarshalTypeError) string {
	return err.Field[strings.LastIndexByte(err.Field, '.')+1:]
}

// bearer returns the bearer of a token with these claims, or a ClaimError.
func (c *claims) bearer() (*Bearer, error) {
	if err := checkName(c.Subject); err != nil {
		return nil, &ClaimError{"sub", err}
	}
	b := newBearer(c.Subject)
	var patterns []Pattern
	for _, text := range c.Channels {
		pattern, err := ParsePattern(text)
		if err != nil {
			return nil, &ClaimError{"channels", err}
		}
		patterns = append(patterns, pattern)
	}
	for _, name := range c.Allow {
		p, err := ParsePermission(name)
		if err != nil {
			return nil, &ClaimError{"allow", err}
		}
		for _, pattern := range patterns {
			b.grants = append(b.grants, Grant{p, pattern})
		}
	}
	switch {
	case len(c.Allow) == 0:
		return nil, &ClaimError{"allow", errors.New("a token needs at least one permission")}
	case len(patterns) == 0:
		return nil, &ClaimError{"channels", errors.New("a token needs at least one channel pattern")}
	case math.IsNaN(c.NotBefore.seconds):
		return nil, &ClaimError{"nbf", errNotANumber}
	case math.IsNaN(c.ExpiresAt.seconds):
		return nil, &ClaimError{"exp", errNotANumber}
	}
	if c.NotBefore.given {
		b.notBefore = c.NotBefore.seconds - leeway.Seconds()
	}
	if c.ExpiresAt.given {
		b.expires = c.ExpiresAt.seconds + leeway.Seconds()
	}
	return b, nil
}

var errNotANumber = errors.New("must be a number of seconds since 1970")

func checkName(name string) error {
	switch {
	case name == "" || len(name) > maxName:
		return fmt.Errorf("a token's name must have 1 to %d bytes", maxName)
	case name == secretName, name == keyName:
		return fmt.Errorf("a token cannot be named %q: in the audit log, that means the %s itself", name, strings.ReplaceAll(name, "-", " "))
	}
	for _, c := range name {
		if !unicode.IsPrint(c) || c == utf8.RuneError {
			return fmt.Errorf("a token's name cannot contain %q", c)
		}
	}
	return nil
}
