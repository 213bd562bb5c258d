//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// A fleet is the load generator for exchanges: pairs of clients on keep-alive connections, with requests that are ready to be
// written. It checks every response.
type fleet struct {
	loop  // its tokens are twice the number of a pair, and one more for its consumer
	load  load
	pairs []*pair
	stamp int // of the last message

	// The current run.

	start   time.Time
	end     time.Duration // after start: when the last exchange begins
	rate    float64       // exchanges to begin per second; 0 is as many as possible
	ready   []*pair       // those whose consumer waits, if exchanges are paced; first come, first served
	overdue int           // exchanges that were to begin and found no pair ready
	running int           // pairs that expect a response
	tally   *tally
}

// A tally is what a run has seen.
type tally struct {
	exchanges int
	elapsed   time.Duration

	// Of each exchange, if that was asked for.
	timed        bool
	handOver     []time.Duration // from writing the POST to the consumer's first byte
	acknowledged []time.Duration // from writing the POST to the producer's 200
	committed    []time.Duration // from the consumer's last byte to the producer's 200
}

// rate is how many exchanges there were per second.
func (t *tally) rate() float64 { return float64(t.exchanges) / t.elapsed.Seconds() }

// each is a time's share for each exchange, in µs.
func (t *tally) each(total time.Duration) float64 {
	return float64(total.Nanoseconds()) / 1000 / float64(t.exchanges)
}

// times is the median of some times, in µs.
func (t *tally) times(times []time.Duration) float64 {
	return float64(percentile(times, 0.5).Nanoseconds()) / 1000
}

// newFleet connects to the server.
func newFleet(addr netip.AddrPort, l load) (_ *fleet, err error) {
	f := &fleet{load: l}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.loop, err = newLoop(); err != nil {
		return nil, err
	}
	for n := range l.pairs {
		p := newPair(l, n)
		f.pairs = append(f.pairs, p)
		for side, c := range p.sides() {
			if err := c.connect(addr); err != nil {
				return nil, fmt.Errorf("connecting pair %d: %w", n, err)
			}
			if err := f.watch(c.fd, 2*n+side); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

func (f *fleet) close() {
	for _, p := range f.pairs {
		p.close()
	}
	f.loop.close()
}

// run makes exchanges for a while, and returns when the last one has ended. With a rate it begins so many per second,
// each with a consumer that already waits; without, each pair begins the next as soon as it has done the last. After an
// error the fleet can only be closed.
func (f *fleet) run(duration time.Duration, rate float64, timed bool) (*tally, error) {
	f.tally = &tally{timed: timed}
	f.ready, f.overdue, f.rate = f.ready[:0], 0, rate
	f.start, f.end = time.Now(), duration
	if err := f.pace(rate); err != nil {
		return nil, err
	}
	for _, p := range f.pairs {
		if err := f.begin(p); err != nil {
			return nil, err
		}
	}
	if err := f.while(func() int { return f.running }, f.event); err != nil {
		return nil, err
	}
	f.tally.elapsed = time.Since(f.start)
	return f.tally, nil
}

// begin begins the pair's next exchange, or only the consumer's part of it if exchanges are paced.
func (f *fleet) begin(p *pair) error {
	if f.load.fresh {
		p.rename(rand.Uint64())
	}
	f.running++
	p.expected = 2
	if err := p.consumer.write(); err != nil {
		return err
	}
	if f.rate > 0 {
		f.ready = append(f.ready, p)
		return nil
	}
	return f.post(p)
}

// post writes the producer's request.
func (f *fleet) post(p *pair) error {
	f.stamp++
	stamp(p.producer.body, f.stamp)
	if f.tally.timed {
		p.posted, p.delivered = time.Since(f.start), 0
	}
	return p.producer.write()
}

func (f *fleet) event(token int) error {
	if token == timerToken {
		return f.tick()
	}
	p := f.pairs[token/2]
	side := p.sides()[token%2]
	if f.tally.timed && side == &p.consumer && len(side.part) == 0 {
		f.tally.handOver = append(f.tally.handOver, time.Since(f.start)-p.posted)
	}
	body, err := side.read(f.buffer)
	if err != nil || body == nil {
		return err
	}
	if side == &p.consumer && !bytes.Equal(body, p.producer.body) {
		return fmt.Errorf("a consumer got %q where the producer had sent %q", body, p.producer.body)
	}
	if f.tally.timed {
		f.clock(p, side)
	}
	if p.expected--; p.expected > 0 {
		return nil
	}
	f.running--
	f.tally.exchanges++
	if time.Since(f.start) < f.end {
		return f.begin(p)
	}
	return nil
}

// clock takes down when a side has got its response.
func (f *fleet) clock(p *pair, side *connection) {
	now := time.Since(f.start)
	if side == &p.consumer {
		p.delivered = now
		if p.expected == 1 { // the producer was first, by so little that it was seen first
			f.tally.committed = append(f.tally.committed, 0)
		}
		return
	}
	f.tally.acknowledged = append(f.tally.acknowledged, now-p.posted)
	if p.expected == 1 {
		f.tally.committed = append(f.tally.committed, now-p.delivered)
	}
}

// tick begins the exchanges whose time has come, and at the end all those whose consumer still waits.
func (f *fleet) tick() error {
	due := f.overdue + f.ticks()
	if time.Since(f.start) >= f.end {
		due = len(f.ready)
	}
	now := min(due, len(f.ready))
	f.overdue = due - now
	for _, p := range f.ready[:now] {
		if err := f.post(p); err != nil {
			return err
		}
	}
	f.ready = append(f.ready[:0], f.ready[now:]...)
	return nil
}
