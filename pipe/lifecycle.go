package pipe

import (
	"io"
	"iter"
	"time"
)

// This file holds what happens to channels, requests and exchanges from the inside: the events that
// Request, Exchange and the clocks bring, and the steps under the lock that Broker's methods share.

// ready takes note that the first byte of r's body, or the end of an empty one, is in hand.
func (b *Broker) ready(r *Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.ready = true
	if r.state == waiting {
		r.channel.settleLocked()
	}
}

// filled takes note that nothing more comes of r's body. If that is not its end, r need not wait any longer; if its
// exchange runs, the relay finds out by itself.
func (b *Broker) filled(r *Request) {
	if err := r.body.ended(); err != io.EOF {
		b.expire(r, bodyOutcome(err, Left))
	}
}

// expire ends r with o if it still waits.
func (b *Broker) expire(r *Request, o Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.state == waiting {
		r.channel.dismissLocked(r, o)
		r.channel.settleLocked()
	}
}

// leave takes note that r's client has hung up.
func (b *Broker) leave(r *Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r.state {
	case waiting:
		r.channel.dismissLocked(r, Left)
		r.channel.settleLocked()
	case running:
		if r.Role == Consumer && !r.exchange.Producer.body.handedOut() {
			r.exchange.cutLocked(ConsumerLeft)
		}
	case over:
	}
}

// silenceOver takes note that the clock of c's silent producer has run out. It may have been stopped too late, and
// even have been followed by another, so the time decides.
func (b *Broker) silenceOver(c *channel) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := c.silent; r != nil && time.Since(c.silentSince) >= b.config.SilenceTimeout {
		c.dismissLocked(r, Silent)
		c.settleLocked()
	}
}

// end takes note that the relay of x has ended it with o, or for the reason of a cut if there was one and it was not too
// late. It returns which. The next pair starts here, before anything is committed.
func (b *Broker) end(x *Exchange, o Outcome) Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o != Delivered && x.cause != "" {
		o = x.cause
	}
	x.EndedAt, x.Outcome, x.Bytes = time.Now(), o, x.written.Load()
	if o != Delivered {
		x.Producer.abandon(o)
	}
	c := x.channel
	c.Exchanges++
	c.Bytes += x.Bytes
	b.relayed += x.Bytes
	x.ended = b.recorder.ExchangeEnded(x)
	if o != Delivered { // which depends on its record
		b.recorder.OutcomeDecided(x, o)
	}
	x.Producer.state, x.Consumer.state = over, over
	close(x.Producer.wake)
	c.running = nil
	b.running.remove(x.Producer)
	if c.Reason == reasonStillAlive {
		c.settleLocked()
	} else {
		b.recorder.ChannelClosed(&c.Life)
	}
	b.noteIdleLocked()
	return o
}

// goneLocked ends a request that is in no queue (any more) and never was in an exchange.
func (b *Broker) goneLocked(r *Request, o Outcome) {
	r.state, r.outcome, r.goneAt = over, o, time.Now()
	r.stopTimerLocked()
	if r.Role == Producer {
		r.abandon(o)
	}
	b.recorder.RequestGone(r)
	close(r.wake)
}

func (b *Broker) openLocked(k Key) *channel {
	b.lives++
	c := &channel{Life: Life{ID: b.lives, Key: k, OpenedAt: time.Now()}, broker: b}
	if b.namespaces[k.Namespace] == nil {
		b.namespaces[k.Namespace] = make(map[string]*channel)
	}
	b.namespaces[k.Namespace][k.Channel] = c
	b.recorder.ChannelOpened(&c.Life)
	return c
}

// closeLocked takes c, which exists, out of the world for the reason why. If its exchange still unwinds,
// the end of that reports the closing.
func (b *Broker) closeLocked(c *channel, why Reason) {
	if b.stopping && why == Idle {
		why = BrokerShutDown
	}
	c.ClosedAt, c.Reason = time.Now(), why
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
	c.clearLocked(Deleted)
	b.closeLocked(c, ChannelDeleted)
	if c.running != nil {
		c.running.cutLocked(Deleted)
	}
}

// stopLocked ends all waits, and closes every channel on which nothing runs.
func (b *Broker) stopLocked() {
	for c := range b.channelsLocked() {
		c.clearLocked(ShutDown)
		c.settleLocked()
	}
	b.noteIdleLocked()
}

// channelsLocked visits every channel; the visitor may close it.
func (b *Broker) channelsLocked() iter.Seq[*channel] {
	return func(yield func(*channel) bool) {
		for _, channels := range b.namespaces {
			for _, c := range channels {
				if !yield(c) {
					return
				}
			}
		}
	}
}

func (b *Broker) noteIdleLocked() {
	if b.stopping && b.running.length == 0 {
		close(b.idle)
	}
}
