package pipe

import "fmt"

// checkTopicsLocked is the part of check that is about topics.
func (b *Broker) checkTopicsLocked() error {
	subscriptions, publications, publishers := 0, 0, 0
	for key, t := range b.topics {
		if t.key != key || t.deleted {
			return fmt.Errorf("topic %v is filed under %v, deleted: %v", t.key, key, t.deleted)
		}
		if err := t.checkLocked(); err != nil {
			return fmt.Errorf("topic %v: %w", key, err)
		}
		subscriptions += t.linked
		publications += len(t.queue)
		publishers += len(t.waiting)
	}
	// A topic that was deleted may still have subscriptions and publications that are ending.
	if b.subscriptions < subscriptions || b.publications < publications || b.waitingPublishers != publishers {
		return fmt.Errorf("topics have %d subscriptions, %d publications and %d waiting publishers; counted are %d, %d and %d",
			subscriptions, publications, publishers, b.subscriptions, b.publications, b.waitingPublishers)
	}
	return nil
}

func (t *topic) checkLocked() error {
	if t.linked == 0 && len(t.queue) == 0 && len(t.waiting) == 0 {
		return fmt.Errorf("is kept without subscriptions and publications")
	}
	for i, p := range t.queue {
		if p.state != running || p.number != t.accepted-int64(len(t.queue)-1-i) || i > 0 && p.ID <= t.queue[i-1].ID {
			return fmt.Errorf("place %d of the queue has publication %d (%s), %s", i, p.number, p.ID, p.state)
		}
	}
	for _, p := range t.waiting {
		if p.state != waiting || p.Enough <= t.subscribedLocked() {
			return fmt.Errorf("a publication (%s) waits for %d subscribers, and there are %d", p.state, p.Enough, t.subscribedLocked())
		}
	}
	return t.checkSubscriptionsLocked()
}

func (t *topic) checkSubscriptionsLocked() error {
	linked, streams, once := 0, 0, 0
	var last *Subscription
	for s := t.first; s != nil; s = s.next {
		linked++
		switch {
		case s.state == subscriptionEnd || s.topic != t || s.previous != last:
			return fmt.Errorf("place %d of the subscriptions has one that has ended, or is linked wrongly", linked)
		case s.state == receiving && len(t.queue) == 0:
			return fmt.Errorf("subscription %s receives a message, and none is being sent", s.ID)
		case s.state == subscribed && s.Outcome != "":
			return fmt.Errorf("subscription %s was cut (%s) and has not ended", s.ID, s.Outcome)
		case last != nil && s.ID <= last.ID:
			return fmt.Errorf("subscription %s is behind %s", s.ID, last.ID)
		}
		switch {
		case s.Outcome != "":
		case !s.Once:
			streams++
		case s.from > t.accepted:
			once++
		}
		last = s
	}
	if linked != t.linked || t.last != last || streams != t.streams || once != t.once {
		return fmt.Errorf("%d subscriptions, %d streams and %d for one message; counted are %d, %d and %d",
			linked, streams, once, t.linked, t.streams, t.once)
	}
	return nil
}
