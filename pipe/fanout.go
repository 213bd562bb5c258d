package pipe

import (
	"slices"
	"sync"
	"time"
)

// The code in this file runs on the goroutine in Publish, for the first publication of a topic's queue.

const (
	// passSize is how many subscriptions a pass takes under one lock.
	passSize = 256
	// LookSize is how many connections Config.Look gets at most. A client that hangs up between Look and Offer may count as
	// connected; writing the message to so many connections takes a fraction of a millisecond.
	LookSize = 32
)

// send writes the message to all connections. It blocks until each has taken it, was cut, or has lost its client. If it
// returns an error, nothing was written, because the record could not be committed (Config.Strict).
func (p *Publication) send() error {
	outcome := Published
	defer func() { p.end(outcome) }() // even if a Subscriber panics
	if p.broker.config.Strict {
		if err := p.accepted.Wait(); err != nil {
			outcome = Unrecorded
			p.withdraw()
			return err
		}
	}
	if slow := p.pass(); len(slow) > 0 {
		p.finish(slow)
	}
	return nil
}

// withdraw assigns the subscriptions to one message to the publication after p.
func (p *Publication) withdraw() {
	t, b := p.topic, p.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := t.first; s != nil && s.from <= p.number; s = s.next {
		if !s.Once || s.Outcome != "" {
			continue
		}
		s.from = p.number + 1
		if s.timer != nil { // it may have fired while the message was held back
			s.timer.Reset(time.Until(s.SubscribedAt.Add(s.Wait)))
		}
		if len(t.queue) > 1 {
			t.queue[1].Subscribers++
		} else {
			t.once++
		}
	}
}

// A write is one subscription's share in a pass.
type write struct {
	to    *Subscription
	taken bool
	err   error
}

// pass offers the message to all subscriptions, some at a time, and returns those whose connections have not taken it yet.
func (p *Publication) pass() (slow []*Subscription) {
	var array [passSize]write
	look := p.look()
	for writes := p.take(array[:0]); len(writes) > 0; {
		for some := range slices.Chunk(writes, LookSize) {
			look(some)
			for i := range some {
				w := &some[i]
				w.taken, w.err = w.to.To.Offer(p)
			}
		}
		last := writes[len(writes)-1].to
		var ended []*Subscription
		b := p.broker
		b.mu.Lock()
		writes, slow, ended = p.nextLocked(writes, last, slow)
		b.mu.Unlock()
		tell(ended)
	}
	return slow
}

// look returns a function that calls Config.Look for at most LookSize writes.
func (p *Publication) look() func([]write) {
	look := p.broker.config.Look
	if look == nil {
		return func([]write) {}
	}
	to := make([]Subscriber, 0, LookSize)
	return func(writes []write) {
		to = to[:0]
		for _, w := range writes {
			to = append(to, w.to.To)
		}
		look(to)
	}
}

// take appends the first writes of a pass.
func (p *Publication) take(writes []write) []write {
	p.broker.mu.Lock()
	defer p.broker.mu.Unlock()
	return p.takeLocked(writes, p.topic.first)
}

// takeLocked appends the next subscriptions that the message is for, beginning with s.
func (p *Publication) takeLocked(writes []write, s *Subscription) []write {
	for ; s != nil && s.from <= p.number && len(writes) < passSize; s = s.next {
		if s.Outcome == "" {
			s.state = receiving
			writes = append(writes, write{to: s})
		}
	}
	return writes
}

// nextLocked settles the writes that have ended, appends the others to slow, and returns the next writes.
func (p *Publication) nextLocked(writes []write, last *Subscription, slow []*Subscription) (next []write, _, ended []*Subscription) {
	from := last.next
	for _, w := range writes {
		switch s := w.to; {
		case w.err == nil && !w.taken && s.Outcome == "":
			slow = append(slow, s)
		case s.settleLocked(p, w.taken && w.err == nil):
			ended = append(ended, s)
		}
	}
	return p.takeLocked(writes[:0], from), slow, ended
}

// finish writes the rest of the message to slow connections, with a goroutine for each, and waits for all of them.
func (p *Publication) finish(slow []*Subscription) {
	watch := newSlowWatch(p, slow)
	var writers sync.WaitGroup
	for _, s := range slow {
		writers.Go(func() {
			err := s.To.Finish(p)
			watch.forget(s)
			b := p.broker
			b.mu.Lock()
			ended := s.settleLocked(p, err == nil)
			b.mu.Unlock()
			if ended {
				s.To.Ended(s.Outcome)
			}
		})
	}
	writers.Wait()
	watch.stop()
}

const (
	// checksPerTimeout is how often a slowWatch checks the connections within the message timeout.
	checksPerTimeout = 8
	// maxTimeouts is how many message timeouts a connection has to take a whole message.
	maxTimeouts = 6
)

// A slowWatch cuts subscriptions that do not take their message: if they acknowledge nothing for the message timeout,
// and in any case after maxTimeouts of these.
type slowWatch struct {
	timeout time.Duration // 0: no limit
	since   time.Time

	mu    sync.Mutex // guards the rest; locked before Broker.mu
	timer *time.Timer
	slow  map[*Subscription]*progress // those whose Finish runs
}

// progress is what a connection had acknowledged when it was last checked.
type progress struct {
	acknowledged int64
	idle         int // checks in a row without a change; a time would also pass while this process is stopped
}

func newSlowWatch(p *Publication, slow []*Subscription) *slowWatch {
	w := &slowWatch{timeout: p.broker.config.MessageTimeout, since: time.Now(), slow: make(map[*Subscription]*progress, len(slow))}
	for _, s := range slow {
		w.slow[s] = &progress{acknowledged: s.To.Acknowledged()}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timeout > 0 {
		w.timer = time.AfterFunc(w.timeout/checksPerTimeout, w.check)
	}
	return w
}

// forget is called when Finish has returned. After it, check does not touch s.
func (w *slowWatch) forget(s *Subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.slow, s)
}

// stop is called when nothing is left to watch.
func (w *slowWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *slowWatch) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.slow) == 0 {
		return
	}
	tooLong := time.Since(w.since) >= maxTimeouts*w.timeout
	for s, last := range w.slow {
		now := s.To.Acknowledged()
		last.idle++
		if now != last.acknowledged {
			last.acknowledged, last.idle = now, 0
		}
		if tooLong || last.idle >= checksPerTimeout {
			s.end(Stalled)
		}
	}
	w.timer.Reset(w.timeout / checksPerTimeout)
}
