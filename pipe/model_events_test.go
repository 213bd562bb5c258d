package pipe

import (
	"io"
	"time"
)

// The events of the model, besides arrivals.

func (m *model) leave(r *mRequest) {
	r.hungUp = true
	c := m.find(r)
	switch {
	case r.state == waiting:
		m.endUnmatched(c, r, Left)
		m.settle(c)
	case r.role == Consumer && (c.running.writing == nil || c.running.writing.end != io.EOF):
		m.cut(c.running, ConsumerLeft)
	}
}

// send adds n bytes to r's body, and then its end, unless that is nil.
func (m *model) send(r *mRequest, n int, end error) {
	c := m.find(r)
	r.sent += n
	r.closed = end != nil
	r.unread = append(r.unread, piece{make([]byte, n), end})
	if r.state == waiting {
		m.read(r)
	}
	switch {
	case r.state == running:
		m.relay(c.running)
	case end != nil && end != io.EOF:
		m.endUnmatched(c, r, bodyOutcome(end, Left))
		m.settle(c)
	default:
		m.settle(c)
	}
}

func (m *model) hold(r *mRequest, held bool) {
	r.held = held
	if c := m.find(r); r.state == running {
		m.relay(c.running)
	}
}

func (m *model) delete(k Key) (existed bool) {
	c := m.at(k)
	if c == nil {
		return false
	}
	m.clear(c, Deleted)
	m.close(c, ClosedDeleted)
	m.cut(c.running, Deleted)
	return true
}

func (m *model) deleteNamespace(namespace string) (existed bool) {
	for _, c := range m.channels {
		if c.key.Namespace == namespace && m.delete(c.key) {
			existed = true
		}
	}
	return existed
}

func (m *model) clear(c *mChannel, o Outcome) {
	for len(c.producers) > 0 {
		m.endUnmatched(c, c.producers[0], o)
	}
	for len(c.consumers) > 0 {
		m.endUnmatched(c, c.consumers[0], o)
	}
	m.listen(c)
}

func (m *model) shutDown() {
	m.stopping = true
	for _, c := range m.channels {
		m.clear(c, ShutDown)
		m.settle(c)
	}
}

// cutAll does what a shutdown does once its context is done.
func (m *model) cutAll() {
	for _, c := range m.channels {
		m.cut(c.running, ShutDown)
	}
}

// advance moves the clock by d and lets happen what is due in that time.
func (m *model) advance(d time.Duration) {
	end := m.now + d
	for {
		at, happens := m.firstDue()
		if happens == nil || at > end {
			m.now = end
			return
		}
		m.now = at
		happens()
	}
}

// firstDue returns the next event that is due, and when. happens is nil if there is none.
func (m *model) firstDue() (at time.Duration, happens func()) {
	consider := func(t time.Duration, f func()) {
		if happens == nil || t < at {
			at, happens = t, f
		}
	}
	for _, c := range m.channels {
		if c.closed != "" && c.running == nil {
			continue
		}
		for _, rs := range [][]*mRequest{c.producers, c.consumers} {
			for _, r := range rs {
				if r.due > 0 {
					consider(r.due, func() {
						m.endUnmatched(c, r, TimedOut)
						m.settle(c)
					})
				}
			}
		}
		if m.silence == 0 {
			continue
		}
		if r := c.quiet; r != nil {
			consider(c.quietFrom+m.silence, func() {
				m.endUnmatched(c, r, Silent)
				m.settle(c)
			})
		}
		if x := c.running; x != nil && x.writing == nil && x.cause == "" {
			consider(x.idleFrom+m.silence, func() { m.cut(x, Silent) })
		}
	}
	return at, happens
}
