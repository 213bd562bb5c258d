package httpapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"httpipe/access"
	"httpipe/pipe"
	"httpipe/reply"
)

// failuresPerMinute is how many tokens of one client may be wrong in a minute. After that only those are looked at
// that have been good before: nobody can go through secrets here, nor keep others out who come from the same address.
const failuresPerMinute = 30

// What comes with a 401. It does not offer Basic: on that a browser asks for a password, keeps it, and sends it along
// with whatever any page makes it ask for, and a GET takes a message.
const (
	challenge        = `Bearer realm="httpipe"`
	challengeInvalid = challenge + `, error="invalid_token"`
)

// requires returns h for those who have a permission on what the path names. Others are told what is missing, and
// nothing of what there is.
func (s *Server) requires(p access.Permission, h handler) handler {
	if s.config.Guard == nil {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request, key pipe.Key) {
		if s.permits(w, r, p, key) {
			h(w, r, key)
		}
	}
}

// permits reports whether the sender of r has the permission for key. If not, it has been answered.
func (s *Server) permits(w http.ResponseWriter, r *http.Request, p access.Permission, key pipe.Key) bool {
	if s.config.Guard == nil {
		return true
	}
	why := s.judge(r, p, key)
	if why == nil {
		return true
	}
	s.recordRefusal(r, key, roleOf(p), string(p)+": "+why.Error())
	refuse(w, r, denial(why, p, key))
	return false
}

// judge returns why the sender of r may not do what takes the permission, and nil for one who may.
func (s *Server) judge(r *http.Request, p access.Permission, key pipe.Key) error {
	v := visitorOf(r)
	if err := s.identify(r, v); err != nil {
		return err
	}
	switch {
	case suffices(v.bearer, p, key):
		return nil
	case v.credentials == 0:
		return access.NoToken
	default:
		return access.NotGranted
	}
}

// identify finds out who the visitor is that sent r.
func (s *Server) identify(r *http.Request, v *visitor) (err error) {
	switch v.credentials {
	case 0:
		v.bearer = s.config.Guard.Nobody()
		return nil
	case 1:
	default:
		return access.SeveralTokens
	}
	now := time.Now()
	client := group(s.clientAddr(r))
	if s.failures.due(client, now) > 0 && !s.config.Guard.Known(v.credential) {
		return access.TooManyWrong
	}
	v.bearer, err = s.config.Guard.Judge(v.credential, now)
	if err == access.Malformed || err == access.Foreign {
		s.failures.wait(client, now)
	}
	return err
}

// suffices reports whether somebody may do what takes the permission with what the path names: a channel, a namespace,
// or everything. What a list shows is for whoever makes it, but all of a namespace is deleted, or nothing, and what a look at
// all channels shows, or at their history, is for whoever may see all of it.
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

// recordRefusal puts on record that r was turned away before it came to the broker.
func (s *Server) recordRefusal(r *http.Request, key pipe.Key, role pipe.Role, reason string) {
	s.config.Metrics.CountRefused(role)
	if s.audit == nil {
		return
	}
	client := s.client(r)
	s.audit.RecordRefusal(key, role, reason, client, group(client.Addr))
}

// denial is what somebody is told who may not.
func denial(why error, p access.Permission, key pipe.Key) *reply.Error {
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
	f := reply.Error{Status: http.StatusUnauthorized, Code: reply.CodeUnauthorized, Challenge: challengeInvalid}
	switch why {
	case access.NoToken:
		f.Challenge = challenge
		f.Text = what + " takes a token; send one as Authorization: Bearer, or by curl -u :TOKEN"
	case access.NotGranted:
		f = reply.Error{Status: http.StatusForbidden, Code: reply.CodeForbidden, Text: "the token is not for " + what}
	case access.SeveralTokens:
		f.Text = what + ": several tokens came, and which of them counts should not be a guess"
	case access.Expired:
		f.Text = what + ": the token has expired"
	case access.NotYetValid:
		f.Text = what + ": the token is not valid yet"
	case access.Foreign:
		f.Text = what + ": the token is not signed with this server's secret"
	case access.TooManyWrong:
		f = reply.Error{Status: http.StatusTooManyRequests, Code: string(pipe.Refused), RetryAfter: 60 / failuresPerMinute,
			Text: fmt.Sprintf("more than %d wrong tokens a minute came from your address", failuresPerMinute)}
	default:
		f.Text = what + ": what came is no token; it is empty, cut off or something else"
	}
	return f.To(roleOf(p))
}

// roleOf returns the role of those who use a permission, "" if they have none.
func roleOf(p access.Permission) pipe.Role {
	switch p {
	case access.Produce:
		return pipe.Producer
	case access.Consume:
		return pipe.Consumer
	}
	return ""
}

// visible returns those of a namespace's channels that the sender of r may see, in the same array.
func visible(r *http.Request, namespace string, channels []string) []string {
	v := visitorOf(r)
	if v == nil {
		return channels
	}
	return slices.DeleteFunc(channels, func(channel string) bool { return !v.bearer.May(access.Look, namespace, channel) })
}

// visibleState returns all channels that the sender of r may see, by namespace.
func (s *Server) visibleState(r *http.Request) map[string][]string {
	state := s.broker.State()
	for namespace, channels := range state {
		state[namespace] = visible(r, namespace, channels)
	}
	maps.DeleteFunc(state, func(_ string, channels []string) bool { return len(channels) == 0 })
	return state
}
