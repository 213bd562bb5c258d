package client

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

var errSilent = errors.New("the relay does not answer any more")

// guard returns a context for one request, which is cancelled when the relay has stopped answering. Call touch whenever
// bytes move, and stop at the end of the request.
//
// A request may be silent for long: it waits, or its partner is slow. So no time limit distinguishes a working relay from
// one that is suspended or cut off from the network. guard probes instead: when no byte has moved for a little more than a
// round, it requests /healthz. Any answer means that the relay, or a proxy in front of it, works.
func (c *Client) guard(ctx context.Context, a Address) (guarded context.Context, touch, stop func()) {
	guarded, cancel := context.WithCancelCause(ctx)
	var moves atomic.Int64
	go func() {
		quiet := time.NewTicker(c.Round + c.pace.quiet)
		defer quiet.Stop()
		for last := int64(0); ; {
			select {
			case <-guarded.Done():
				return
			case <-quiet.C:
			}
			seen := moves.Load()
			if seen == last && !c.answers(guarded, a) && !c.answers(guarded, a) && moves.Load() == last {
				cancel(errSilent)
				return
			}
			last = seen
		}
	}()
	return guarded, func() { moves.Add(1) }, func() { cancel(nil) }
}

// answers reports whether the relay answers a request. It asks on a connection of its own.
func (c *Client) answers(ctx context.Context, a Address) bool {
	ctx, cancel := context.WithTimeout(ctx, c.pace.probe)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/healthz", nil)
	if err != nil {
		return false
	}
	req.Header.Set("User-Agent", c.Agent)
	req.Close = true
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return true
}
