package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Reason is why somebody may not do something. Its text is the word for the audit log.
type Reason string

const (
	NoToken       Reason = "no_token"       // there is none, and not everybody may
	SeveralTokens Reason = "several_tokens" // which of them counts must not be a guess
	Malformed     Reason = "malformed"      // neither the secret nor a token
	Foreign       Reason = "foreign"        // not signed with a secret of this server, or changed since
	Expired       Reason = "expired"
	NotYetValid   Reason = "not_yet_valid"
	NotGranted    Reason = "not_granted"    // the token is good, but not for this
	TooManyWrong  Reason = "too_many_wrong" // so many of this client's were, so this one was not looked at
)

func (r Reason) Error() string { return string(r) }

// A Bearer is whoever has a credential, or has none. Constant.
type Bearer struct {
	Name string // "" for who has no credential

	grants   []Grant
	everyone []Grant   // what everybody may do
	from     time.Time // zero: at once
	expires  time.Time // zero: never
}

// A Guard knows a server's secrets, and what everybody may do. All methods may be called from any goroutine.
type Guard struct {
	secrets Secrets
	nobody  *Bearer // who has no credential
	owner   *Bearer // who has a secret

	mu sync.RWMutex // guards known
	// known holds credentials that were found genuine, since looking one up costs a fraction of verifying it.
	// Of each its sum is kept. It is emptied when it is full.
	known map[[sha256.Size]byte]*Bearer
}

// maxKnown is how many credentials a Guard remembers.
const maxKnown = 1024

// New returns a guard. Everybody may do what is in everyone.
func New(secrets Secrets, everyone []Grant) *Guard {
	g := &Guard{
		secrets: secrets,
		nobody:  &Bearer{everyone: everyone},
		owner:   &Bearer{Name: secretName},
		known:   make(map[[sha256.Size]byte]*Bearer),
	}
	for _, p := range permissions {
		g.owner.grants = append(g.owner.grants, Grant{p, everything})
	}
	return g
}

// Nobody returns the bearer of no credential.
func (g *Guard) Nobody() *Bearer { return g.nobody }

// Known reports whether the credential has been found genuine before. It forgets, now and then.
func (g *Guard) Known(credential string) bool {
	return len(credential) <= maxToken && g.recall(sha256.Sum256([]byte(credential))) != nil
}

// Judge returns whose credential it is, or a Reason why it is not good now. Of one that is genuine, only too old or too
// new, it returns both.
func (g *Guard) Judge(credential string, now time.Time) (*Bearer, error) {
	if len(credential) > maxToken {
		return nil, Malformed
	}
	sum := sha256.Sum256([]byte(credential))
	b := g.recall(sum)
	if b == nil {
		var err error
		if b, err = g.verify(credential, sum); err != nil {
			return nil, err
		}
		g.remember(sum, b)
	}
	switch {
	case !b.expires.IsZero() && !now.Before(b.expires):
		return b, Expired
	case now.Before(b.from):
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
	b, err := g.secrets.verify(credential)
	if err == nil {
		b.everyone = g.nobody.everyone
	}
	return b, err
}

func (g *Guard) recall(sum [sha256.Size]byte) *Bearer {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.known[sum]
}

func (g *Guard) remember(sum [sha256.Size]byte, b *Bearer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= maxKnown {
		clear(g.known)
	}
	g.known[sum] = b
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
