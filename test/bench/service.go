//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"
)

const (
	callPath = "/services/bench/service"
	workPath = "/work/bench/service"
)

// services measures calls, and exchanges on channels beside them.
func (b *bench) services() error {
	variants, err := offering(callPath, b.temp, b.relays)
	if err != nil || len(variants) == 0 {
		return err
	}
	t := b.table(titleServices, "")
	t.note = fmt.Sprintf("Idle is %d a second; a call takes from the caller's request to its answer. Then as many as possible, by %d callers and %d workers of one service, and %d producers and consumers of as many channels.",
		idleRate, typical.pairs, typical.pairs, typical.pairs)
	servers, err := b.start(variants)
	if err != nil {
		return err
	}
	defer kill(servers)
	err = b.callsAt(idleRate, 1, b.paced, servers, func(name string, calls, exchanges *tally) {
		call, handOver := calls.times(calls.acknowledged), exchanges.times(exchanges.handOver)
		t.add("a call, idle, p50, in µs", name, call)
		t.add("hand-over on a channel, idle, p50, in µs", name, handOver)
		t.add(rowCall, name, call/handOver)
	})
	if err != nil {
		return err
	}
	return b.callsAt(0, typical.pairs, b.turn, servers, func(name string, calls, exchanges *tally) {
		t.add("calls per second", name, calls.rate())
		t.add("exchanges per second", name, exchanges.rate())
		t.add(rowCalls, name, calls.rate()/exchanges.rate())
	})
}

// callsAt measures calls and exchanges at that rate, or as many as possible if it is 0, and adds what each round has found.
func (b *bench) callsAt(rate float64, pairs int, turn time.Duration, servers []*server, add func(name string, calls, exchanges *tally)) error {
	meters, err := newMeters(servers, load{pairs: pairs, size: 5})
	defer closeMeters(meters)
	if err != nil {
		return err
	}
	crews := make(map[*meter]*crew)
	for _, m := range meters {
		crews[m], err = newCrew(m.addr, pairs)
		defer crews[m].close()
		if err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}
	}
	return turns(b.rounds, meters, func(round int, m *meter) error {
		exchanges, err := m.fleet.run(turn, rate, true)
		if err != nil {
			return err
		}
		calls, err := crews[m].run(turn, rate)
		if err == nil && round != warmUp {
			add(m.name, calls, exchanges)
		}
		return err
	})
}

// A crew is the load generator for a service: callers, and workers that answer with what they are sent. It checks every answer.
type crew struct {
	loop    // its tokens are twice the number of a caller, and one more for the worker of that number
	callers []connection
	workers []worker
	stamp   int // of the last call

	// The current run.

	start   time.Time
	end     time.Duration // after start: when the last call begins
	paced   bool
	free    []int           // callers without a call, if calls are paced; first come, first served
	called  []time.Duration // when each caller began its call, after start
	running int             // calls without an answer
	tally   *tally
}

// A worker waits for a request, posts its answer, and so on.
type worker struct {
	connection
	get     []byte // the request that waits for a caller's
	answers bool   // it is waiting for the 200 for its answer
}

// newCrew connects to the server, and lets the workers wait. The caller closes the crew, also after an error.
func newCrew(addr netip.AddrPort, size int) (c *crew, err error) {
	c = &crew{called: make([]time.Duration, size)}
	if c.loop, err = newLoop(); err != nil {
		return c, err
	}
	for n := range size {
		get := newGet(workPath, "*/*")
		c.callers = append(c.callers, newPost(callPath, 5))
		c.workers = append(c.workers, worker{connection: get, get: get.request})
		for side, connection := range []*connection{&c.callers[n], &c.workers[n].connection} {
			if err := connection.connect(addr); err != nil {
				return c, err
			}
			if err := c.watch(connection.fd, 2*n+side); err != nil {
				return c, err
			}
		}
		if err := c.workers[n].write(); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *crew) close() {
	for n := range c.callers {
		c.callers[n].close()
	}
	for n := range c.workers {
		c.workers[n].close()
	}
	c.loop.close()
}

// run makes calls for a while, at that rate or as many as possible, and returns when all have been answered. The tally's
// acknowledged has how long each took. After an error the crew can only be closed.
func (c *crew) run(duration time.Duration, rate float64) (*tally, error) {
	c.tally, c.free, c.paced = &tally{timed: true}, c.free[:0], rate > 0
	c.start, c.end = time.Now(), duration
	if err := c.pace(rate); err != nil {
		return nil, err
	}
	for n := range c.callers {
		if err := c.next(n); err != nil {
			return nil, err
		}
	}
	err := c.while(func() int {
		if c.paced && time.Since(c.start) < c.end {
			return c.running + 1 // the timer
		}
		return c.running
	}, c.event)
	c.tally.elapsed = time.Since(c.start)
	return c.tally, err
}

// next lets a caller begin its next call, or wait for a tick if calls are paced.
func (c *crew) next(n int) error {
	if c.paced {
		c.free = append(c.free, n)
		return nil
	}
	return c.call(n)
}

func (c *crew) call(n int) error {
	c.stamp++
	stamp(c.callers[n].body, c.stamp)
	c.running++
	c.called[n] = time.Since(c.start)
	return c.callers[n].write()
}

func (c *crew) event(token int) error {
	switch {
	case token == timerToken:
		c.ticks()
		if len(c.free) == 0 || time.Since(c.start) >= c.end {
			return nil
		}
		n := c.free[0]
		c.free = append(c.free[:0], c.free[1:]...)
		return c.call(n)
	case token%2 == 1:
		return c.workers[token/2].event(c.buffer)
	}
	n := token / 2
	answer, err := c.callers[n].read(c.buffer)
	if err != nil || answer == nil {
		return err
	}
	if !bytes.Equal(answer, c.callers[n].body) {
		return fmt.Errorf("a caller got %q instead of %q", answer, c.callers[n].body)
	}
	c.running--
	c.tally.exchanges++
	c.tally.acknowledged = append(c.tally.acknowledged, time.Since(c.start)-c.called[n])
	if time.Since(c.start) < c.end {
		return c.next(n)
	}
	return nil
}

var replyTo = []byte("\r\nHttpipe-Reply: ")

// event answers a request that has come, or waits for the next one when its answer has been acknowledged.
func (w *worker) event(buffer []byte) error {
	body, err := w.read(buffer)
	if err != nil || body == nil {
		return err
	}
	if w.answers {
		w.answers, w.request = false, w.get
		return w.write()
	}
	_, path, found := bytes.Cut(w.head, replyTo)
	if !found {
		return fmt.Errorf("a worker got no Httpipe-Reply: %q", w.head)
	}
	path, _, _ = bytes.Cut(path, []byte("\r\n"))
	w.answers = true
	w.request = fmt.Appendf(nil, postRequest, path, len(body))
	w.request = append(w.request, body...)
	return w.write()
}
