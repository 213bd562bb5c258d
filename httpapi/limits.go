package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// limits refuse requests before anything else is done with them.
type limits struct {
	rates        *rates // nil: no limit
	requireHTTPS bool
	cors         *cors
	clients      *clients
	refusals     *refusals
}

// overRate returns the refusal of a request whose client has exceeded its rate, and nil for any other.
func (l *limits) overRate(r *request) *reply.Error {
	if l.rates == nil {
		return nil
	}
	client := group(l.clients.addr(r))
	delay := l.rates.count(client, time.Now())
	if delay == 0 {
		return nil
	}
	return l.refusals.refuse(r, "rate-per-client", reply.Error{
		Status: http.StatusTooManyRequests, Code: string(pipe.Refused), RetryAfter: int(math.Ceil(delay.Seconds())),
		Text: fmt.Sprintf("more than %d requests a minute from %s (--rate-per-client)", l.rates.perMinute, client),
	})
}

// overPlainHTTP returns the refusal of a request that reached a proxy in front by plain http, if --require-https is set.
// A request that did not come through a proxy is not refused.
func (l *limits) overPlainHTTP(r *request) *reply.Error {
	if !l.requireHTTPS {
		return nil
	}
	scheme := lastOf(r.Header.Joined("X-Forwarded-Proto"))
	if scheme == "" || strings.EqualFold(scheme, "https") {
		return nil
	}
	return l.refusals.refuse(r, "require-https", *reply.HTTPSRequired())
}

// fromPage returns the refusal of a request to a channel that a browser sends for a page of an origin that --cors-origin
// does not name, and nil for any other.
func (l *limits) fromPage(r *request) *reply.Error {
	if r.Key.Channel == "" || !l.cors.forbids(r) {
		return nil
	}
	return l.refusals.refuse(r, "cors-origin", reply.Error{
		Status: http.StatusForbidden, Code: reply.CodeForbidden,
		Text: "this request comes from a page of another origin, and --cors-origin does not name that origin",
	})
}
