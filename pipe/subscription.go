package pipe

import "time"

// A Subscriber is the connection of a Subscription. The broker never calls two of its methods at the same time, except for
// Acknowledged and Interrupt.
type Subscriber interface {
	// Offer writes as much of p as the connection takes without blocking, and reports whether it took all of it. An
	// error means that the client has left. If Offer returns false and no error, either Finish or Ended follows.
	Offer(p *Publication) (taken bool, err error)
	// Finish writes the rest of p. It blocks until the connection has taken it, it fails, or Interrupt is called. It
	// has its own goroutine.
	Finish(p *Publication) error
	// Acknowledged returns a number that changes whenever the client's kernel has acknowledged data. It is called
	// during Finish.
	Acknowledged() int64
	// Interrupt makes a blocked Finish return an error. It is called with the broker's lock held, must return at once,
	// and may be called more than once, also when no Finish is running.
	Interrupt()
	// Ended is the last call: the subscription has ended with the outcome o. A message that was offered and not taken must
	// not look whole to the client. Ended is called once, without the broker's lock, and must not block.
	Ended(o Outcome)
}

// A Subscription is a client's request for the messages of a topic. Fill in the first fields and call Broker.Subscribe.
// There may be very many, so its fields are in an order that wastes no memory.
type Subscription struct {
	// Set before Subscribe.
	Key    Key
	Client Client
	Group  string        // as in Arrival
	Wait   time.Duration // how long it may wait for its first message, as in Arrival
	To     Subscriber
	Once   bool // it ends with its first message

	// Guarded by Broker.mu, and constant once it has ended.
	state          subscriptionState
	reason         Reason
	Outcome        Outcome // how it has ended, or why it is being cut; "" if neither
	EndedAt        time.Time
	topic          *topic
	next, previous *Subscription // in topic's list
	from           int64         // the number of the first publication that it receives
	timer          *time.Timer
	recorded       Commit // of its end

	// What it has received: guarded like the rest.
	Messages    int64
	Bytes       int64  // of the messages' bodies
	First, Last string // the ids of the first and the last publication that it took; "" if none

	// Set by Subscribe.
	ID           string // greater than that of every publication before it, and less than that of every one after
	SubscribedAt time.Time
	broker       *Broker
}

type subscriptionState int8

const (
	subscribed      subscriptionState = iota // it waits for a message
	receiving                                // a message is being written to it; the sender settles how that ends
	subscriptionEnd                          // it has ended
)

// Subscribe adds s to the subscriptions of its topic, or ends it at once: as TimedOut if it does not want to wait, as
// Refused if it exceeds a limit, as ShutDown if the broker is stopping or does not serve the name. It reports whether s was
// added; only then does the broker use s.To, possibly before Subscribe returns. It does not block.
func (b *Broker) Subscribe(s *Subscription) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.broker, s.SubscribedAt = b, time.Now()
	switch {
	case !b.admitsLocked(s.Key):
		s.refuseLocked(ShutDown)
		return false
	case s.Wait == 0:
		s.refuseLocked(TimedOut)
		return false
	}
	t := b.topics[s.Key]
	if s.reason = b.topicLimitLocked(t, s.Group); s.reason != NoReason {
		s.refuseLocked(Refused)
		return false
	}
	t = b.topicLocked(s.Key)
	s.Key = t.key // is equal, and keeps less in memory: s.Key may be a part of a whole request
	s.ID = b.config.NewID()
	s.from = t.accepted + 1
	t.linkLocked(s)
	if s.Once {
		t.once++
	} else {
		t.streams++
	}
	if s.Wait > 0 {
		s.timer = time.AfterFunc(s.Wait, s.timedOut)
	}
	b.recorder.SubscriptionOpened(s)
	t.admitWaitingLocked()
	return true
}

// refuseLocked ends s, which was not added.
func (s *Subscription) refuseLocked(o Outcome) {
	s.state, s.Outcome, s.EndedAt = subscriptionEnd, o, s.SubscribedAt
	if s.broker.movedLocked(o) {
		s.reason = NotServed
	}
	a := Arrival{Shape: Topic, Key: s.Key, Role: Consumer, Client: s.Client, Group: s.Group}
	s.broker.recordUnmatchedLocked(a, s.SubscribedAt, s.EndedAt, o, s.reason)
}

// Reason returns why the subscription ended as it did, or NoReason.
func (s *Subscription) Reason() Reason { return s.reason }

// Leave tells the broker that the client has hung up. It may be called at any time and more than once. It does not block.
func (s *Subscription) Leave() { s.end(Left) }

// end ends s with the outcome o, unless it is ending already.
func (s *Subscription) end(o Outcome) {
	s.broker.mu.Lock()
	s.endAndUnlock(o)
}

// timedOut ends s if no message is on its way to it, or has come.
func (s *Subscription) timedOut() {
	s.broker.mu.Lock()
	if s.from <= s.topic.accepted {
		s.broker.mu.Unlock()
		return
	}
	s.endAndUnlock(TimedOut)
}

// endAndUnlock is end for a caller that holds the lock. It releases the lock.
func (s *Subscription) endAndUnlock(o Outcome) {
	ended := s.endLocked(o)
	if ended {
		s.topic.closeIfUnusedLocked()
	}
	s.broker.mu.Unlock()
	if ended {
		s.To.Ended(o)
	}
}

// endLocked ends s with the outcome o and reports whether it has; the caller must then call closeIfUnusedLocked and,
// without the lock, s.To.Ended. If a message is being written to s, endLocked only interrupts that, and the sender ends
// s.
func (s *Subscription) endLocked(o Outcome) bool {
	switch {
	case s.state == subscriptionEnd || s.Outcome != "":
		return false
	case s.state == receiving:
		s.Outcome = o
		s.uncountLocked()
		s.To.Interrupt()
		return false
	}
	s.uncountLocked()
	s.finishLocked(o)
	return true
}

// uncountLocked removes s from the count of subscriptions that the next publication goes to.
func (s *Subscription) uncountLocked() {
	switch t := s.topic; {
	case !s.Once:
		t.streams--
	case s.from > t.accepted:
		t.once--
	}
}

// finishLocked makes o the outcome of s, which is in the list and no longer counted.
func (s *Subscription) finishLocked(o Outcome) {
	s.topic.unlinkLocked(s)
	s.state, s.Outcome, s.EndedAt = subscriptionEnd, o, time.Now()
	if s.broker.movedLocked(o) {
		s.reason = NotServed
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.recorded = s.broker.recorder.SubscriptionEnded(s)
}

// settleLocked notes that the write of p to s has ended, and whether s took all of it. It reports whether s has ended;
// the caller must then call s.To.Ended without the lock.
func (s *Subscription) settleLocked(p *Publication, taken bool) bool {
	s.state = subscribed
	if taken {
		s.Messages++
		s.Bytes += int64(len(p.Body))
		s.Last = p.ID
		if s.First == "" {
			s.First = p.ID
		}
		p.Delivered++
	}
	switch {
	case taken && s.Once:
		s.finishLocked(Delivered) // acceptLocked has removed it from the count
	case s.Outcome != "":
		s.finishLocked(s.Outcome)
	case !taken:
		s.uncountLocked()
		s.finishLocked(Left)
	default:
		return false
	}
	return true
}

// tell calls Ended for subscriptions that have ended. It is called without the lock.
func tell(ended []*Subscription) {
	for _, s := range ended {
		s.To.Ended(s.Outcome)
	}
}
