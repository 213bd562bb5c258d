package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxToken is how long a token may be, in bytes. A longer one is not looked at.
	maxToken = 4 << 10
	// maxName is how long a token's name may be, in bytes.
	maxName = 255
	// leeway is how much the clocks of servers and of makers of tokens may differ.
	leeway = 30 * time.Second
	// secretName and keyName are the names of the bearers of the secret and of the audit key.
	secretName, keyName = "secret", "audit-key"
)

// A Token says what its bearer may do, and until when.
type Token struct {
	Name     string // whose it is, for the audit log
	Allow    []Permission
	Channels []string  // patterns
	From     time.Time // zero: at once
	Expires  time.Time // zero: never
}

// claims are a token's as its JWT has them.
type claims struct {
	jwt.RegisteredClaims
	// These two take the places of RegisteredClaims' own, which turn what does not fit into 64 bits into its opposite.
	NotBefore numericDate `json:"nbf,omitzero"`
	ExpiresAt numericDate `json:"exp,omitzero"`
	Allow     []string    `json:"allow"`
	Channels  []string    `json:"channels"`
}

// A numericDate is a time in a token, as RFC 7519 defines it: a JSON number of any size, in seconds since 1970. One that is
// beyond what a float64 holds is infinite: far away, in its direction. The zero value is none.
type numericDate struct {
	seconds float64
	given   bool
}

// dateOf returns the date of t, in whole seconds, and none for the zero time.
func dateOf(t time.Time) numericDate {
	return numericDate{seconds: float64(t.Unix()), given: !t.IsZero()}
}

func (d numericDate) IsZero() bool                 { return !d.given }
func (d numericDate) MarshalJSON() ([]byte, error) { return json.Marshal(d.seconds) }

// UnmarshalJSON takes numbers alone: neither a string with a number in it nor null is a NumericDate.
func (d *numericDate) UnmarshalJSON(text []byte) error {
	if first := text[0]; first != '-' && (first < '0' || first > '9') {
		return fmt.Errorf("want a number of seconds since 1970, not %s", text)
	}
	seconds, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return err
	}
	*d = numericDate{seconds, true}
	return nil
}

// method is the only one that a token may be signed with.
var method = jwt.SigningMethodHS256

// parser leaves it to Guard.Judge to look at the time: that of a token that is remembered has to be looked at as well.
var parser = jwt.NewParser(jwt.WithValidMethods([]string{method.Alg()}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

// Sign makes a token out of t. An error, of one line, says what of t cannot be.
func (s Secrets) Sign(t Token) (string, error) {
	c := claims{Channels: t.Channels}
	c.Subject = t.Name
	for _, p := range t.Allow {
		c.Allow = append(c.Allow, string(p))
	}
	c.NotBefore, c.ExpiresAt = dateOf(t.From), dateOf(t.Expires)
	if _, err := c.bearer(); err != nil {
		return "", err
	}
	signed, err := jwt.NewWithClaims(method, c).SignedString(s.keys[0])
	if err == nil && len(signed) > maxToken {
		err = fmt.Errorf("the token would have %d characters, and at most %d are allowed; make it for fewer patterns", len(signed), maxToken)
	}
	return signed, err
}

// verify returns whose token it is, or a Reason why nobody's.
func (s Secrets) verify(token string) (*Bearer, error) {
	keys := jwt.VerificationKeySet{}
	for _, key := range s.keys {
		keys.Keys = append(keys.Keys, key)
	}
	var c claims
	parsed, err := parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return keys, nil })
	if errors.Is(err, jwt.ErrSignatureInvalid) {
		return nil, Foreign
	}
	if err != nil {
		return nil, Malformed
	}
	// RFC 7515, 4.1.11: a token that names extensions here must be refused by those that do not know them. We know none.
	if _, ok := parsed.Header["crit"]; ok {
		return nil, Critical
	}
	b, err := c.bearer()
	if err != nil {
		return nil, Malformed
	}
	return b, nil
}

// bearer returns who has a token with these claims.
func (c *claims) bearer() (*Bearer, error) {
	if err := checkName(c.Subject); err != nil {
		return nil, err
	}
	b := newBearer(c.Subject)
	for _, name := range c.Allow {
		p, err := ParsePermission(name)
		if err != nil {
			return nil, err
		}
		for _, text := range c.Channels {
			pattern, err := ParsePattern(text)
			if err != nil {
				return nil, err
			}
			b.grants = append(b.grants, Grant{p, pattern})
		}
	}
	if len(b.grants) == 0 {
		return nil, errors.New("a token needs at least one permission, and one pattern of channels for it")
	}
	if c.NotBefore.given {
		b.from = c.NotBefore.seconds - leeway.Seconds()
	}
	if c.ExpiresAt.given {
		b.expires = c.ExpiresAt.seconds + leeway.Seconds()
	}
	return b, nil
}

func checkName(name string) error {
	switch {
	case name == "" || len(name) > maxName:
		return fmt.Errorf("a token's name has 1 to %d bytes", maxName)
	case name == secretName, name == keyName:
		return fmt.Errorf("a token cannot be named %q, which is what the audit log calls a client with the %s itself", name, strings.ReplaceAll(name, "-", " "))
	}
	for _, c := range name {
		if !unicode.IsPrint(c) || c == utf8.RuneError {
			return fmt.Errorf("a token's name cannot contain %q", c)
		}
	}
	return nil
}
