package pipe

import (
	"fmt"
	"time"
)

// check returns the first invariant of the package documentation that does not hold, or nil.
func (b *Broker) check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	ran, wait := 0, 0
	for namespace, channels := range b.namespaces {
		if len(channels) == 0 {
			return fmt.Errorf("namespace %q is kept without channels", namespace)
		}
		for name, c := range channels {
			if c.Key != (Key{namespace, name}) {
				return fmt.Errorf("channel %v is filed under %s/%s", c.Key, namespace, name)
			}
			if err := c.checkLocked(); err != nil {
				return fmt.Errorf("channel %v: %w", c.Key, err)
			}
			if c.running != nil {
				ran++
			}
			wait += c.producers.length + c.consumers.length
		}
	}
	grouped := 0
	for _, n := range b.groups {
		grouped += n
	}
	if b.waiting.length != wait || b.config.Limits.PerClient > 0 && grouped != wait {
		return fmt.Errorf("%d requests wait, %d are counted, %d by client", wait, b.waiting.length, grouped)
	}
	if b.running.length < ran {
		return fmt.Errorf("%d exchanges run, %d are counted", ran, b.running.length)
	}
	return b.checkQueuesLocked()
}

// checkQueuesLocked looks at the broker's own queues.
func (b *Broker) checkQueuesLocked() error {
	producers := 0
	for r := range b.waiting.all() {
		if r.Role == Producer {
			producers++
		}
	}
	if b.producers != producers {
		return fmt.Errorf("%d producers wait, %d are counted", producers, b.producers)
	}
	waits := func(r *Request) bool { return r.state == waiting }
	if err := b.waiting.check(waits, arrivedAt); err != nil {
		return fmt.Errorf("queue of all that wait: %w", err)
	}
	runs := func(r *Request) bool { return r.state == running && r.exchange.Producer == r }
	if err := b.running.check(runs, func(r *Request) time.Time { return r.exchange.MatchedAt }); err != nil {
		return fmt.Errorf("queue of all that run: %w", err)
	}
	return nil
}

func arrivedAt(r *Request) time.Time { return r.ArrivedAt }

func (c *channel) checkLocked() error {
	p, q := c.producers.head, c.consumers.head
	switch {
	case c.Reason != reasonStillAlive:
		return fmt.Errorf("is closed (%s) and still there", c.Reason)
	case c.running == nil && p == nil && q == nil:
		return fmt.Errorf("is kept without anybody")
	case c.running == nil && p != nil && q != nil && p.ready:
		return fmt.Errorf("a pair that could begin is left waiting")
	case c.running != nil && (c.running.Producer.state != running || c.running.Consumer.state != running):
		return fmt.Errorf("exchange %s runs without its two sides", c.running.ID)
	}
	for _, role := range []Role{Producer, Consumer} {
		belongs := func(r *Request) bool { return r.state == waiting && r.Role == role && r.channel == c }
		if err := c.queueOf(role).check(belongs, arrivedAt); err != nil {
			return fmt.Errorf("queue of %ss: %w", role, err)
		}
	}
	return nil
}

// check returns an error unless all in q belong there, in the order of since, and are linked as they should be.
func (q *queue) check(belongs func(*Request) bool, since func(*Request) time.Time) error {
	n := 0
	var last *Request
	for r := range q.all() {
		n++
		switch {
		case !belongs(r):
			return fmt.Errorf("a %s %s of another channel or state stands in it", r.state, r.Role)
		case r.places[q.kind].previous != last:
			return fmt.Errorf("its links are broken at place %d", n)
		case last != nil && since(r).Before(since(last)):
			return fmt.Errorf("place %d arrived before the one ahead of it", n)
		}
		last = r
	}
	if n != q.length || q.tail != last {
		return fmt.Errorf("%d stand in it, %d are counted", n, q.length)
	}
	return nil
}
