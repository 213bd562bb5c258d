package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"math"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// A Reason says why a request is denied. Its text is what the audit log records.
type Reason string

const (
	NoToken        Reason = "no_token"       // a credential is needed and there is none
	SeveralTokens  Reason = "several_tokens" // it is unclear which one counts
	Malformed      Reason = "malformed"      // neither a secret nor a token
	Critical       Reason = "critical"       // the token's header has crit, which names extensions that must be understood
	WrongSignature Reason = "foreign"        // not signed with a secret of this server, or altered
	Expired        Reason = "expired"
	NotYetValid    Reason = "not_yet_valid"
	NotGranted     Reason = "not_granted"    // valid, but without the permission
	TooManyWrong   Reason = "too_many_wrong" // not checked, after too many wrong credentials from this client
)

func (r Reason) Error() string { return string(r) }

// A ClaimError is the Reason Malformed of a token with an invalid claim, or an alg that is not allowed. Err completes a
// sentence: "must have 1 to 255 bytes". Its text is what the audit log records; Claim and Err are for the client.
type ClaimError struct {
	Claim string // "sub"
	Err   error
}

func (e *ClaimError) Error() string     { return Malformed.Error() }
func (e *ClaimError) Is(err error) bool { return err == Malformed }

// A Bearer is the holder of a credential, or a client without one. It is immutable.
type Bearer struct {
	Name string // "" without a credential

	grants    []Grant
	everyone  []Grant // what any client may do
	notBefore float64 // Unix time in seconds; -Inf: always valid
	expires   float64 // Unix time in seconds; +Inf: never
}

// A Guard authenticates credentials. Its methods may be called from any goroutine.
type Guard struct {
	secrets   Secrets
	open      bool
	anonymous *Bearer // no credential
	owner     *Bearer // a secret or, on an open server, the audit key

	// cache holds the credentials that were last accepted, by their hash: a lookup costs a fraction of a
	// verification.
	cache *lru.Cache[[sha256.Size]byte, *Bearer]
}

// maxCached is the number of credentials in the cache.
const maxCached = 1024

// New returns the guard of a server with secrets. The grants in everyone apply to any client, even without a
// credential.
func New(secrets Secrets, everyone []Grant) *Guard {
	return newGuard(secrets, everyone, newBearer(secretName, Permissions...))
}

// NewOpen returns the guard of a server without a secret. Any client may do anything except read the audit log,
// which requires the audit key. Tokens do not exist, because there is no secret to sign them with.
func NewOpen(auditKey string) *Guard {
	key := Secrets{sums: [][sha256.Size]byte{sha256.Sum256([]byte(auditKey))}}
	g := newGuard(key, newBearer("", Produce, Consume, Delete, Look).grants, newBearer(keyName, Audit, Look))
	g.open = true
	return g
}

func newGuard(secrets Secrets, everyone []Grant, owner *Bearer) *Guard {
	known, err := lru.New[[sha256.Size]byte, *Bearer](maxCached)
	if err != nil {
		panic(err) // cannot happen: the size is positive
	}
	g := &Guard{secrets: secrets, anonymous: newBearer(""), owner: owner, cache: known}
	g.anonymous.everyone, g.owner.everyone = everyone, everyone
	return g
}

// newBearer returns a bearer with permissions on all channels and without time limits.
func newBearer(name string, allow ...Permission) *Bearer {
	b := &Bearer{Name: name, notBefore: math.Inf(-1), expires: math.Inf(1)}
	for _, p := range allow {
		b.grants = append(b.grants, Grant{p, everything})
	}
	return b
}

// Open reports whether the server has no secret. Then a credential matters only where the audit key is
// required.
func (g *Guard) Open() bool { return g.open }

// Anonymous returns the bearer without a credential.
func (g *Guard) Anonymous() *Bearer { return g.anonymous }

// Known reports whether the credential was accepted before and is still in the cache.
func (g *Guard) Known(credential string) bool {
	return len(credential) <= maxToken && g.cache.Contains(sha256.Sum256([]byte(credential)))
}

// Authenticate returns the bearer of the credential, or a Reason or ClaimError if the credential is not valid now. For a
// genuine token that has expired or is not valid yet, it returns both.
func (g *Guard) Authenticate(credential string, now time.Time) (*Bearer, error) {
	if len(credential) > maxToken {
		return nil, Malformed
	}
	sum := sha256.Sum256([]byte(credential))
	b, ok := g.cache.Get(sum)
	if !ok {
		var err error
		if b, err = g.verify(credential, sum); err != nil {
			return nil, err
		}
		g.cache.Add(sum, b)
	}
	switch seconds := float64(now.UnixMicro()) / 1e6; {
	case seconds >= b.expires:
		return b, Expired
	case seconds < b.notBefore:
		return b, NotYetValid
	}
	return b, nil
}

// verify returns the bearer of the credential, regardless of the time.
func (g *Guard) verify(credential string, sum [sha256.Size]byte) (*Bearer, error) {
	same := 0
	for _, secret := range g.secrets.sums {
		same |= subtle.ConstantTimeCompare(secret[:], sum[:])
	}
	if same == 1 {
		return g.owner, nil
	}
	if g.open {
		return nil, WrongSignature
	}
	b, err := g.secrets.verify(credential)
	if err == nil {
		b.everyone = g.anonymous.everyone
	}
	return b, err
}

// May reports whether the bearer has the permission on a channel.
func (b *Bearer) May(p Permission, namespace, channel string) bool {
	return b.has(p, func(c Pattern) bool { return matches(c.namespace, namespace) && matches(c.channel, channel) })
}

// MayAll reports whether one grant gives the bearer the permission on every channel of a namespace.
func (b *Bearer) MayAll(p Permission, namespace string) bool {
	return b.has(p, func(c Pattern) bool { return matches(c.namespace, namespace) && strings.Trim(c.channel, "*") == "" })
}

// MaySome reports whether the bearer has the permission on some possible channel of a namespace.
func (b *Bearer) MaySome(p Permission, namespace string) bool {
	return b.has(p, func(c Pattern) bool { return matches(c.namespace, namespace) })
}

// MayAny reports whether the bearer has the permission on some possible channel.
func (b *Bearer) MayAny(p Permission) bool {
	return b.has(p, func(Pattern) bool { return true })
}

// MayEverywhere reports whether one grant gives the bearer the permission on every channel.
func (b *Bearer) MayEverywhere(p Permission) bool {
	return b.has(p, func(c Pattern) bool {
		return strings.Trim(c.namespace, "*") == "" && strings.Trim(c.channel, "*") == ""
	})
}

// has reports whether a grant gives the permission on channels that are wanted.
func (b *Bearer) has(p Permission, wanted func(Pattern) bool) bool {
	for _, grants := range [...][]Grant{b.grants, b.everyone} {
		for i := range grants {
			if grants[i].Permission == p && wanted(grants[i].Channels) {
				return true
			}
		}
	}
	return false
}
