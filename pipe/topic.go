package pipe

import (
	"maps"
	"slices"
	"time"
)

// A topic holds the publications and the subscriptions under one Key. Broker.mu guards its fields; methods whose names end
// in Locked need that lock. A topic exists from its first subscription or publication until it has neither. The package
// documentation has the model under "Topics".
type topic struct {
	key    Key
	broker *Broker

	// first and last are the ends of a list of subscriptions, in the order of their arrival. A subscription that has
	// been cut stays in the list until the write to it has ended.
	first, last *Subscription
	linked      int // subscriptions in the list

	streams int // subscriptions to any number of messages that have not been cut
	once    int // subscriptions to one message that have not been cut, and that no publication has been accepted for

	accepted int64          // publications so far, which numbers them
	queue    []*Publication // accepted and not ended, in order; the first is being sent
	waiting  []*Publication // those that wait for subscribers, oldest first
	deleted  bool           // no longer in Broker.topics
}

// subscribedLocked returns how many subscriptions the next publication goes to.
func (t *topic) subscribedLocked() int { return t.streams + t.once }

// topicLocked returns the topic k, which it opens if it does not exist.
func (b *Broker) topicLocked(k Key) *topic {
	t := b.topics[k]
	if t == nil {
		t = &topic{key: k, broker: b}
		b.topics[k] = t
	}
	return t
}

// closeIfUnusedLocked removes t from the broker if nothing is left on it.
func (t *topic) closeIfUnusedLocked() {
	if !t.deleted && t.linked == 0 && len(t.queue) == 0 && len(t.waiting) == 0 {
		t.deleted = true
		delete(t.broker.topics, t.key)
	}
	t.broker.closeIfIdleLocked()
}

// linkLocked puts s at the end of the list.
func (t *topic) linkLocked(s *Subscription) {
	s.topic, s.previous = t, t.last
	if t.last == nil {
		t.first = s
	} else {
		t.last.next = s
	}
	t.last = s
	t.linked++
	b := t.broker
	b.subscriptions++
	b.countWaiterLocked(s.Group, 1)
}

// unlinkLocked removes s, which must be in the list.
func (t *topic) unlinkLocked(s *Subscription) {
	if s.previous == nil {
		t.first = s.next
	} else {
		s.previous.next = s.next
	}
	if s.next == nil {
		t.last = s.previous
	} else {
		s.next.previous = s.previous
	}
	s.next, s.previous = nil, nil
	t.linked--
	b := t.broker
	b.subscriptions--
	b.countWaiterLocked(s.Group, -1)
}

// LookTopic returns how many subscriptions a topic has, and whether it has any.
func (b *Broker) LookTopic(k Key) (subscribed int, exists bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.topics[k]; t != nil {
		subscribed = t.subscribedLocked()
	}
	return subscribed, subscribed > 0
}

// DeleteTopic ends all subscriptions of a topic, and the publishers that wait for subscribers (Deleted). What is being
// written to a subscriber is cut. It reports whether anything was ended. It blocks until all but the last thousand of
// these ends have been recorded.
func (b *Broker) DeleteTopic(k Key) bool {
	b.mu.Lock()
	t := b.topics[k]
	if t == nil || t.linked == 0 && len(t.waiting) == 0 {
		b.mu.Unlock()
		return false
	}
	t.deleted = true
	delete(b.topics, k)
	b.mu.Unlock()
	t.endAll(Deleted)
	return true
}

// drainSize bounds how many subscriptions end in one critical section, and how many of their records are in memory.
const drainSize = 1000

// endAll ends everything that waits on t. It is called without the lock, when t admits nothing more.
func (t *topic) endAll(why Outcome) {
	b := t.broker
	b.mu.Lock()
	for len(t.waiting) > 0 {
		t.waiting[0].dismissLocked(why)
	}
	b.mu.Unlock()
	for more := true; more; {
		var ended []*Subscription
		b.mu.Lock()
		next := t.first
		for next != nil && len(ended) < drainSize {
			s := next
			next = s.next
			if s.endLocked(why) {
				ended = append(ended, s)
			}
		}
		more = next != nil
		t.closeIfUnusedLocked()
		b.mu.Unlock()
		tell(ended)
		if n := len(ended); n > 0 && more {
			ended[n-1].recorded.Wait()
		}
	}
}

// stopTopics ends all subscriptions, except on topics that are sending: those end after their last message. It is called
// without the lock, once the broker is stopping.
func (b *Broker) stopTopics() {
	for _, t := range b.allTopics() {
		t.stop()
	}
}

// stop ends all subscriptions to t, after the last message if t is sending.
func (t *topic) stop() {
	b := t.broker
	b.mu.Lock()
	busy := len(t.queue) > 0
	for len(t.waiting) > 0 {
		t.waiting[0].dismissLocked(ShutDown)
	}
	b.mu.Unlock()
	if !busy { // otherwise the end of the last publication calls endAll
		t.endAll(ShutDown)
	}
}

// cutTopics ends all subscriptions at once.
func (b *Broker) cutTopics() {
	for _, t := range b.allTopics() {
		t.endAll(ShutDown)
	}
}

func (b *Broker) allTopics() []*topic {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.topics))
}

// A TopicState is the state of a topic in a Snapshot.
type TopicState struct {
	Key         Key
	Subscribed  int
	Sending     int       // publications that have been accepted and have not ended
	Waiting     int       // publishers that wait for subscribers
	SendingFrom time.Time // when the oldest of Sending was accepted; zero if there is none
}

// topicsLocked returns the state of at most limit topics.
func (b *Broker) topicsLocked(limit int) []TopicState {
	states := make([]TopicState, 0, min(limit, len(b.topics)))
	for _, t := range b.topics {
		if len(states) == limit {
			break
		}
		s := TopicState{Key: t.key, Subscribed: t.subscribedLocked(), Sending: len(t.queue), Waiting: len(t.waiting)}
		if s.Sending > 0 {
			s.SendingFrom = t.queue[0].PublishedAt
		}
		states = append(states, s)
	}
	return states
}
