package pipe

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// A mCall is a call as its simplest description: what each side must see, step by step.
type mCall struct {
	caller, worker, answer     *peer
	id                         string
	sent, left, answered, over bool    // the request is at its end; the caller has hung up; an answer began; the call ended
	outcome                    Outcome // of the call
	due                        time.Time
}

// A mService is the model of one service: callers and workers in their order, and the calls that run.
type mService struct {
	*world
	rng      *rand.Rand
	callers  []*peer
	workers  []*peer
	sent     map[*peer]bool // callers whose request is whole
	calls    []*mCall
	over     []*mCall // that can be answered in vain
	outcomes map[Outcome]int
}

const modelReplyTimeout = 10 * time.Second

// TestServiceModel does random things to a service and compares it with the model after each.
func TestServiceModel(t *testing.T) {
	seed := seedOf(t)
	t.Logf("PIPE_SEED=%d", seed)
	outcomes := make(map[Outcome]int)
	for i := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			m := &mService{rng: rand.New(rand.NewPCG(seed, i)), sent: make(map[*peer]bool), outcomes: outcomes}
			m.world = newWorld(t, Config{ReplyTimeout: modelReplyTimeout})
			for range 120 {
				m.step()
				m.compare()
				if t.Failed() {
					t.Fatalf("in round %d", i)
				}
			}
			m.world.close()
		})
	}
	for _, o := range []Outcome{Answered, Unanswered, Left, ConsumerLeft, ProducerLeft, Deleted} {
		if outcomes[o] == 0 {
			t.Errorf("no call ended as %s: the steps cover too little", o)
		}
	}
}

// step does one thing to the service and to the model.
func (m *mService) step() {
	name := fmt.Sprint(len(m.peers))
	switch op := m.rng.IntN(100); {
	case op < 14:
		whole := m.rng.IntN(3) > 0
		first := "q" + name
		p := m.callWith("c"+name, firstBytes(first), func(p *peer) {
			if whole {
				p.src.end()
			}
		})
		m.callers, m.sent[p] = append(m.callers, p), whole
		m.match()
	case op < 28:
		m.workers = append(m.workers, m.work("w"+name))
		m.match()
	case op < 32 && len(m.callers) > 0:
		i := m.rng.IntN(len(m.callers))
		m.callers[i].leaves()
		m.callers = append(m.callers[:i:i], m.callers[i+1:]...)
	case op < 36 && len(m.workers) > 0:
		i := m.rng.IntN(len(m.workers))
		m.workers[i].leaves()
		m.workers = append(m.workers[:i:i], m.workers[i+1:]...)
	case op < 40:
		d := time.Duration(m.rng.IntN(8))*time.Second + 1
		m.after(d)
		for _, c := range m.calls {
			if c.sent && !c.answered && !time.Now().Before(c.due) {
				m.end(c, Unanswered)
			}
		}
	case op < 41:
		m.stepDelete()
	case op < 50 && len(m.over) > 0:
		m.stepAnswerInVain(name)
	case len(m.calls) > 0:
		m.stepCall(m.calls[m.rng.IntN(len(m.calls))], name)
	}
	m.calls = deleteOver(m.calls)
}

func deleteOver(calls []*mCall) (running []*mCall) {
	for _, c := range calls {
		if !c.over {
			running = append(running, c)
		}
	}
	return running
}

// match makes calls of the callers and workers that came first.
func (m *mService) match() {
	for len(m.callers) > 0 && len(m.workers) > 0 {
		c := &mCall{caller: m.callers[0], worker: m.workers[0]}
		m.callers, m.workers = m.callers[1:], m.workers[1:]
		x := c.worker.request.exchange
		if x == nil || x.Producer != c.caller.request {
			m.t.Fatalf("%s and %s have not met", c.caller.name, c.worker.name)
		}
		c.id = x.Call.ReplyID
		if m.sent[c.caller] {
			m.deliver(c)
		}
		m.calls = append(m.calls, c)
	}
}

// deliver notes that the end of the request of c has been read. If its caller has hung up before, it may not be whole.
func (m *mService) deliver(c *mCall) {
	c.sent, c.due = true, time.Now().Add(modelReplyTimeout)
	if c.left {
		c.worker.ends(ProducerLeft)
		m.end(c, Left)
		return
	}
	c.worker.ends(Delivered)
	c.answered = c.answer != nil
}

// stepCall does something to a call that runs.
func (m *mService) stepCall(c *mCall, name string) {
	switch op := m.rng.IntN(8); {
	case op < 2 && !c.sent:
		c.caller.finishes()
		m.deliver(c)
	case op == 2 && !c.sent && !c.left:
		c.caller.leaves()
		c.left = true
	case op == 3 && !c.sent:
		c.worker.leaves()
		m.end(c, ConsumerLeft)
	case op == 3 && !c.answered:
		c.caller.leaves()
		m.end(c, Left)
	case op == 3:
		c.caller.leaves()
		m.end(c, Left)
		c.answer.ends(ConsumerLeft)
	case c.answer == nil:
		c.answer = m.answerTo(c.id, "a"+name, firstBytes("a"+name))
		c.answered = c.sent
	case op == 4:
		m.answerTo(c.id, "second"+name, whole("x")).refusedBy(NoCall)
	case op == 5 && c.answered:
		c.answer.fails(errInterrupted)
		m.end(c, ProducerLeft)
		c.answer.ends(ProducerLeft)
	case op == 5:
		c.answer.leaves()
		c.answer.ends(Left)
		c.answer = nil
	case c.answered:
		c.answer.finishes()
		m.end(c, Answered)
		c.answer.ends(Delivered)
		c.caller.got(c.answer.name)
	}
}

// end notes that c has ended.
func (m *mService) end(c *mCall, o Outcome) {
	c.over, c.outcome = true, o
	m.outcomes[o]++
	m.over = append(m.over, c)
	seen := o
	switch {
	case o == Left && c.left:
		seen = ProducerLeft
	case o == Left && c.answered:
		seen = ConsumerLeft
	}
	c.caller.ends(seen)
	if c.answer != nil && !c.answered && o != Deleted {
		if o == Left {
			c.answer.ends(ConsumerLeft)
		} else {
			c.answer.refusedBy(NoCall)
		}
	}
}

// stepAnswerInVain answers a call that is over.
func (m *mService) stepAnswerInVain(name string) {
	c := m.over[m.rng.IntN(len(m.over))]
	late := m.answerTo(c.id, "late"+name, whole("x"))
	if c.outcome == Left && !c.answered {
		late.ends(ConsumerLeft)
	} else {
		late.refusedBy(NoCall)
	}
}

func (m *mService) stepDelete() {
	m.deletesService(len(m.callers)+len(m.workers)+len(m.calls) > 0)
	for _, p := range append(m.callers, m.workers...) {
		p.ends(Deleted)
	}
	m.callers, m.workers = nil, nil
	for _, c := range m.calls {
		m.end(c, Deleted)
		if c.answer != nil {
			c.answer.ends(Deleted)
		}
	}
}

// compare fails the test unless the service is in the state of the model.
func (m *mService) compare() {
	m.t.Helper()
	m.looksService(len(m.callers), len(m.workers), len(m.callers)+len(m.workers)+len(m.calls) > 0)
	for _, c := range m.calls {
		if !c.left {
			c.caller.pending()
		}
		switch {
		case c.answer == nil:
		case !c.answered:
			c.answer.pending()
			c.caller.got("")
		default:
			c.answer.pending()
			c.caller.got(c.answer.name)
		}
	}
}
