package pipe

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A topicModel does what a topic must do, in the simplest way. Its readers take a message whole, or nothing while they are
// held.
type topicModel struct {
	subs  []*mSub // those that have not ended, oldest first
	queue []*mPub
	all   []*mSub
}

type mSub struct {
	once, held bool
	cut        Outcome // while a message is written to it; "" if it is not cut
	claimed    bool    // a publication was accepted for one that takes only one
	history    []string
	outcome    Outcome
}

type mPub struct {
	body        string
	to          []*mSub // that have not taken it
	subscribers int
	delivered   int
	begun       bool
	ended       bool
}

func (m *topicModel) subscribe(s *mSub) {
	m.subs = append(m.subs, s)
	m.all = append(m.all, s)
}

func (m *topicModel) publish(body string) *mPub {
	p := &mPub{body: body}
	for _, s := range m.subs {
		if s.cut == "" && !s.claimed {
			p.to = append(p.to, s)
			s.claimed = s.once
		}
	}
	p.subscribers = len(p.to)
	m.queue = append(m.queue, p)
	m.settle()
	return p
}

// receives reports whether the message that is being sent is on its way to s.
func (m *topicModel) receives(s *mSub) bool {
	return len(m.queue) > 0 && m.queue[0].begun && slices.Contains(m.queue[0].to, s)
}

// settle does what is possible: those that are not held take what is for them.
func (m *topicModel) settle() {
	for len(m.queue) > 0 {
		p := m.queue[0]
		p.begun = true
		for _, s := range slices.Clone(p.to) {
			switch {
			case !s.held:
				s.history = append(s.history, p.body)
				p.delivered++
				p.to = without1(p.to, s)
				if s.once {
					m.end(s, Delivered)
				}
			case s.cut != "":
				p.to = without1(p.to, s)
				m.end(s, s.cut)
			}
		}
		if len(p.to) > 0 {
			return
		}
		p.ended = true
		m.queue = m.queue[1:]
	}
}

func without1(subs []*mSub, s *mSub) []*mSub {
	return slices.DeleteFunc(subs, func(other *mSub) bool { return other == s })
}

func (m *topicModel) end(s *mSub, o Outcome) {
	s.outcome = o
	m.subs = without1(m.subs, s)
	for _, p := range m.queue {
		p.to = without1(p.to, s)
	}
}

// cut ends subscriptions with the outcome o, at once or with the write of the message.
func (m *topicModel) cut(o Outcome, subs ...*mSub) {
	for _, s := range slices.Clone(subs) {
		if !m.receives(s) {
			m.end(s, o)
		} else if s.cut == "" {
			s.cut = o
		}
	}
	m.settle()
}

// stall is what happens when the message timeout passes.
func (m *topicModel) stall() {
	for len(m.queue) > 0 { // what is sent next may stall as well
		m.cut(Stalled, m.queue[0].to...)
	}
}

// TestTopicModel compares a topic with the model, through random schedules.
func TestTopicModel(t *testing.T) {
	seed := seedOf(t)
	t.Logf("PIPE_SEED=%d", seed)
	for n := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, n))
		inTopicWorld(t, Config{MessageTimeout: time.Second}, func(w *topicWorld) { compareWithModel(w, rng) })
		if t.Failed() {
			t.Fatalf("schedule %d", n)
		}
	}
}

func compareWithModel(w *topicWorld, rng *rand.Rand) {
	m := &topicModel{}
	var pubs []*mPub
	for step := range 80 {
		some := -1
		if len(m.subs) > 0 {
			some = slices.Index(m.all, m.subs[rng.IntN(len(m.subs))])
		}
		switch n := rng.IntN(20); {
		case n < 6:
			s := &mSub{once: rng.IntN(3) == 0, held: rng.IntN(3) == 0}
			m.subscribe(s)
			w.subscribe(fmt.Sprint(step), func(r *reader) {
				r.s.Once = s.once
				if s.held {
					r.room = 0
				}
			})
		case n < 12:
			body := fmt.Sprint("message ", step)
			pubs = append(pubs, m.publish(body))
			w.publish(body)
		case n < 14 && some >= 0:
			m.cut(Left, m.all[some])
			w.readers[some].s.Leave()
		case n < 17 && some >= 0:
			m.all[some].held = false
			m.settle()
			w.readers[some].takes(-1)
		case n < 18 && some >= 0 && !m.receives(m.all[some]):
			m.all[some].held = true
			w.readers[some].takes(0)
		case n == 18:
			m.stall()
			w.after(time.Duration(1+len(w.publishers)) * time.Second)
		case n == 19 && rng.IntN(3) == 0:
			m.cut(Deleted, m.subs...)
			w.broker.DeleteTopic(home)
		}
		w.settle()
		for i, s := range m.all {
			w.readers[i].got(s.outcome, s.history...)
		}
		for i, p := range pubs {
			if got := w.publishers[i]; got.done.Load() != p.ended || p.ended && got.p.Delivered != p.delivered || got.p.Subscribers != p.subscribers {
				w.t.Errorf("step %d: %q: ended %v, %d of %d; want %v, %d of %d", step, p.body, got.done.Load(), got.p.Delivered, got.p.Subscribers,
					p.ended, p.delivered, p.subscribers)
			}
		}
		if w.t.Failed() {
			return
		}
	}
}
