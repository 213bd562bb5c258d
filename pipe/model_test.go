package pipe

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// A model does what the broker must do, in the simplest way: sequentially, with plain slices, and with a clock
// that the test moves.
type model struct {
	now      time.Duration
	silence  time.Duration // 0: no limit
	strict   bool
	broken   bool // every commit fails
	stopping bool

	requests []*mRequest // every request so far
	channels []*mChannel // every life so far
	lines    map[int64][]string
}

type mRequest struct {
	name   string
	role   Role
	key    Key
	wait   time.Duration // as in Arrival
	due    time.Duration // when its wait ends; 0: never
	hungUp bool

	sent   int     // a producer's bytes
	closed bool    // it has sent the end of its body
	unread []piece // sent, not read yet
	read   int     // bytes that have been read
	end    error   // how its body ended; nil until that is read

	held     bool // a consumer that accepts nothing at the moment
	stubborn bool // a consumer that cannot be interrupted
	received int  // a consumer's bytes, set at the end

	state   state
	outcome Outcome // that the client is told
}

type mChannel struct {
	key       Key
	life      int64
	closed    CloseReason // "" while it exists
	producers []*mRequest
	consumers []*mRequest
	running   *mExchange
	exchanges int
	bytes     int
	quiet     *mRequest // the silent first producer
	quietFrom time.Duration
}

type mExchange struct {
	channel            *mChannel
	producer, consumer *mRequest
	cause              Outcome
	taken              int // bytes given to the relay
	written            int
	writing            *mWrite // nil while there is nothing to write
	idleFrom           time.Duration
	over               bool
}

// An mWrite is a write to the consumer.
type mWrite struct {
	bytes int
	end   error // how the body ends after it; nil: it goes on
}

func (m *model) tell(life int64, format string, args ...any) {
	m.lines[life] = append(m.lines[life], fmt.Sprintf(format, args...))
}

// at returns the channel that exists at k, or nil.
func (m *model) at(k Key) *mChannel {
	for _, c := range m.channels {
		if c.key == k && c.closed == "" {
			return c
		}
	}
	return nil
}

func (m *model) arrive(r *mRequest) {
	m.requests = append(m.requests, r)
	c := m.at(r.key)
	switch {
	case m.stopping:
		m.endUnmatched(nil, r, ShutDown)
		return
	case r.wait == 0 && !nextPair(c, r.role):
		m.endUnmatched(nil, r, TimedOut)
		return
	case c == nil:
		c = &mChannel{key: r.key, life: int64(len(m.channels) + 1)}
		m.channels = append(m.channels, c)
		m.tell(c.life, "open %d", c.life)
	}
	if r.wait > 0 {
		r.due = m.now + r.wait
	}
	if r.role == Producer {
		c.producers = append(c.producers, r)
	} else {
		c.consumers = append(c.consumers, r)
	}
	m.settle(c)
}

func nextPair(c *mChannel, role Role) bool {
	if c == nil || c.running != nil {
		return false
	}
	if role == Producer {
		return len(c.producers) == 0 && len(c.consumers) > 0
	}
	return len(c.consumers) == 0 && len(c.producers) > 0
}

// endUnmatched ends r without an exchange; c is nil if r was not admitted.
func (m *model) endUnmatched(c *mChannel, r *mRequest, o Outcome) {
	r.state, r.outcome = ended, o
	var life int64
	if c != nil {
		life = c.life
		c.producers = without(c.producers, r)
		c.consumers = without(c.consumers, r)
	}
	m.tell(life, "unmatched %s %s", r.name, o)
}

func without(rs []*mRequest, r *mRequest) []*mRequest {
	return slices.DeleteFunc(rs, func(other *mRequest) bool { return other == r })
}

// settle does everything that is possible on c.
func (m *model) settle(c *mChannel) {
	for c.running == nil && len(c.producers) > 0 && len(c.consumers) > 0 {
		p, q := c.producers[0], c.consumers[0]
		if p.read == 0 && p.end == nil {
			break
		}
		switch {
		case p.hungUp:
			m.endUnmatched(c, p, Left)
		case q.hungUp:
			m.endUnmatched(c, q, Left)
		default:
			m.begin(c, p, q)
		}
	}
	for _, r := range append(slices.Clone(c.producers), c.consumers...) {
		if r.wait == 0 && (len(c.producers) == 0 || len(c.consumers) == 0) {
			m.endUnmatched(c, r, TimedOut)
		}
	}
	m.listen(c)
	if c.closed == "" && c.running == nil && len(c.producers) == 0 && len(c.consumers) == 0 {
		m.close(c, ClosedIdle)
	}
}

