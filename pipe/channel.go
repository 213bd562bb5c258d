package pipe

import "time"

// A channel is one life of a channel: its two queues, and the exchange that runs. Guarded by
// Broker.mu, as are all methods, which is what their suffix Locked says.
type channel struct {
	Life
	broker    *Broker
	producers queue
	consumers queue
	running   *Exchange

	// silent is the first producer if its turn has come, a consumer is there, and it has sent nothing,
	// which has been so since silentSince; silence then runs out its time, if there is a limit.
	silent      *Request
	silentSince time.Time
	silence     *time.Timer
}

func (c *channel) queueOf(role Role) *queue {
	if role == Producer {
		return &c.producers
	}
	return &c.consumers
}

// joinLocked puts r at the end of its queue.
func (c *channel) joinLocked(r *Request) {
	r.channel = c
	c.queueOf(r.Role).push(r)
	b := c.broker
	b.waiting.push(r)
	if r.Role == Producer {
		b.producers++
	}
	if b.config.Limits.PerClient > 0 {
		b.groups[r.Group]++
	}
}

// partLocked takes r out of its queue.
func (c *channel) partLocked(r *Request) {
	c.queueOf(r.Role).remove(r)
	b := c.broker
	b.waiting.remove(r)
	if r.Role == Producer {
		b.producers--
	}
	if b.config.Limits.PerClient == 0 {
		return
	}
	if b.groups[r.Group]--; b.groups[r.Group] == 0 {
		delete(b.groups, r.Group)
	}
}

// nextPairLocked reports whether a request of the given role would be in the next pair if it arrived now:
// if nothing runs and nobody of its kind waits, one of the other kind does, or c would not exist.
func (c *channel) nextPairLocked(role Role) bool {
	return c.running == nil && c.queueOf(role).length == 0
}

// settleLocked brings the channel to rest after any change: an exchange begins if one can, those who
// would not wait for what is left are sent away, and a channel without anybody closes.
func (c *channel) settleLocked() {
	c.matchLocked()
	for _, q := range []*queue{&c.producers, &c.consumers} {
		if r := q.head; r != nil && r.Wait == 0 && (c.producers.length == 0 || c.consumers.length == 0) {
			c.dismissLocked(r, TimedOut)
		}
	}
	c.watchSilenceLocked()
	if c.running == nil && c.producers.length == 0 && c.consumers.length == 0 {
		c.broker.closeLocked(c, Idle)
	}
}

// matchLocked begins an exchange if nothing runs and the first two can. A client that turns out to have
// hung up loses its place to the next.
func (c *channel) matchLocked() {
	for c.running == nil {
		p, q := c.producers.head, c.consumers.head
		switch {
		case p == nil || q == nil || !p.ready:
			return
		case !p.alive():
			c.dismissLocked(p, Left)
		case !q.alive():
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
		MatchedAt: time.Now(),
		channel:   c,
	}
	for _, r := range []*Request{producer, consumer} {
		c.partLocked(r)
		r.state, r.exchange = running, x
		r.stopTimerLocked()
	}
	c.running = x
	c.broker.running.push(producer)
	producer.body.flow()
	x.matched = c.broker.recorder.ExchangeMatched(x)
	close(consumer.wake)
}

// dismissLocked ends the wait of r, which is in one of the queues.
func (c *channel) dismissLocked(r *Request, o Outcome) {
	c.partLocked(r)
	c.broker.goneLocked(r, o)
}

// clearLocked ends everybody's wait.
func (c *channel) clearLocked(o Outcome) {
	for _, q := range []*queue{&c.producers, &c.consumers} {
		for q.head != nil {
			c.dismissLocked(q.head, o)
		}
	}
	c.watchSilenceLocked()
}

// watchSilenceLocked starts or stops the clock for a producer whose turn it is and who sends nothing.
func (c *channel) watchSilenceLocked() {
	var due *Request
	if p := c.producers.head; c.running == nil && c.consumers.length > 0 && p != nil && !p.ready {
		due = p
	}
	if due == c.silent {
		return
	}
	if c.silence != nil {
		c.silence.Stop()
	}
	c.silent, c.silentSince, c.silence = due, time.Now(), nil
	if limit := c.broker.config.SilenceTimeout; due != nil && limit > 0 {
		c.silence = time.AfterFunc(limit, func() { c.broker.silenceOver(c) })
	}
}
