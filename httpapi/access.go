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
	return func(w http.ResponseWriter, r *http.Request, key pipe.Key) {
		if s.permits(w, r, p, key) {
			h(w, r, key)
		}
	}
}

// permits reports whether the sender of r has the permission for key. If not, it has been answered.
func (s *Server) permits(w http.ResponseWriter, r *http.Request, p access.Permission, key pipe.Key) bool {
	why := s.judge(r, p, key)
	if why == nil {
		return true
	}
	s.recordRefusal(r, key, roleOf(p), string(p)+": "+why.Error())
	refuse(w, r, s.denial(why, p, key))
	return false
}

// judge returns why the sender of r may not do what takes the permission, and nil for one who may. Without a secret a
// credential that is not needed is not looked at: it may be meant for a proxy in front, or for nobody.
func (s *Server) judge(r *http.Request, p access.Permission, key pipe.Key) error {
	guard, v := s.config.Guard, visitorOf(r)
	allowed := suffices(guard.Nobody(), p, key)
	switch {
	case allowed && (v == nil || guard.Open()):
		return nil
	case v == nil:
		return access.NoToken
	}
	if err := s.identify(r, v); err != nil {
		return err
	}
	if !suffices(v.bearer, p, key) {
		return access.NotGranted
	}
	return nil
}

// identify finds out who the visitor is that sent r.
func (s *Server) identify(r *http.Request, v *visitor) (err error) {
	if v.credentials > 1 {
		return access.SeveralTokens
	}
	now := time.Now()
	client := group(s.clientAddr(r))
	if s.failures.due(client, now) > 0 && !s.config.Guard.Known(v.credential) {
		return access.TooManyWrong
	}
	v.bearer, err = s.config.Guard.Judge(v.credential, now)
	if err == access.Malformed || err == access.Foreign || err == access.Critical {
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
func (s *Server) denial(why error, p access.Permission, key pipe.Key) *reply.Error {
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
	const howToGetKey = "on the machine of the server \"httpipe audit key\" prints it"
	open := s.config.Guard.Open()
	switch why {
	case access.NoToken:
		f.Challenge = challenge
		if open {
			f.Text = what + " takes the audit key; " + howToGetKey
			break
		}
		f.Text = what + " takes a token; send one as Authorization: Bearer, or by curl -u :TOKEN"
	case access.NotGranted:
		f = reply.Error{Status: http.StatusForbidden, Code: reply.CodeForbidden, Text: "the token is not for " + what}
	case access.SeveralTokens:
		f.Text = what + ": several tokens came, and which of them counts should not be a guess"
	case access.Expired:
		f.Text = what + ": the token has expired"
	case access.NotYetValid:
		f.Text = what + ": the token is not valid yet"
	case access.Critical:
		f.Text = what + ": the token has crit in its header, and with it asks for an extension that is not known here"
	case access.Foreign:
		if open {
			f.Text = what + ": what came is not the audit key; " + howToGetKey
			break
		}
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

// bearerOf returns as whom the sender of r was let in.
func (s *Server) bearerOf(r *http.Request) *access.Bearer {
	if v := visitorOf(r); v != nil && v.bearer != nil {
		return v.bearer
	}
	return s.config.Guard.Nobody()
}

// visible returns those of a namespace's channels that the sender of r may see, in the same array.
func (s *Server) visible(r *http.Request, namespace string, channels []string) []string {
	bearer := s.bearerOf(r)
	return slices.DeleteFunc(channels, func(channel string) bool { return !bearer.May(access.Look, namespace, channel) })
}

// visibleState returns all channels that the sender of r may see, by namespace.
func (s *Server) visibleState(r *http.Request) map[string][]string {
	state := s.broker.State()
	for namespace, channels := range state {
		state[namespace] = s.visible(r, namespace, channels)
	}
	maps.DeleteFunc(state, func(_ string, channels []string) bool { return len(channels) == 0 })
	return state
}
