package pipe

import "time"

// A Snapshot is who waits and what runs at one moment. Of requests and exchanges, which go on meanwhile,
// only what was set on arrival and at the beginning may be read, and Written.
type Snapshot struct {
	At      time.Time
	Load    Load
	Waiting []*Request  // the first to arrive first
	Running []*Exchange // the first to begin first
}

// Load is how much there is of everything.
type Load struct {
	Producers int // that wait
	Consumers int // that wait
	Exchanges int // that run
}

// Load returns how many requests wait, and how many exchanges run.
func (b *Broker) Load() Load {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loadLocked()
}

func (b *Broker) loadLocked() Load {
	return Load{Producers: b.producers, Consumers: b.waiting.length - b.producers, Exchanges: b.running.length}
}

// Relayed returns how many bytes have been written to consumers so far, by exchanges that run as well. It
// holds the lock while it adds these up.
func (b *Broker) Relayed() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.relayed
	for r := range b.running.all() {
		n += r.exchange.Written()
	}
	return n
}

// Snapshot returns who waits and what runs now, at most limit of each: it holds the lock for no longer than
// that takes, however many there are.
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
	for r := range b.running.all() {
		if len(s.Running) == limit {
			break
		}
		s.Running = append(s.Running, r.exchange)
	}
	return s
}
