package pipe

import (
	"iter"
	"sync"
	"time"
)

// A channel is one life of a channel: its two queues and the exchange that runs on it. Broker.mu guards its
// fields. Its methods need that lock, as their suffix Locked says.
type channel struct {
	Life
	broker    *Broker
	producers queue
	consumers queue
	running   *Exchange // nil if none runs; always nil for a service

	calls map[*Call]struct{} // of a service: those that run
	call  *Call              // that this is the channel for the answer of; nil for any other

	// silent is the first producer, if no exchange runs, a consumer waits, and the producer has sent nothing. Otherwise it
	// is nil. The timer silence limits this, if there is a silence timeout.
	silent   *Request
	silence  *time.Timer
	silences uint32 // counts the changes of silent, so that a timer that could not be stopped detects that it is outdated

	shape Shape
}

// channels holds closed channels for reuse, because most channels live for one small exchange.
var channels = sync.Pool{New: func() any { return new(channel) }}

// release returns c to the pool when its life is over. Timers and requests that have ended may still refer to c, but they
// read it only with the lock held, and a timer compares c.silences first.
func (c *channel) release() {
	if c.shape == Channel {
		channels.Put(c)
	}
}

// findLocked returns the channel or service k, or nil if it does not exist.
func (b *Broker) findLocked(shape Shape, k Key) *channel {
	if shape == Service {
		return b.services.channels[k]
	}
	return b.namespaces[k.Namespace][k.Channel]
}

// lookLocked implements Look.
func (b *Broker) lookLocked(shape Shape, k Key) (producers, consumers int, exists bool) {
	c := b.findLocked(shape, k)
	if c == nil {
		return 0, 0, false
	}
	return c.producers.length, c.consumers.length, true
}

// deleteKeyLocked implements Delete.
func (b *Broker) deleteKeyLocked(shape Shape, k Key) bool {
	c := b.findLocked(shape, k)
	if c == nil {
		return false
	}
	b.deleteLocked(c)
	return true
}

// openLocked opens a new life of the channel or service k, which must not exist. The lives of services are not recorded.
func (b *Broker) openLocked(shape Shape, k Key) *channel {
	if shape == Service {
		c := &channel{Life: Life{Key: k, OpenedAt: time.Now()}, shape: shape, broker: b, calls: make(map[*Call]struct{})}
		b.services.channels[k] = c
		return c
	}
	b.lives++
	c := channels.Get().(*channel)
	silences := c.silences
	*c = channel{} // a literal with values would be made on the stack and copied
	c.ID, c.Key, c.OpenedAt, c.broker, c.silences = b.lives, k, b.nowLocked(), b, silences
	namespace := b.namespaces[k.Namespace]
	if namespace == nil {
		namespace = make(map[string]*channel)
		b.namespaces[k.Namespace] = namespace
	}
	namespace[k.Channel] = c
	b.recorder.ChannelOpened(&c.Life)
	return c
}

// closeLocked removes c, which must exist, from the broker. If its exchange has not ended yet, endExchange
// reports the closing.
func (b *Broker) closeLocked(c *channel, why CloseReason) {
	if b.stopping && why == ClosedIdle {
		why = ClosedShutDown
	}
	c.ClosedAt, c.Reason = b.nowLocked(), why
	if c.shape == Service {
		delete(b.services.channels, c.Key)
		return
	}
	channels := b.namespaces[c.Key.Namespace]
	delete(channels, c.Key.Channel)
	if len(channels) == 0 {
		delete(b.namespaces, c.Key.Namespace)
	}
	if c.running == nil {
		b.recorder.ChannelClosed(&c.Life)
	}
}

func (b *Broker) deleteLocked(c *channel) {
	c.dismissAllLocked(Deleted)
	b.closeLocked(c, ClosedDeleted)
	c.cutLocked(Deleted)
	if c.running == nil {
		c.release()
	}
}

// cutLocked cuts what runs on c.
func (c *channel) cutLocked(why Outcome) {
	if c.running != nil {
		c.running.cutLocked(why)
	}
	for call := range c.calls {
		call.cutLocked(why)
	}
}

// channelsLocked visits every channel and service; the loop may close the channel that it is given.
func (b *Broker) channelsLocked() iter.Seq[*channel] {
	return func(yield func(*channel) bool) {
		for _, channels := range b.namespaces {
			for _, c := range channels {
				if !yield(c) {
					return
				}
			}
		}
		for _, c := range b.services.channels {
			if !yield(c) {
				return
			}
		}
	}
}

func (c *channel) queueOf(role Role) *queue {
	if role == Producer {
		return &c.producers
	}
	return &c.consumers
}

// admitLocked puts r, which waits from now on, at the end of its queue, and begins what can begin.
func (c *channel) admitLocked(r *Request) {
	c.enqueueLocked(r)
	if r.Wait > 0 {
		r.timer = time.AfterFunc(r.Wait, r.timedOut)
	}
	if r.body != nil && r.body.end != nil && !r.whole {
		c.dismissLocked(r, bodyOutcome(r.body.end, Left))
	}
	c.advanceLocked()
	if r.body != nil {
		r.begun = r.state == running // Fill is not woken for this
	}
}

