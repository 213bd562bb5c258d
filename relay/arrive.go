package relay

import (
	"httpipe/pipe"
	"httpipe/reply"
)

// arrival returns what the arrivals of both roles have in common, or the error that r is answered with.
func (l *Relay) arrival(r *Request, role pipe.Role) (pipe.Arrival, *reply.Error) {
	wait, f := l.wait(r)
	if f != nil {
		return pipe.Arrival{}, f
	}
	if e := l.config.Unavailable(); e != nil {
		return pipe.Arrival{}, e.To(role)
	}
	return pipe.Arrival{Shape: r.Shape, Key: r.Key, Role: role, Client: r.Client, Group: r.Group, Wait: wait}, nil
}
