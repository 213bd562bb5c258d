package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// pace is how fast a client repeats and probes. Tests are faster.
type pace struct {
	pause    time.Duration // after the first failure; each failure doubles it
	maxPause time.Duration
	quiet    time.Duration // beyond the round, after which guard probes a relay from which nothing comes
	probe    time.Duration // for the answer to a probe
}

var defaultPace = pace{pause: time.Second, maxPause: 30 * time.Second, quiet: 5 * time.Second, probe: 5 * time.Second}

// repeat calls try, which makes one request that waits for at most the given time, until it succeeds or fails for good.
// It returns the error of the last call, or that of ctx or c.Waiting if one of these is done.
func (c *Client) repeat(ctx context.Context, try func(ctx context.Context, wait time.Duration) error) error {
	deadline := time.Now().Add(c.Wait)
	left := func() time.Duration {
		if c.Wait == Forever {
			return c.Round
		}
		return max(0, time.Until(deadline))
	}
	for failures := 0; ; {
		begun := time.Now()
		err := try(ctx, min(c.Round, left()))
		f, ok := errors.AsType[*Failure](err)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !ok {
			return err
		}
		pause := time.Duration(0)
		if f.Class() == TimedOut && !f.Final {
			failures = 0
			pause = c.pace.pause - time.Since(begun) // for a proxy or a relay that ends each wait at once
		} else {
			if f.first {
				failures = 0
			}
			if !f.canPass() || failures == c.Retries {
				return err
			}
			failures++
			pause = max(f.After, c.pace.after(failures))
		}
		if c.Wait != Forever && left() <= max(0, pause) {
			return err
		}
		if c.Notice != nil && f.Class() != TimedOut {
			c.Notice(Retry{f, pause})
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.Waiting.Done():
			return context.Cause(c.Waiting)
		case <-time.After(pause):
		}
	}
}

// after returns the pause after so many failures in a row. It is random, so that the clients of a relay that has come
// back do not all return at once.
func (p pace) after(failures int) time.Duration {
	pause := min(p.maxPause, p.pause<<min(failures-1, 20))
	return pause*3/4 + rand.N(pause/2)
}
