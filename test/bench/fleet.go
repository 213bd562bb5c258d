//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A fleet is the load generator: pairs of clients on keep-alive connections, with requests that are ready to be written,
// all driven by one thread. So it takes little of the time that it measures. It checks every response.
type fleet struct {
	load   load
	pairs  []*pair
	epoll  int
	timer  int    // a timerfd that paces the exchanges, if a rate is given
	buffer []byte // for one read
	stamp  int    // of the last message

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

// patience is how long the generator waits for anything to happen.
const patience = 20 * time.Second

// timerToken stands for the timer in an event. Other tokens are twice the number of a pair, and one more for its consumer.
const timerToken = -1

// newFleet connects to the server.
func newFleet(addr netip.AddrPort, l load) (_ *fleet, err error) {
	f := &fleet{load: l, epoll: -1, timer: -1, buffer: make([]byte, 64<<10)}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if f.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return nil, err
	}
	if err := f.watch(f.timer, timerToken); err != nil {
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

func (f *fleet) watch(fd, token int) error {
	return unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(token)})
}

func (f *fleet) close() {
	for _, p := range f.pairs {
		p.close()
	}
	unix.Close(f.timer)
	unix.Close(f.epoll)
}

// run makes exchanges for a while, and returns when the last one has ended. With a rate it begins so many per second,
// each with a consumer that already waits; without, each pair begins the next as soon as it has done the last. After an
// error the fleet can only be closed.
func (f *fleet) run(duration time.Duration, rate float64, timed bool) (*tally, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f.tally = &tally{timed: timed}
	f.ready, f.overdue, f.rate = f.ready[:0], 0, rate
	f.start, f.end = time.Now(), duration
	if err := f.pace(); err != nil {
		return nil, err
	}
	for _, p := range f.pairs {
		if err := f.begin(p); err != nil {
			return nil, err
		}
	}
	events := make([]unix.EpollEvent, 256)
	for f.running > 0 {
		n, err := unix.EpollWait(f.epoll, events, int(patience.Milliseconds()))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return nil, fmt.Errorf("%d pairs got no answer within %v", f.running, patience)
		}
		for _, e := range events[:n] {
			if err := f.event(int(e.Fd)); err != nil {
				return nil, err
			}
		}
	}
	f.tally.elapsed = time.Since(f.start)
	return f.tally, nil
}

// pace starts the timer, or stops it if exchanges are not to be paced.
func (f *fleet) pace() error {
	var every unix.Timespec
	if f.rate > 0 {
		every = unix.NsecToTimespec(int64(float64(time.Second) / f.rate))
	}
	return unix.TimerfdSettime(f.timer, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil)
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
	p.stamp(f.stamp)
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
	var ticks [8]byte
	if _, err := unix.Read(f.timer, ticks[:]); err != nil {
		return nil // the timer was set anew meanwhile
	}
	due := f.overdue + int(binary.NativeEndian.Uint64(ticks[:]))
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
