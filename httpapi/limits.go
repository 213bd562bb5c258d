package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"httpipe/pipe"
	"httpipe/reply"
)

// clientsKnown bounds the memory for clients' rates. Those who have not come for longest are forgotten
// first, and would have their full rate again by then, unless there are very many at once.
const clientsKnown = 1 << 16

// rates counts each client's requests.
type rates struct {
	perMinute int

	mu      sync.Mutex // guards clients
	clients *simplelru.LRU[string, *rate.Limiter]
}

// newRates returns nil, which allows everything, if perMinute is 0.
func newRates(perMinute int) *rates {
	if perMinute == 0 {
		return nil
	}
	clients, err := simplelru.NewLRU[string, *rate.Limiter](clientsKnown, nil)
	if err != nil {
		panic(err) // the size is not positive
	}
	return &rates{perMinute: perMinute, clients: clients}
}

// wait returns how long the client has to wait before its next request is allowed, 0 if this one is.
func (r *rates) wait(client string, now time.Time) time.Duration {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	limiter, ok := r.clients.Get(client)
	if !ok {
		limiter = rate.NewLimiter(rate.Limit(r.perMinute)/60, r.perMinute)
		r.clients.Add(client, limiter)
	}
	reservation := limiter.ReserveN(now, 1)
	delay := reservation.DelayFrom(now)
	if delay > 0 {
		reservation.CancelAt(now)
	}
	return delay
}

// due returns how long the client has to wait before its next request is allowed, and counts nothing.
func (r *rates) due(client string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	limiter, ok := r.clients.Peek(client)
	if !ok {
		return 0
	}
	reservation := limiter.ReserveN(now, 1)
	defer reservation.CancelAt(now)
	return reservation.DelayFrom(now)
}

// overRate returns the refusal of a request whose client sends too many, and nil for any other. The
// server's health may be asked for as often as anybody likes.
func (s *Server) overRate(r *http.Request, key pipe.Key) *reply.Error {
	if s.rates == nil || strings.HasPrefix(r.URL.Path, routeHealth) {
		return nil
	}
	client := s.client(r)
	delay := s.rates.wait(group(client.Addr), time.Now())
	if delay == 0 {
		return nil
	}
	return s.turnAway(r, key, "rate-per-client", reply.Error{
		Status: http.StatusTooManyRequests, Code: string(pipe.Refused), RetryAfter: int(math.Ceil(delay.Seconds())),
		Text: fmt.Sprintf("more than %d requests a minute from %s (--rate-per-client)", s.rates.perMinute, group(client.Addr)),
	})
}

// overPlainHTTP returns the refusal of a request that came to the proxy in front by plain http, if that is
// not wanted. There is no redirect: curl -L makes a GET of a POST when it follows one, and a GET takes
// somebody's message. What has not come through a proxy is not meant, nor is a look at the health.
func (s *Server) overPlainHTTP(r *http.Request, key pipe.Key) *reply.Error {
	scheme := lastOf(r.Header.Values("X-Forwarded-Proto"))
	if !s.config.RequireHTTPS || scheme == "" || strings.EqualFold(scheme, "https") || strings.HasPrefix(r.URL.Path, routeHealth) {
		return nil
	}
	return s.turnAway(r, key, "require-https", reply.Error{
		Status: http.StatusForbidden, Code: reply.CodeHTTPSRequired,
		Text: "this server takes https only: write https:// in the URL (it does not redirect, which would turn a POST into a GET)",
	})
}

// turnAway puts the refusal of a request before it could wait on record, if it was for a channel, with the
// option that it is for, and returns what its client is told.
func (s *Server) turnAway(r *http.Request, key pipe.Key, option string, f reply.Error) *reply.Error {
	var role pipe.Role // none but on a channel
	switch {
	case key.Channel == "":
	case r.Method == http.MethodPost, r.Method == http.MethodPut:
		role = pipe.Producer
	case r.Method == http.MethodGet:
		role = pipe.Consumer
	}
	if role != "" {
		s.recordRefusal(r, key, role, option)
	}
	return f.To(role)
}
