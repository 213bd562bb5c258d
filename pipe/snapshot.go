package pipe

import "time"

// A Snapshot lists the requests and exchanges of one moment. They go on while it is read, so only the fields
// set on arrival and at the beginning of the exchange may be read, and Exchange.Written.
type Snapshot struct {
	At      time.Time
	Load    Load
	Waiting []*Request   // oldest first
	Running []*Exchange  // oldest first
	Topics  []TopicState // in no particular order
}

// Load counts the requests and exchanges of a broker.
type Load struct {
	Producers int // waiting
	Consumers int // waiting
	Exchanges int // running

	Subscriptions int
	Publishers    int // that wait for subscribers
	Publications  int // being sent, or next
	Topics        int
}

// Load returns how many requests wait and how many exchanges run.
func (b *Broker) Load() Load {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loadLocked()
}

func (b *Broker) loadLocked() Load {
	return Load{Producers: b.producers, Consumers: b.waiting.length - b.producers, Exchanges: b.running.length,
		Subscriptions: b.subscriptions, Publishers: b.waitingPublishers, Publications: b.publications, Topics: len(b.topics)}
}

// BytesRelayed returns how many bytes have been written to consumers so far, running exchanges included. It
// holds the broker's lock while it visits these.
func (b *Broker) BytesRelayed() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.bytesRelayed
	for r := range b.running.all() {
		n += r.exchange.Written()
	}
	return n
}

// Snapshot returns the oldest waiting requests and running exchanges, at most limit of each. The time for which
// it holds the broker's lock depends on limit alone, not on how many there are.
func (b *Broker) Snapshot(limit int) Snapshot {
	s := Snapshot{Waiting: make([]*Request, 0, limit), Running: make([]*Exchange, 0, limit)}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.At, s.Load = time.Now(), b.loadLocked()
	for r := range b.waiting.all() {
		if len(s.Waiting) == limit {
			break
		}
		s.Waiting = append(s.Waiting, r)
	}
	s.Topics = b.topicsLocked(limit)
	for r := range b.running.all() {
		if len(s.Running) == limit {
			break
		}
		s.Running = append(s.Running, r.exchange)
	}
	return s
}