// enqueueLocked puts r at the end of its queue.
func (c *channel) enqueueLocked(r *Request) {
	r.channel = c
	c.queueOf(r.Role).push(r)
	b := c.broker
	b.waiting.push(r)
	if r.Role == Producer {
		b.producers++
	}
	b.countWaiterLocked(r.Group, 1)
}

// dequeueLocked removes r from its queue.
func (c *channel) dequeueLocked(r *Request) {
	c.queueOf(r.Role).remove(r)
	b := c.broker
	b.waiting.remove(r)
	if r.Role == Producer {
		b.producers--
	}
	b.countWaiterLocked(r.Group, -1)
}

// nextPairLocked reports whether a request of this role would be part of the next pair if it arrived now. That
// takes no running exchange, no waiting request of the same role, and one of the other.
func (c *channel) nextPairLocked(role Role) bool {
	return c.running == nil && c.queueOf(role).length == 0 && c.producers.length+c.consumers.length > 0
}

// advanceLocked must be called after every change: it begins an exchange if one can begin, dismisses a request
// that does not want to wait and would now have to, and closes the channel if it is unused.
func (c *channel) advanceLocked() {
	c.matchLocked()
	for _, q := range []*queue{&c.producers, &c.consumers} {
		if r := q.head; r != nil && r.Wait == 0 && (c.producers.length == 0 || c.consumers.length == 0) {
			c.dismissLocked(r, TimedOut)
		}
	}
	c.updateSilenceLocked()
	if c.unusedLocked() {
		c.broker.closeLocked(c, ClosedIdle)
		c.release()
	}
}

// unusedLocked reports whether c is to be closed: no request waits and nothing runs. The channel for an answer ends
// with its call.
func (c *channel) unusedLocked() bool {
	return c.call == nil && c.running == nil && len(c.calls) == 0 && c.producers.length == 0 && c.consumers.length == 0
}

// matchLocked begins an exchange if none runs and the first producer is ready and has a consumer. On a service it begins
// all that can begin. A request
// whose client turns out to have hung up is dismissed, and the next one takes its place.
func (c *channel) matchLocked() {
	for c.running == nil {
		p, q := c.producers.head, c.consumers.head
		if p == nil || q == nil || !p.ready {
			return
		}
		switch source, sink := p.Source.BothAlive(q.Sink); {
		case !source:
			c.dismissLocked(p, Left)
		case !sink:
			c.dismissLocked(q, Left)
		default:
			c.beginLocked(p, q)
		}
	}
}

func (c *channel) beginLocked(producer, consumer *Request) {
	x := &Exchange{
		ID:        c.broker.config.NewID(),
		Key:       c.Key,
		Life:      c.ID,
		Producer:  producer,
		Consumer:  consumer,
		MatchedAt: c.broker.nowLocked(),
		channel:   c,
		whole:     producer.whole,
		carrier:   producer,
	}
	for _, r := range []*Request{producer, consumer} {
		c.dequeueLocked(r)
		r.state, r.exchange = running, x
		r.stopTimerLocked()
	}
	switch {
	case c.shape == Channel:
		c.running = x
	case c.call == nil:
		c.beginCallLocked(x)
	default:
		c.running, c.call.Answer, x.ReplyTo = x, x, c.call.Request
	}
	c.broker.running.push(producer)
	x.matched = c.broker.recorder.ExchangeMatched(x)
	if x.whole && c.broker.current == consumer {
		x.carrier = consumer // it has just arrived, so no goroutine need be woken
		return
	}
	x.later = c.broker.current != producer
	producer.wakeLocked()
}

// dismissLocked ends the wait of r, which must be in one of the queues.
func (c *channel) dismissLocked(r *Request, o Outcome) {
	c.dequeueLocked(r)
	c.broker.endUnmatchedLocked(r, o)
}

// dismissAllLocked ends the wait of all requests on the channel.
func (c *channel) dismissAllLocked(o Outcome) {
	for _, q := range []*queue{&c.producers, &c.consumers} {
		for q.head != nil {
			c.dismissLocked(q.head, o)
		}
	}
	c.updateSilenceLocked()
}

// updateSilenceLocked starts or stops the silence timeout of the first producer.
func (c *channel) updateSilenceLocked() {
	var silent *Request
	if p := c.producers.head; c.running == nil && c.consumers.length > 0 && p != nil && !p.ready {
		silent = p
	}
	if silent == c.silent {
		return
	}
	if c.silence != nil {
		c.silence.Stop()
	}
	c.silences++
	c.silent, c.silence = silent, nil
	b, which := c.broker, c.silences
	if limit := b.config.SilenceTimeout; silent != nil && limit > 0 {
		c.silence = time.AfterFunc(limit, func() { b.silenceTimedOut(c, which) })
	}
}

// silenceTimedOut is called when a silence timer of c fires, which may be too late.
func (b *Broker) silenceTimedOut(c *channel, which uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := c.silent; r != nil && c.silences == which {
		c.dismissLocked(r, Silent)
		c.advanceLocked()
	}
}
