package pipe

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config configures a Broker.
type Config struct {
	// NewID returns the id of a new exchange, different each time. It is called with the broker's lock held.
	NewID func() string
	// Recorder receives the events. nil: nothing is recorded.
	Recorder Recorder
	// Strict holds back the first byte of an exchange until the record of its match is safe.
	Strict bool
	// SilenceTimeout limits how long a producer may send nothing while it is first in its queue and a consumer
	// waits, or while its exchange runs. 0: no limit.
	SilenceTimeout time.Duration
	// MessageTimeout limits how long a subscriber's kernel may acknowledge nothing while a message is ready. A
	// subscriber has six times that for a whole message. 0: no limit.
	MessageTimeout time.Duration
	// Look is called just before a message is offered to these connections, at most LookSize. It can find out for all of
	// them at once which clients have hung up, so that Offer knows. It must not block or keep the slice. nil: no look.
	Look             func([]Subscriber)
	MaxMessage       int64 // bytes of one message; 0: no limit
	MaxMessageMemory int64 // bytes of memory that all messages together may take; 0: no limit
	// Limits bound how many requests may wait.
	Limits Limits
	// Serves reports whether this broker serves a name now. A request to any other name ends as ShutDown. It is called with
	// the broker's lock held. The caller must call GiveUp after Serves begins to return false for a name. nil: every name
	// is served.
	Serves func(Key) bool

	// NewReplyID returns 128 random bits as text. Like NewID it is called with the lock held. It must be set if there are
	// services.
	NewReplyID func() string
	// ReplyTimeout limits how long a caller whose request has been delivered waits until its answer begins. 0: no limit.
	ReplyTimeout time.Duration
}

// A Broker matches requests, channel by channel. Make one with New. All methods may be called from any
// goroutine, and none blocks unless its comment says so.
type Broker struct {
	config   Config
	recorder Recorder // never nil

	messageMemory atomic.Int64 // see message.go

	// mu guards all fields below, and those elsewhere in this package that say so. Nothing blocks while it is held.
	mu sync.Mutex
	// namespaces holds every channel that exists, by namespace and name. No inner map is empty.
	namespaces   map[string]map[string]*channel
	lives        int64          // lives of channels so far
	waiting      queue          // the waiting requests of all channels
	producers    int            // how many of them are producers
	groups       map[string]int // how many waiters have each Arrival.Group; empty without Limits.PerClient
	running      queue          // the producers of running exchanges, those on deleted channels included
	bytesRelayed int64          // by exchanges that have ended
	current      *Request       // the request whose goroutine holds mu, in Arrive or Fill; nil in all other calls
	clock        time.Time      // the time of the call that holds mu, if several things happen in it at once; else zero
	stopping     bool           // Shutdown was called
	idle         chan struct{}  // closed once the broker is stopping and no exchange, call, subscription or publication is left
	isIdle       bool           // idle is closed

	topics            map[Key]*topic
	subscriptions     int // in the lists of all topics, including deleted ones
	waitingPublishers int // publications that wait for subscribers
	publications      int // publications that are accepted and have not ended

	services services
}

// New returns a broker without channels.
func New(config Config) *Broker {
	b := &Broker{
		config:     config,
		recorder:   config.Recorder,
		namespaces: make(map[string]map[string]*channel),
		waiting:    queue{kind: brokerQueue},
		groups:     make(map[string]int),
		topics:     make(map[Key]*topic),
		running:    queue{kind: brokerQueue},
		idle:       make(chan struct{}),
		services:   newServices(),
	}
	if b.recorder == nil {
		b.recorder = Discard{}
	}
	return b
}

// Arrive admits a request to its channel, or ends it unmatched: as TimedOut if it does not want to wait and
// would have to, as Refused if it exceeds a limit, as ShutDown if the broker is stopping or does not serve the name. It does
// not block. The goroutine that serves r calls Fill next if r is a producer that has not its body in hand. Then it looks at
// r with Begun and Unmatched, and again after each Wake.
func (b *Broker) Arrive(a Arrival) *Request {
	r := b.newRequest(&a)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = r
	defer func() { b.current, b.clock = nil, time.Time{} }()
	b.clock = time.Now() // with the lock held, so that the times have the order of arrival
	r.ArrivedAt = b.clock
	c := b.findLocked(a.Shape, a.Key)
	switch {
	case !b.admitsLocked(a.Key):
		b.endUnmatchedLocked(r, ShutDown)
		return r
	case a.Wait == 0 && (c == nil || !c.nextPairLocked(a.Role)):
		b.endUnmatchedLocked(r, TimedOut)
		return r
	}
	if r.reason = b.limitLocked(c, &a); r.reason != NoReason {
		b.endUnmatchedLocked(r, Refused)
		return r
	}
	if c == nil {
		c = b.openLocked(a.Shape, a.Key)
	}
	c.admitLocked(r)
	return r
}

