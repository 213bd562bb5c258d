//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// memory measures what a waiting client takes of the server's memory, with a channel for each. Every figure is from a
// server of its own, since none gives memory back soon.
func (b *bench) memory() error {
	allowed, err := waitersAllowed()
	if err != nil {
		return err
	}
	waiters := min(b.waiters, allowed)
	t := b.table(titleMemory, "client")
	t.note = fmt.Sprintf("While %d wait, each on a channel of its own.", waiters)
	v, err := b.reference(naive)
	if err != nil {
		return err
	}
	return turns(b.memoryRounds, append(slices.Clone(b.relays), v), func(round int, v variant) error {
		if round == warmUp {
			return nil
		}
		for side, name := range []string{rowProducer, rowConsumer} {
			bytes, err := b.memoryWhile(v, waiters, func(s *server) (func(), func() error, error) { return wait(s, side, waiters) })
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			t.add(name, v.name, bytes/1000)
		}
		return nil
	})
}

// waitersAllowed is how many waiters there can be with the number of files that a process may open, of which httpipe keeps a part
// for clients that do not wait.
func waitersAllowed() (int, error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return 0, err
	}
	return int(min(files.Max, 1<<20)*3/4) - 100, nil
}

// memoryWhile returns how many bytes of a server's memory each of that many clients takes that connect connects. What was
// measured were waiting clients if serve can serve them afterwards. close disconnects them; it is called also after an error.
func (b *bench) memoryWhile(v variant, clients int, connect func(*server) (close func(), serve func() error, err error)) (float64, error) {
	s, err := v.start(b.temp)
	if err != nil {
		return 0, err
	}
	defer s.kill()
	if err := s.calm(); err != nil {
		return 0, err
	}
	before, err := s.resident()
	if err != nil {
		return 0, err
	}
	close, serve, err := connect(s)
	defer close()
	if err != nil {
		return 0, err
	}
	if err := s.calm(); err != nil {
		return 0, err
	}
	after, err := s.resident()
	if err != nil {
		return 0, err
	}
	return float64(after-before) / float64(clients), serve()
}

// wait lets one side of that many pairs begin to wait, and serves a hundred of them.
func wait(s *server, side, waiters int) (close func(), serve func() error, err error) {
	var pairs []*pair
	close = func() {
		for _, p := range pairs {
			p.close()
		}
	}
	serve = func() error {
		for i := 0; i < waiters; i += waiters/100 + 1 {
			if err := pairs[i].meet(s, side); err != nil {
				return fmt.Errorf("waiter %d: %w", i, err)
			}
		}
		return nil
	}
	for n := range waiters {
		p := newPair(load{pairs: waiters, size: 5}, n)
		stamp(p.producer.body, n)
		pairs = append(pairs, p)
		c := p.sides()[side]
		if err := c.connect(s.addr); err != nil {
			return close, serve, err
		}
		if err := c.write(); err != nil {
			return close, serve, err
		}
	}
	return close, serve, nil
}

// meet lets the other side of a waiter come, and checks what both get.
func (p *pair) meet(s *server, side int) error {
	other := p.sides()[1-side]
	if err := other.connect(s.addr); err != nil {
		return err
	}
	if err := other.write(); err != nil {
		return err
	}
	for i, c := range p.sides() {
		body, err := c.await()
		if err != nil {
			return err
		}
		if i == 1 && !bytes.Equal(body, p.producer.body) {
			return fmt.Errorf("the consumer got %q instead of %q", body, p.producer.body)
		}
	}
	return nil
}

// await blocks until there is a response, and returns its body.
func (c *connection) await() ([]byte, error) {
	buffer := make([]byte, 4096)
	for {
		if err := c.awaitBytes(); err != nil {
			return nil, err
		}
		if body, err := c.read(buffer); body != nil || err != nil {
			return body, err
		}
	}
}

// awaitBytes blocks until there is something to read.
func (c *connection) awaitBytes() error {
	for {
		ready := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		switch n, err := unix.Poll(ready, int(patience.Milliseconds())); {
		case err == unix.EINTR:
		case err == nil && n == 0:
			return fmt.Errorf("no answer within %v", patience)
		default:
			return err
		}
	}
}

// calm returns when the server has nothing to do any more.
func (s *server) calm() error {
	const look, little = 100 * time.Millisecond, 2 * time.Millisecond
	before, err := s.processorTime()
	for range int(patience / look) {
		time.Sleep(look)
		now, err := s.processorTime()
		if err != nil {
			return err
		}
		if now-before < little {
			return nil
		}
		before = now
	}
	return errors.Join(err, errors.New("the server does not come to rest"))
}

// resident is how much memory the server has, in bytes.
func (s *server) resident() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(status, []byte("VmRSS:"))
	var kilobytes int64
	_, err = fmt.Sscan(string(after), &kilobytes)
	return kilobytes << 10, err
}
