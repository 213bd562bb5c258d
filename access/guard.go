package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"math"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// A Reason is why somebody may not do something. Its text is the word for the audit log.
type Reason string

const (
	NoToken       Reason = "no_token"       // there is none, and not everybody may
	SeveralTokens Reason = "several_tokens" // which of them counts must not be a guess
	Malformed     Reason = "malformed"      // neither the secret nor a token
	Critical      Reason = "critical"       // its header has crit: it is not to be accepted without an extension that there is not
	Foreign       Reason = "foreign"        // not signed with a secret of this server, or changed since
	Expired       Reason = "expired"
	NotYetValid   Reason = "not_yet_valid"
	NotGranted    Reason = "not_granted"    // the token is good, but not for this
	TooManyWrong  Reason = "too_many_wrong" // so many of this client's were, so this one was not looked at
)

func (r Reason) Error() string { return string(r) }

// A Bearer is a client with a credential, or one without. Constant.
type Bearer struct {
	Name string // "" for a client without a credential

	grants   []Grant
	everyone []Grant // what everybody may do
	from     float64 // in seconds since 1970; -Inf: at once
	expires  float64 // in seconds since 1970; +Inf: never
}

// A Guard decides whose credential is good, and for what. All methods may be called from any goroutine.
type Guard struct {
	secrets Secrets
	open    bool
	nobody  *Bearer // without a credential
	owner   *Bearer // with a secret or, if the server is open, with the audit key

	// known holds the credentials that were found genuine last, since a lookup costs a fraction of verifying one.
	// It keeps the sum of each.
	known *lru.Cache[[sha256.Size]byte, *Bearer]
}

// maxKnown is how many credentials a Guard remembers.
const maxKnown = 1024

// New returns the guard of a server with secrets. Everybody may do what is in everyone; the rest takes a token.
func New(secrets Secrets, everyone []Grant) *Guard {
	return newGuard(secrets, everyone, newBearer(secretName, permissions...))
}

// Open returns the guard of a server without a secret. Everybody may do everything but read the audit log, which takes the
// audit key. There are no tokens, as there is nothing to sign them with.
func Open(auditKey string) *Guard {
	key := Secrets{sums: [][sha256.Size]byte{sha256.Sum256([]byte(auditKey))}}
	g := newGuard(key, newBearer("", Produce, Consume, Delete, Look).grants, newBearer(keyName, Audit, Look))
	g.open = true
	return g
}

func newGuard(secrets Secrets, everyone []Grant, owner *Bearer) *Guard {
	known, err := lru.New[[sha256.Size]byte, *Bearer](maxKnown)
	if err != nil {
		panic(err) // the size is positive
	}
	g := &Guard{secrets: secrets, nobody: newBearer(""), owner: owner, known: known}
	g.nobody.everyone, g.owner.everyone = everyone, everyone
	return g
}

// newBearer returns a bearer who has permissions for all channels, at any time.
func newBearer(name string, allow ...Permission) *Bearer {
	b := &Bearer{Name: name, from: math.Inf(-1), expires: math.Inf(1)}
	for _, p := range allow {
		b.grants = append(b.grants, Grant{p, everything})
	}
	return b
}

// Open reports whether the server has no secret, so that a credential means something only where the audit key is needed.
func (g *Guard) Open() bool { return g.open }

// Nobody returns the bearer of no credential.
func (g *Guard) Nobody() *Bearer { return g.nobody }

// Known reports whether the credential was found genuine before. It forgets those that were not used for long.
func (g *Guard) Known(credential string) bool {
	return len(credential) <= maxToken && g.known.Contains(sha256.Sum256([]byte(credential)))
}

// Judge returns whose credential it is, or a Reason why it is not good now. Of one that is genuine, only too old or too
// new, it returns both.
func (g *Guard) Judge(credential string, now time.Time) (*Bearer, error) {
	if len(credential) > maxToken {
		return nil, Malformed
	}
	sum := sha256.Sum256([]byte(credential))
	b, ok := g.known.Get(sum)
	if !ok {
		var err error
		if b, err = g.verify(credential, sum); err != nil {
			return nil, err
		}
		g.known.Add(sum, b)
	}
	switch seconds := float64(now.UnixMicro()) / 1e6; {
	case seconds >= b.expires:
		return b, Expired
	case seconds < b.from:
		return b, NotYetValid
	}
	return b, nil
}

// verify returns whose credential it is, whatever the time.
func (g *Guard) verify(credential string, sum [sha256.Size]byte) (*Bearer, error) {
	same := 0
	for _, secret := range g.secrets.sums {
		same |= subtle.ConstantTimeCompare(secret[:], sum[:])
	}
	if same == 1 {
		return g.owner, nil
	}
	if g.open {
		return nil, Foreign
	}
	b, err := g.secrets.verify(credential)
	if err == nil {
		b.everyone = g.nobody.everyone
	}
	return b, err
}

// May reports whether the bearer may do something on a channel.
func (b *Bearer) May(p Permission, namespace, channel string) bool {
	return b.has(p, func(c Pattern) bool { return matches(c.namespace, namespace) && matches(c.channel, channel) })
}

// MayAll reports whether a single grant lets the bearer do something on every channel of a namespace.
func (b *Bearer) MayAll(p Permission, namespace string) bool {
	return b.has(p, func(c Pattern) bool { return matches(c.namespace, namespace) && strings.Trim(c.channel, "*") == "" })
}

// MaySome reports whether there can be a channel of the namespace on which the bearer may do something.
func (b *Bearer) MaySome(p Permission, namespace string) bool {
	return b.has(p, func(c Pattern) bool { return matches(c.namespace, namespace) })
}

// MayAny reports whether there can be a channel on which the bearer may do something.
func (b *Bearer) MayAny(p Permission) bool {
	return b.has(p, func(Pattern) bool { return true })
}

// MayEverywhere reports whether a single grant lets the bearer do something on every channel.
func (b *Bearer) MayEverywhere(p Permission) bool {
	return b.has(p, func(c Pattern) bool {
		return strings.Trim(c.namespace, "*") == "" && strings.Trim(c.channel, "*") == ""
	})
}

// has reports whether a grant of the permission is for channels as wanted.
func (b *Bearer) has(p Permission, wanted func(Pattern) bool) bool {
	granted := func(g Grant) bool { return g.Permission == p && wanted(g.Channels) }
	return slices.ContainsFunc(b.grants, granted) || slices.ContainsFunc(b.everyone, granted)
}