// listen updates which producer is silent on c, and since when.
func (m *model) listen(c *mChannel) {
	var quiet *mRequest
	if c.running == nil && len(c.producers) > 0 && len(c.consumers) > 0 {
		quiet = c.producers[0]
	}
	if quiet != c.quiet {
		c.quiet, c.quietFrom = quiet, m.now
	}
}

func (m *model) begin(c *mChannel, p, q *mRequest) {
	c.producers, c.consumers = c.producers[1:], c.consumers[1:]
	p.state, q.state = running, running
	x := &mExchange{channel: c, producer: p, consumer: q, idleFrom: m.now}
	c.running = x
	m.tell(c.life, "match %s %s", p.name, q.name)
	if m.strict && m.broken {
		m.end(x, Unrecorded)
		return
	}
	m.relay(x)
}

// relay moves all bytes that can move.
func (m *model) relay(x *mExchange) {
	for !x.over {
		if x.writing == nil && !m.take(x) {
			return
		}
		if x.consumer.held && (x.cause == "" || x.consumer.stubborn) {
			return // Write blocks
		}
		write := x.writing
		x.writing, x.idleFrom = nil, m.now
		switch {
		case x.cause != "" && !x.consumer.stubborn:
			m.end(x, x.cause)
		case write.end == io.EOF:
			x.written += write.bytes
			m.end(x, Delivered)
		case write.end != nil:
			x.written += write.bytes
			m.end(x, bodyOutcome(write.end, ProducerLeft))
		default:
			x.written += write.bytes
		}
	}
}

// take sets x.writing. It returns false if there is nothing to write or if x has ended.
func (m *model) take(x *mExchange) bool {
	p := x.producer
	for x.cause == "" && x.taken == p.read && p.end == nil && len(p.unread) > 0 {
		m.read(p)
	}
	switch {
	case x.cause != "":
		x.writing = &mWrite{end: x.cause}
	case x.taken == p.read && p.end == nil:
		return false
	default:
		x.writing = &mWrite{p.read - x.taken, p.end}
		x.taken = p.read
	}
	if x.writing.end == io.EOF && x.consumer.hungUp {
		m.end(x, ConsumerLeft)
		return false
	}
	return true
}

// read reads the next piece of a body.
func (m *model) read(p *mRequest) {
	next := p.unread[0]
	p.unread = p.unread[1:]
	if next.err == io.EOF && p.state == running && p.hungUp {
		next = piece{err: errProducerHungUp} // the producer left before the end of its body was read
	}
	p.read += len(next.data)
	p.end = next.err
}

func (m *model) end(x *mExchange, o Outcome) {
	if o != Delivered && x.cause != "" {
		o = x.cause
	}
	c := x.channel
	x.over, c.running = true, nil
	c.exchanges++
	c.bytes += x.written
	m.tell(c.life, "end %s %s %s %d", x.producer.name, x.consumer.name, o, x.written)
	x.producer.state, x.consumer.state = ended, ended
	x.producer.outcome, x.consumer.outcome = o, o
	x.consumer.received = x.written
	if o == Delivered && m.broken {
		x.producer.outcome = Unrecorded
	}
	if c.closed == "" {
		m.settle(c)
	} else {
		m.tellClosed(c)
	}
}

func (m *model) close(c *mChannel, why CloseReason) {
	if m.stopping && why == ClosedIdle {
		why = ClosedShutDown
	}
	c.closed = why
	if c.running == nil {
		m.tellClosed(c)
	}
}

func (m *model) tellClosed(c *mChannel) {
	m.tell(c.life, "close %d %s %d %d", c.life, c.closed, c.exchanges, c.bytes)
}

func (m *model) cut(x *mExchange, why Outcome) {
	if x != nil && x.cause == "" {
		x.cause = why
		m.relay(x)
	}
}

// find returns the channel on which r waits or runs.
func (m *model) find(r *mRequest) *mChannel {
	for _, c := range m.channels {
		if slices.Contains(c.producers, r) || slices.Contains(c.consumers, r) {
			return c
		}
		if x := c.running; x != nil && (x.producer == r || x.consumer == r) {
			return c
		}
	}
	return nil
}
