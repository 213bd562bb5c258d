package relay

import (
	"net/http"

	"httpipe/pipe"
	"httpipe/reply"
)

// arrival returns what the arrivals of both roles have in common, or the error that r is answered with.
func (l *Relay) arrival(r *Request, role pipe.Role) (pipe.Arrival, *reply.Error) {
	wait, f := l.wait(r)
	if f != nil {
		return pipe.Arrival{}, f
	}
	if l.config.Unavailable() != nil {
		return pipe.Arrival{}, reply.Error{Status: http.StatusServiceUnavailable, Code: reply.CodeAuditUnavailable, RetryAfter: 1,
			Text: "the audit log cannot be written, and nothing is relayed without a record"}.To(role)
	}
	return pipe.Arrival{Shape: r.Shape, Key: r.Key, Role: role, Client: r.Client, Group: r.Group, Wait: wait}, nil
}
