package httpapi

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// clientsKnown bounds the memory for the rates of clients. The client whose last request is the oldest is forgotten first.
// Unless very many clients are active at once, it would have its full rate again by then.
const clientsKnown = 1 << 16

// rates limit how many requests each client may send in a minute.
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

// count counts a request of the client if it is allowed, and returns 0. Otherwise it returns the delay after which the
// client's next request is allowed.
func (r *rates) count(client string, now time.Time) (delay time.Duration) {
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
	if delay = reservation.DelayFrom(now); delay > 0 {
		reservation.CancelAt(now)
	}
	return delay
}

// delay returns what count would return, and counts nothing.
func (r *rates) delay(client string, now time.Time) time.Duration {
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
