package pipe

import (
	"io"
	"slices"
	"time"
)

// A Publication is a message on its way to the subscribers of a topic. Make one with Broker.NewPublication.
type Publication struct {
	Arrival       // its Wait applies only if Enough is above 0
	Enough    int // how many subscriptions the message waits for
	ArrivedAt time.Time
	Body      []byte // after Read; constant
	broker    *Broker
	source    io.Reader
	held      int64     // bytes of memory that are counted for it; see message.go
	bodyRead  bool      // Body is whole
	encoded   []encoded // owned by the goroutine in Publish

	// Set when it is accepted.
	ID          string
	PublishedAt time.Time
	Subscribers int // how many subscriptions it goes to
	number      int64
	accepted    Commit

	// Guarded by Broker.mu, and constant once Publish has returned.
	topic     *topic
	state     state
	wake      chan struct{} // closed when it no longer waits for subscribers; nil if it never did
	turn      chan struct{} // closed when it is the first of its topic's queue; nil if it was from the beginning
	timer     *time.Timer
	hungUp    bool // Leave was called before it had to wait
	outcome   Outcome
	reason    Reason
	EndedAt   time.Time
	Delivered int // how many connections have taken the whole message
	ended     Commit
}

// NewPublication returns a publication of the message in source, which waits for at least enough subscriptions. An error of
// source that wraps an Outcome ends the publication with that outcome; any other error but io.EOF means that the client has
// left. Call Read, Publish and Release, in this order and one after the other; another goroutine may call Leave meanwhile.
func (b *Broker) NewPublication(a Arrival, source io.Reader, enough int) *Publication {
	a.Shape, a.Role = Topic, Producer
	return &Publication{Arrival: a, source: source, Enough: enough, ArrivedAt: time.Now(), broker: b, state: waiting}
}

// Publish sends the message, whose body has been read, to all subscriptions as soon as there are Enough. It blocks until
// each connection has taken the message, was cut, or has lost its client, and until the record is safe. It returns
// Published; or the outcome of a publication that was not accepted; or Unrecorded and the reason.
func (p *Publication) Publish() (Outcome, error) {
	b := p.broker
	b.mu.Lock()
	p.arriveLocked()
	wake := p.wake
	b.mu.Unlock()
	if wake != nil {
		<-wake
	}
	if p.state == ended {
		return p.outcome, nil
	}
	if p.turn != nil {
		<-p.turn
	}
	if err := p.send(); err != nil {
		return Unrecorded, err
	}
	if err := p.ended.Wait(); err != nil {
		return Unrecorded, err
	}
	return Published, nil
}

// arriveLocked accepts p, has it wait for subscribers, or ends it.
func (p *Publication) arriveLocked() {
	b := p.broker
	t, subscribers := b.topics[p.Key], 0
	if t != nil {
		subscribers = t.subscribedLocked()
	}
	switch {
	case !b.admitsLocked(p.Key):
		p.endUnmatchedLocked(ShutDown)
		return
	case subscribers >= p.Enough:
		b.topicLocked(p.Key).acceptLocked(p)
		return
	case p.hungUp:
		p.endUnmatchedLocked(Left)
		return
	case p.Wait == 0:
		p.endUnmatchedLocked(TimedOut)
		return
	}
	if p.reason = b.topicLimitLocked(t, p.Group); p.reason != NoReason {
		p.endUnmatchedLocked(Refused)
		return
	}
	t = b.topicLocked(p.Key)
	p.topic, p.wake = t, make(chan struct{})
	t.waiting = append(t.waiting, p)
	b.waitingPublishers++
	b.countWaiterLocked(p.Group, 1)
	if p.Wait > 0 {
		p.timer = time.AfterFunc(p.Wait, func() { p.dismiss(TimedOut) })
	}
}

// admitWaitingLocked accepts the waiting publications for which there are enough subscribers now.
func (t *topic) admitWaitingLocked() {
	for i := 0; i < len(t.waiting); {
		p := t.waiting[i]
		if t.subscribedLocked() < p.Enough {
			i++
			continue
		}
		p.stopWaitingLocked()
		t.acceptLocked(p)
		close(p.wake)
	}
}

// acceptLocked puts p at the end of the queue. Its message goes to the subscriptions that exist now.
func (t *topic) acceptLocked(p *Publication) {
	b := t.broker
	t.accepted++
	p.topic, p.state, p.number = t, running, t.accepted
	p.ID, p.PublishedAt = b.config.NewID(), time.Now()
	p.Subscribers = t.subscribedLocked()
	t.once = 0
	t.queue = append(t.queue, p)
	if len(t.queue) > 1 {
		p.turn = make(chan struct{})
	}
	b.publications++
	p.accepted = b.recorder.PublicationAccepted(p)
}

// Leave tells the broker that the publisher has hung up. A publication that waits for subscribers ends (Left). One that
// has been accepted goes on.
func (p *Publication) Leave() {
	p.broker.mu.Lock()
	p.hungUp = true
	p.broker.mu.Unlock()
	p.dismiss(Left)
}

// dismiss ends p with the outcome o if it waits for subscribers.
func (p *Publication) dismiss(o Outcome) {
	b := p.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.state == waiting && p.wake != nil {
		t := p.topic
		p.dismissLocked(o)
		t.closeIfUnusedLocked()
	}
}

// dismissLocked ends p, which waits for subscribers.
func (p *Publication) dismissLocked(o Outcome) {
	p.stopWaitingLocked()
	p.endUnmatchedLocked(o)
	close(p.wake)
}

func (p *Publication) stopWaitingLocked() {
	t, b := p.topic, p.broker
	t.waiting = slices.DeleteFunc(t.waiting, func(other *Publication) bool { return other == p })
	b.waitingPublishers--
	b.countWaiterLocked(p.Group, -1)
	if p.timer != nil {
		p.timer.Stop()
	}
}

// endUnmatchedLocked ends p, which was not accepted.
func (p *Publication) endUnmatchedLocked(o Outcome) {
	p.state, p.outcome, p.EndedAt = ended, o, time.Now()
	if p.broker.movedLocked(o) {
		p.reason = NotServed
	}
	p.broker.recordUnmatchedLocked(p.Arrival, p.ArrivedAt, p.EndedAt, o, p.reason)
}

// end ends p, which has been sent, and lets the next publication of its topic begin.
func (p *Publication) end(o Outcome) {
	b, t := p.broker, p.topic
	b.mu.Lock()
	p.state, p.outcome, p.EndedAt = ended, o, time.Now()
	p.ended = b.recorder.PublicationEnded(p)
	t.queue[0] = nil
	t.queue = t.queue[1:]
	b.publications--
	if len(t.queue) > 0 && t.queue[0].turn != nil {
		close(t.queue[0].turn)
	}
	last := len(t.queue) == 0
	stop := last && !b.admitsLocked(t.key) && !t.deleted
	t.closeIfUnusedLocked()
	b.mu.Unlock()
	if stop {
		t.endAll(ShutDown)
	}
}

// Reason returns why the publication ended as it did, or NoReason. Call it as Outcome.
func (p *Publication) Reason() Reason { return p.reason }

// Outcome returns how the publication ended. Call it after Publish, or in the Recorder.
func (p *Publication) Outcome() Outcome { return p.outcome }

// BodyRead reports whether the whole body has been read, so that the connection can carry another request.
func (p *Publication) BodyRead() bool { return p.bodyRead }
