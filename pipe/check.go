package pipe

import (
	"fmt"
	"time"
)

// check returns an error for the first invariant of the package documentation that is violated, or nil.
func (b *Broker) check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	runningCount, waitingCount := 0, 0
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
				runningCount++
			}
			waitingCount += c.producers.length + c.consumers.length
		}
	}
	running, waiting, err := b.checkServicesLocked()
	if err != nil {
		return err
	}
	runningCount += running
	waitingCount += waiting
	grouped := 0
	for _, n := range b.groups {
		grouped += n
	}
	all := waitingCount + b.subscriptions + b.waitingPublishers
	if b.waiting.length != waitingCount || b.config.Limits.PerClient > 0 && grouped != all {
		return fmt.Errorf("%d requests wait, %d are counted; of %d waiters %d are counted by client", waitingCount, b.waiting.length, all, grouped)
	}
	if b.running.length < runningCount {
		return fmt.Errorf("%d exchanges run, %d are counted", runningCount, b.running.length)
	}
	if err := b.checkTopicsLocked(); err != nil {
		return err
	}
	return b.checkQueuesLocked()
}

// checkQueuesLocked checks the broker's own queues.
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
		return fmt.Errorf("queue of all waiting requests: %w", err)
	}
	runs := func(r *Request) bool { return r.state == running && r.exchange.Producer == r }
	if err := b.running.check(runs, func(r *Request) time.Time { return r.exchange.MatchedAt }); err != nil {
		return fmt.Errorf("queue of all running exchanges: %w", err)
	}
	return nil
}

func arrivedAt(r *Request) time.Time { return r.ArrivedAt }

func (c *channel) checkLocked() error {
	p, q := c.producers.head, c.consumers.head
	switch {
	case c.Reason != notClosed:
		return fmt.Errorf("is closed (%s) but still in the broker", c.Reason)
	case c.unusedLocked():
		return fmt.Errorf("is kept without requests and exchange")
	case c.running == nil && p != nil && q != nil && p.ready:
		return fmt.Errorf("a pair that could begin an exchange is left waiting")
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

// check returns an error unless all requests in q belong there, are in the order of since, and are linked correctly.
func (q *queue) check(belongs func(*Request) bool, since func(*Request) time.Time) error {
	n := 0
	var last *Request
	for r := range q.all() {
		n++
		switch {
		case !belongs(r):
			return fmt.Errorf("it contains a %s %s of another channel or state", r.state, r.Role)
		case r.places[q.kind].previous != last:
			return fmt.Errorf("its links are broken at place %d", n)
		case last != nil && since(r).Before(since(last)):
			return fmt.Errorf("place %d arrived before the one ahead of it", n)
		}
		last = r
	}
	if n != q.length || q.tail != last {
		return fmt.Errorf("it contains %d requests, %d are counted", n, q.length)
	}
	return nil
}
