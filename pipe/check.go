package pipe

import "fmt"

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
	if b.waiting != wait || b.config.Limits.PerClient > 0 && grouped != wait {
		return fmt.Errorf("%d requests wait, %d are counted, %d by client", wait, b.waiting, grouped)
	}
	if b.running < ran {
		return fmt.Errorf("%d exchanges run, %d are counted", ran, b.running)
	}
	return nil
}

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
		if err := c.queueOf(role).check(c, role); err != nil {
			return fmt.Errorf("queue of %ss: %w", role, err)
		}
	}
	return nil
}

func (q *queue) check(c *channel, role Role) error {
	n := 0
	var last *Request
	for r := q.head; r != nil; last, r = r, r.next {
		n++
		switch {
		case r.state != waiting || r.Role != role || r.channel != c:
			return fmt.Errorf("a %s %s of another channel or state stands in it", r.state, r.Role)
		case r.previous != last:
			return fmt.Errorf("its links are broken at place %d", n)
		case last != nil && r.ArrivedAt.Before(last.ArrivedAt):
			return fmt.Errorf("place %d arrived before the one ahead of it", n)
		}
	}
	if n != q.length || q.tail != last {
		return fmt.Errorf("%d stand in it, %d are counted", n, q.length)
	}
	return nil
}
