package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"httpipe/access"
	"httpipe/pipe"
	"httpipe/reply"
)

// failuresPerMinute is how many wrong tokens of one client are checked in a minute. After that, only tokens that were
// accepted before are checked: so a client cannot guess tokens, and cannot lock out others that share its address.
const failuresPerMinute = 30

// The values of WWW-Authenticate. They do not offer Basic: a browser would ask for a password, keep it, and add it to
// every request to this server, even one that another site's page triggers, and a GET consumes a message.
const (
	challenge        = `Bearer realm="httpipe"`
	challengeInvalid = challenge + `, error="invalid_token"`
)

// A gate checks tokens and permissions.
type gate struct {
	guard    *access.Guard
	failures *rates // of wrong tokens
	clients  *clients
	refusals *refusals
}

// requires returns h for clients that have a permission on what the path names. Other clients learn which permission is
// missing, and nothing about channels.
func (g *gate) requires(p access.Permission, h handler) handler {
	return func(w http.ResponseWriter, r *request) {
		if g.permits(w, r, p, r.Key) {
			h(w, r)
		}
	}
}

// permits reports whether the client has the permission for key. If not, it has answered r.
func (g *gate) permits(w http.ResponseWriter, r *request, p access.Permission, key pipe.Key) bool {
	why := g.judge(r, p, key)
	if why == nil {
		return true
	}
	g.refusals.record(r, key, roleOf(p), string(p)+": "+why.Error())
	r.Refuse(w, g.denial(why, p, key))
	return false
}

// judge returns why the client lacks the permission for key, or nil if it has it. Without --auth-secret, credentials that
// are not needed are not judged: they may be meant for a proxy in front.
func (g *gate) judge(r *request, p access.Permission, key pipe.Key) error {
	allowed := suffices(g.guard.Anonymous(), p, key)
	switch {
	case allowed && (r.credentials.count == 0 || g.guard.Open()):
		return nil
	case r.credentials.count == 0:
		return access.NoToken
	}
	if err := g.identify(r); err != nil {
		return err
	}
	if !suffices(r.credentials.bearer, p, key) {
		return access.NotGranted
	}
	return nil
}

// identify judges the credentials and sets their bearer.
func (g *gate) identify(r *request) (err error) {
	c := &r.credentials
	if c.count > 1 {
		return access.SeveralTokens
	}
	now := time.Now()
	client := group(g.clients.addr(r))
	if g.failures.delay(client, now) > 0 && !g.guard.Known(c.last) {
		return access.TooManyWrong
	}
	c.bearer, err = g.guard.Authenticate(c.last, now)
	if errors.Is(err, access.Malformed) || err == access.WrongSignature || err == access.Critical {
		g.failures.count(client, now)
	}
	return err
}

// foreign reports whether r has Authorization headers and none holds a credential of this server. With --auth-secret each
// credential is judged and counts as one of ours.
func (g *gate) foreign(r *request) bool {
	for _, header := range r.credentials.authorization {
		if _, err := g.guard.Authenticate(headerCredential(header), time.Now()); err == nil {
			return false
		}
	}
	return g.guard.Open() && len(r.credentials.authorization) > 0
}

// suffices reports whether the bearer has the permission for what the key names: a channel, a namespace, or everything. A
// list is filtered by the handler, so it needs the permission on any channel. A namespace is deleted, and a history is
// shown, only as a whole, so these need the permission on every channel.
func suffices(b *access.Bearer, p access.Permission, key pipe.Key) bool {
	switch {
	case key.Channel != "":
		return b.May(p, key.Namespace, key.Channel)
	case key.Namespace == "" && p == access.Audit:
		return b.MayEverywhere(p)
	case key.Namespace == "":
		return b.MayAny(p)
	case p == access.Delete, p == access.Audit:
		return b.MayAll(p, key.Namespace)
	default:
		return b.MaySome(p, key.Namespace)
	}
}

// denial returns the answer to a client that lacks the permission.
func (g *gate) denial(why error, p access.Permission, key pipe.Key) *reply.Error {
	what := string(p) + " on " + key.String()
	switch {
	case key.Namespace == "" && p == access.Audit:
		what = string(p) + " on */*"
	case key.Namespace == "":
		what = string(p) + " on any channel"
	case key.Channel == "" && (p == access.Delete || p == access.Audit):
		what = string(p) + " on " + key.Namespace + "/*"
	case key.Channel == "":
		what = string(p) + " on any channel of " + key.Namespace
	}
	e := reply.Error{Status: http.StatusUnauthorized, Code: reply.CodeUnauthorized, Challenge: challengeInvalid}
	const howToGetKey = "on the machine of the server \"httpipe audit key\" prints it"
	open := g.guard.Open()
	switch why {
	case access.NoToken:
		e.Challenge = challenge
		if open {
			e.Text = what + " needs the audit key; " + howToGetKey
			break
		}
		e.Text = what + " needs a token; send one as Authorization: Bearer, or by curl -u :TOKEN"
	case access.NotGranted:
		e = reply.Error{Status: http.StatusForbidden, Code: reply.CodeForbidden, Text: "the token is not for " + what}
	case access.SeveralTokens:
		e.Text = what + ": the request has several tokens; send exactly one"
	case access.Expired:
		e.Text = what + ": the token has expired"
	case access.NotYetValid:
		e.Text = what + ": the token is not valid yet"
	case access.Critical:
		e.Text = what + ": the token's header has crit, which requires an extension that this server does not have"
	case access.WrongSignature:
		if open {
			e.Text = what + ": the credential is not the audit key; " + howToGetKey
			break
		}
		e.Text = what + ": the token is not signed with this server's secret"
	case access.TooManyWrong:
		e = reply.Error{Status: http.StatusTooManyRequests, Code: string(pipe.Refused), RetryAfter: 60 / failuresPerMinute,
			Text: fmt.Sprintf("more than %d wrong tokens a minute came from your address", failuresPerMinute)}
	default:
		if wrong, ok := errors.AsType[*access.ClaimError](why); ok {
			e.Text = fmt.Sprintf("%s: the token's %s is not valid: %v", what, wrong.Claim, wrong.Err)
			break
		}
		e.Text = what + ": the credential is not a token: it is empty, truncated or something else"
	}
	return e.To(roleOf(p))
}

// roleOf returns the role of a client that uses the permission, or NoRole.
func roleOf(p access.Permission) pipe.Role {
	switch p {
	case access.Produce:
		return pipe.Producer
	case access.Consume:
		return pipe.Consumer
	}
	return pipe.NoRole
}

// bearerOf returns the bearer of the credentials that permits has accepted, or the anonymous one if there were none.
func (g *gate) bearerOf(r *request) *access.Bearer {
	if b := r.credentials.bearer; b != nil {
		return b
	}
	return g.guard.Anonymous()
}

// visible returns the channels of a namespace that the client may see, in the same array.
func (g *gate) visible(r *request, namespace string, channels []string) []string {
	bearer := g.bearerOf(r)
	return slices.DeleteFunc(channels, func(channel string) bool { return !bearer.May(access.Look, namespace, channel) })
}