// nowLocked returns the time.
func (b *Broker) nowLocked() time.Time {
	if b.clock.IsZero() {
		return time.Now()
	}
	return b.clock
}

// newRequest returns the request of a, with what is in hand of its body.
func (b *Broker) newRequest(a *Arrival) *Request {
	if a.Role == Consumer {
		return &Request{Arrival: *a, broker: b}
	}
	p := new(struct { // one allocation for both
		Request
		body
	})
	r := &p.Request
	r.Arrival, r.broker, r.body = *a, b, &p.body
	r.body.init(r)
	if a.InHand {
		for len(r.body.buffer) < r.body.limit() && r.body.readAhead() {
		}
		r.whole = r.body.end == io.EOF
		r.ready = r.whole || len(r.body.buffer) > 0 && r.body.end == nil
	}
	return r
}

// RecordUnmatched reports to the Recorder a request that was rejected with the outcome o before it arrived.
func (b *Broker) RecordUnmatched(a Arrival, o Outcome) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.recordUnmatchedLocked(a, now, now, o, NoReason)
}

// recordUnmatchedLocked reports an unmatched request for which the broker has no Request to the Recorder.
func (b *Broker) recordUnmatchedLocked(a Arrival, arrived, left time.Time, o Outcome, why Reason) {
	b.recorder.RequestUnmatched(&Request{Arrival: a, ArrivedAt: arrived, state: ended, outcome: o, waited: left.Sub(arrived), reason: why})
}

// Delete removes a channel at once: its waiting requests end and its exchange is cut (Deleted). It reports
// whether the channel existed.
func (b *Broker) Delete(k Key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.deleteKeyLocked(Channel, k)
}

// DeleteNamespace deletes every channel of a namespace, as Delete does. It reports whether there was any.
func (b *Broker) DeleteNamespace(namespace string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	channels, existed := b.namespaces[namespace]
	for _, c := range channels {
		b.deleteLocked(c)
	}
	return existed
}

// Look returns how many producers and consumers wait on a channel, without those of a running exchange, and
// whether the channel exists.
func (b *Broker) Look(k Key) (producers, consumers int, exists bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lookLocked(Channel, k)
}

// State returns the names of all channels by namespace, each list sorted. The caller owns the map.
func (b *Broker) State() map[string][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := make(map[string][]string, len(b.namespaces))
	for namespace, channels := range b.namespaces {
		state[namespace] = sortedKeys(channels)
	}
	return state
}

// Namespaces returns the namespaces that exist, sorted. The caller owns the slice, which is never nil.
func (b *Broker) Namespaces() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return sortedKeys(b.namespaces)
}

// Channels returns the channels of a namespace, sorted, or none if it does not exist. The caller owns the
// slice, which is never nil.
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

// Shutdown ends every waiting request (ShutDown) and admits no more. It blocks until the running exchanges have
// ended, and the messages that were accepted have been sent. Then it ends the subscriptions. Once ctx is done it cuts
// all of these, and they end soon after.
func (b *Broker) Shutdown(ctx context.Context) {
	b.mu.Lock()
	if !b.stopping {
		b.stopping = true
		b.stopLocked()
	}
	b.mu.Unlock()
	b.stopTopics()

	select {
	case <-b.idle:
		return
	case <-ctx.Done():
	}
	b.mu.Lock()
	for c := range b.channelsLocked() {
		c.cutLocked(ShutDown)
	}
	for _, call := range b.services.calls {
		call.cutLocked(ShutDown) // also of services that have been deleted
	}
	b.mu.Unlock()
	b.cutTopics()
	<-b.idle
}

// stopLocked ends every waiting request, and closes every channel on which no exchange runs.
func (b *Broker) stopLocked() {
	for c := range b.channelsLocked() {
		c.dismissAllLocked(ShutDown)
		c.advanceLocked()
	}
	b.closeIfIdleLocked()
}

// closeIfIdleLocked closes idle if the broker is stopping, and no exchange or call runs and no subscription or
// publication is left. It is called when the broker stops, and whenever one of these ends.
func (b *Broker) closeIfIdleLocked() {
	if b.stopping && !b.isIdle && b.running.length == 0 && len(b.services.calls) == 0 && b.subscriptions == 0 && b.publications == 0 {
		b.isIdle = true
		close(b.idle)
	}
}
