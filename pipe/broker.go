package pipe

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Config is how a Broker behaves.
type Config struct {
	// NewID makes the id of an exchange; ids must differ. It is called under the broker's lock.
	NewID func() string
	// Recorder is told what happens. nil: nobody is.
	Recorder Recorder
	// Strict holds an exchange's first byte back until its match is safe with the Recorder.
	Strict bool
	// SilenceTimeout is how long a producer whose turn it is may send nothing while a consumer is
	// there. 0: as long as it likes.
	SilenceTimeout time.Duration
	// Limits bound who may wait.
	Limits Limits
}

// A Broker matches requests, channel by channel. Make one with New. All methods may be called from any
// goroutine, and none blocks unless it says so.
type Broker struct {
	config   Config
	recorder Recorder

	// mu guards everything below, and whatever says so in this package. Nothing blocks under it.
	mu sync.Mutex
	// namespaces holds every channel that exists, by namespace and name. No inner map is empty.
	namespaces map[string]map[string]*channel
	lives      int64          // how many there have been
	waiting    queue          // requests, on all channels
	producers  int            // of them
	groups     map[string]int // of them, by Arrival.Group; empty without Limits.PerClient
	running    queue          // the producers of exchanges, those of deleted channels included
	relayed    int64          // bytes, by exchanges that have ended
	stopping   bool           // nobody is let in any more
	idle       chan struct{}  // closed when stopping and nothing runs
}

// New returns a broker without any channels.
func New(config Config) *Broker {
	b := &Broker{
		config:     config,
		recorder:   config.Recorder,
		namespaces: make(map[string]map[string]*channel),
		waiting:    queue{kind: ofBroker},
		groups:     make(map[string]int),
		running:    queue{kind: ofBroker},
		idle:       make(chan struct{}),
	}
	if b.recorder == nil {
		b.recorder = Discard{}
	}
	return b
}

// Arrive lets a request in. It returns at once; the caller goes on with AwaitMatch or with Fill and AwaitEnd. The request may be over
// already: TimedOut if it would not wait and had to, Refused by a limit, ShutDown if the broker is stopping.
func (b *Broker) Arrive(a Arrival) *Request {
	r := &Request{Arrival: a, broker: b, wake: make(chan struct{})}
	if a.Role == Producer {
		r.body = newBody(&r.Arrival)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r.ArrivedAt = time.Now() // under the lock, so that times tell the order as well
	c := b.namespaces[a.Key.Namespace][a.Key.Channel]
	switch {
	case b.stopping:
		b.goneLocked(r, ShutDown)
		return r
	case a.Wait == 0 && (c == nil || !c.nextPairLocked(a.Role)):
		b.goneLocked(r, TimedOut)
		return r
	}
	if r.refusedBy = b.limitLocked(c, &a); r.refusedBy != NoLimit {
		b.goneLocked(r, Refused)
		return r
	}
	if c == nil {
		c = b.openLocked(a.Key)
	}
	c.joinLocked(r)
	if a.Wait > 0 {
		r.timer = time.AfterFunc(a.Wait, func() { b.expire(r, TimedOut) })
	}
	c.settleLocked()
	return r
}

// Refuse tells the Recorder of a request that is not let in, for the reason o.
func (b *Broker) Refuse(a Arrival, o Outcome) {
	now := time.Now()
	r := &Request{Arrival: a, ArrivedAt: now, state: over, outcome: o, goneAt: now}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.recorder.RequestGone(r)
}

// Delete destroys a channel: it is gone at once, its waiters are over (Deleted) and its exchange is cut.
// It reports whether the channel existed.
func (b *Broker) Delete(k Key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.namespaces[k.Namespace][k.Channel]
	if c == nil {
		return false
	}
	b.deleteLocked(c)
	return true
}

// DeleteNamespace destroys every channel of a namespace as Delete does. It reports whether there was one.
func (b *Broker) DeleteNamespace(namespace string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	channels, existed := b.namespaces[namespace]
	for _, c := range channels {
		b.deleteLocked(c)
	}
	return existed
}

// Look returns how many producers and consumers wait on a channel, the running pair not counted, and
// whether it exists.
func (b *Broker) Look(k Key) (producers, consumers int, exists bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.namespaces[k.Namespace][k.Channel]
	if c == nil {
		return 0, 0, false
	}
	return c.producers.length, c.consumers.length, true
}

// State returns the names of all channels by namespace, each list sorted. It is the caller's.
func (b *Broker) State() map[string][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := make(map[string][]string, len(b.namespaces))
	for namespace, channels := range b.namespaces {
		state[namespace] = sortedKeys(channels)
	}
	return state
}

// Namespaces returns the namespaces that exist, sorted. The slice is the caller's, and never nil.
func (b *Broker) Namespaces() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return sortedKeys(b.namespaces)
}

// Channels returns the channels of a namespace, sorted, none if it does not exist. The slice is the
// caller's, and never nil.
func (b *Broker) Channels(namespace string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return sortedKeys(b.namespaces[namespace])
}

func sortedKeys[V any](m map[string]V) []string {
	keys := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	slices.Sort(keys)
	return keys
}

// Stopping reports whether Shutdown has been called.
func (b *Broker) Stopping() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopping
}

// Shutdown ends everybody's wait (ShutDown) and lets nobody in from now on. It blocks until the
// exchanges that run have ended; once ctx is done it cuts them, which ends them soon.
func (b *Broker) Shutdown(ctx context.Context) {
	b.mu.Lock()
	if !b.stopping {
		b.stopping = true
		b.stopLocked()
	}
	b.mu.Unlock()

	select {
	case <-b.idle:
		return
	case <-ctx.Done():
	}
	b.mu.Lock()
	for c := range b.channelsLocked() {
		c.running.cutLocked(ShutDown)
	}
	b.mu.Unlock()
	<-b.idle
}
