//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	topicPath     = "/topics/bench/topic"
	subscriptions = 1000
	topicSize     = 100 // bytes of a message
)

// topics measures what one message costs that goes to many. The floor writes it to each subscriber, and does nothing else.
func (b *bench) topics() error {
	variants, err := offering(topicPath, b.temp, b.relays)
	if err != nil || len(variants) == 0 {
		return err
	}
	t := b.table(titleTopics, "")
	t.note = fmt.Sprintf("1 publisher, %d subscribers to server-sent events, %d B. A delivery is a message to one subscriber.", subscriptions, topicSize)
	if err := b.deliveries(t, variants); err != nil {
		return err
	}
	return b.idleSubscribers(t, variants)
}

func (b *bench) deliveries(t *table, variants []variant) error {
	servers, err := b.start(variants, floor)
	if err != nil {
		return err
	}
	defer kill(servers)
	crowds := make(map[*server]*crowd)
	for _, s := range servers {
		crowds[s], err = newCrowd(s.addr, subscriptions)
		defer crowds[s].close()
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return turns(b.rounds, servers, func(round int, s *server) error {
		before, err := s.processorTime()
		if err != nil {
			return err
		}
		start := time.Now()
		var last, acknowledged []time.Duration
		for len(last) == 0 || time.Since(start) < b.turn {
			p, err := crowds[s].publish()
			if err != nil {
				return err
			}
			last, acknowledged = append(last, p.last), append(acknowledged, p.acknowledged)
		}
		elapsed := time.Since(start)
		after, err := s.processorTime()
		if err != nil || round == warmUp {
			return err
		}
		count := float64(len(last) * subscriptions)
		t.add(rowDelivery, s.name, float64((after-before).Nanoseconds())/1000/count)
		t.add("deliveries per second", s.name, count/elapsed.Seconds())
		addPercentiles(t, rowLastByte, s.name, last)
		addPercentiles(t, "from writing the POST to the publisher's 200, in µs", s.name, acknowledged)
		return nil
	})
}

// idleSubscribers measures what a subscriber takes of the server's memory while nothing is published.
func (b *bench) idleSubscribers(t *table, variants []variant) error {
	allowed, err := waitersAllowed()
	if err != nil {
		return err
	}
	count := min(b.waiters, allowed)
	return turns(b.memoryRounds, variants, func(round int, v variant) error {
		if round == warmUp {
			return nil
		}
		bytes, err := b.memoryWhile(v, count, func(s *server) (func(), func() error, error) {
			c, err := newCrowd(s.addr, count)
			return c.close, func() error { _, err := c.publish(); return err }, err
		})
		t.add(rowSubscriber, v.name, bytes/1000)
		return err
	})
}

// A crowd is the load generator for a topic: a publisher and its subscribers. It checks every message.
type crowd struct {
	loop        // its tokens are the numbers of subscribers; the next one is the publisher's
	publisher   connection
	subscribers []subscriber
	stamp       int // of the last message

	// The current publication.

	wanted  []byte // the event's data
	missing int    // subscribers that have not got it
	start   time.Time
	publication
}

// A publication is when things happened after writing its POST.
type publication struct {
	last         time.Duration // the last subscriber got its last byte
	acknowledged time.Duration // the publisher got its 200; 0 until then
}

type subscriber struct {
	connection
	got bool // the current message
}

// newCrowd subscribes that many clients to a topic. The caller closes the crowd, also after an error.
func newCrowd(addr netip.AddrPort, subscribers int) (c *crowd, err error) {
	c = &crowd{publisher: newPost(topicPath, topicSize)}
	if c.loop, err = newLoop(); err != nil {
		return c, err
	}
	for n := range subscribers {
		c.subscribers = append(c.subscribers, subscriber{connection: newGet(topicPath, "text/event-stream")})
		if err := c.subscribers[n].subscribe(addr); err != nil {
			return c, fmt.Errorf("subscriber %d: %w", n, err)
		}
		if err := c.watch(c.subscribers[n].fd, n); err != nil {
			return c, err
		}
	}
	if err := c.publisher.connect(addr); err != nil {
		return c, err
	}
	return c, c.watch(c.publisher.fd, subscribers)
}

func (c *crowd) close() {
	c.publisher.close()
	for n := range c.subscribers {
		c.subscribers[n].close()
	}
	c.loop.close()
}

// subscribe returns when the head of the stream has come.
func (s *subscriber) subscribe(addr netip.AddrPort) error {
	if err := s.connect(addr); err != nil {
		return err
	}
	if err := s.write(); err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		if err := s.awaitBytes(); err != nil {
			return err
		}
		n, err := unix.Read(s.fd, buffer)
		if err != nil || n == 0 {
			return fmt.Errorf("no stream after %q: %w", s.part, err)
		}
		s.part = append(s.part, buffer[:n]...)
		if h, whole, err := parseHead(s.part); err != nil || whole && (h.status != 200 || h.length >= 0) {
			return fmt.Errorf("subscribing was answered with %q", s.part)
		} else if whole {
			s.part = slices.Clip(s.part[h.size:])
			return nil
		}
	}
}

// publish publishes a message, and returns when all subscribers have got it and the publisher its 200.
func (c *crowd) publish() (publication, error) {
	c.stamp++
	stamp(c.publisher.body, c.stamp)
	c.wanted = fmt.Appendf(c.wanted[:0], "\ndata: %s\n\n", c.publisher.body)
	for n := range c.subscribers {
		c.subscribers[n].got = false
	}
	c.missing, c.publication = len(c.subscribers), publication{}
	c.start = time.Now()
	if err := c.publisher.write(); err != nil {
		return c.publication, err
	}
	err := c.while(func() int {
		if c.acknowledged == 0 {
			return c.missing + 1
		}
		return c.missing
	}, c.event)
	return c.publication, err
}

func (c *crowd) event(token int) error {
	if token == len(c.subscribers) {
		body, err := c.publisher.read(c.buffer)
		if body != nil {
			c.acknowledged = time.Since(c.start)
		}
		return err
	}
	if time.Since(c.start) > patience { // comments come all the time
		return fmt.Errorf("%d subscribers got no message within %v", c.missing, patience)
	}
	s := &c.subscribers[token]
	got, err := s.receive(c.buffer, c.wanted)
	if err != nil {
		return fmt.Errorf("subscriber %d: %w", token, err)
	}
	if got {
		if c.missing--; c.missing == 0 {
			c.last = time.Since(c.start)
		}
	}
	return nil
}

// receive reads what has come, and reports whether that completes the wanted event. Any other event is an error.
func (s *subscriber) receive(buffer, wanted []byte) (bool, error) {
	n, err := unix.Read(s.fd, buffer)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false, nil
	case err != nil:
		return false, err
	case n == 0:
		return false, fmt.Errorf("the server closed the stream after %q", s.part)
	}
	came := buffer[:n]
	if len(s.part) > 0 {
		came = append(s.part, came...)
	}
	at := bytes.Index(came, wanted)
	if at < 0 {
		s.part = append(s.part[:0], came...)
		return false, nil
	}
	rest := came[at+len(wanted):]
	if s.got || bytes.Contains(came[:at], wanted[:len("\ndata: ")]) || bytes.Contains(rest, wanted[:len("\ndata: ")]) {
		return false, fmt.Errorf("got %q, and wanted only %q", came, wanted)
	}
	s.got = true
	s.part = append(s.part[:0], rest...)
	return true, nil
}
