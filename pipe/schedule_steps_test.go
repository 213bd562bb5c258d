package pipe

import (
	"fmt"
	"time"
)

// The steps of a schedule. Each does one thing to the world and the same to the model.

func (s *schedule) step() {
	switch op := s.next() % 32; {
	case op < 6:
		s.stepProduce()
	case op < 12:
		s.stepConsume()
	case op < 15:
		s.stepLeave()
	case op < 16:
		s.stepHangUp()
	case op < 23:
		s.stepSend()
	case op < 25:
		s.stepPass()
	case op < 27:
		s.stepHold()
	case op < 28:
		s.stepDelete()
	case op < 29:
		s.stepDeleteNamespace()
	case op < 30:
		s.stepCut()
	case op < 31:
		s.stepBreak()
	default:
		s.stepShutDown()
	}
}

// newRequest reads from the script what both roles have in common.
func (s *schedule) newRequest(role Role) *mRequest {
	b := s.next()
	n := len(s.peers) + 1
	r := &mRequest{name: fmt.Sprintf("%s%d", role.String()[:1], n), role: role, key: scheduleKeys[b%len(scheduleKeys)]}
	switch b >> 4 {
	case 0, 1:
		r.wait = 0
	case 2, 3, 4, 5:
		// No two waits end at the same instant, since their order would be undefined.
		r.wait = time.Duration(1+b>>4)*time.Second + time.Duration(n)
	default:
		r.wait = Forever
	}
	return r
}

func (s *schedule) stepProduce() {
	r := s.newRequest(Producer)
	b := s.next()
	n, inHand := b%4, b&64 != 0
	end := bodyEnds[s.next()%len(bodyEnds)]
	s.note("%s arrives at %v, waits %v, sends %d, %v, in hand %v", r.name, r.key, r.wait, n, end, inHand)
	s.peersOf[r] = s.produce(r.name, at(r.key), waitingFor(r.wait), func(p *peer) {
		p.src.send(stretch(0, n), end)
		p.arrival.InHand = inHand && end != nil
	})
	s.model.arrive(r)
	if r.state != ended {
		s.model.send(r, n, end)
	}
}

// stretch returns n bytes of a body, from the offset from.
func stretch(from, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(from + i)
	}
	return p
}

func (s *schedule) stepConsume() {
	r := s.newRequest(Consumer)
	flags := s.next()
	r.held, r.stubborn = flags%4 == 0, flags&16 != 0
	s.note("%s arrives at %v, waits %v, held %v, stubborn %v", r.name, r.key, r.wait, r.held, r.stubborn)
	s.peersOf[r] = s.consume(r.name, at(r.key), waitingFor(r.wait), func(p *peer) {
		p.sink.stubborn = r.stubborn
		if r.held {
			p.sink.hold()
		}
	})
	s.model.arrive(r)
}

// pick returns a waiting or running request that ok accepts, or nil.
func (s *schedule) pick(ok func(*mRequest) bool) *mRequest {
	var live []*mRequest
	for _, r := range s.model.requests {
		if r.state != ended && ok(r) {
			live = append(live, r)
		}
	}
	b := s.next()
	if len(live) == 0 {
		return nil
	}
	return live[b%len(live)]
}

func anyRequest(*mRequest) bool        { return true }
func aConsumer(r *mRequest) bool       { return r.role == Consumer }
func anOpenBody(r *mRequest) bool      { return r.role == Producer && !r.closed && r.sent < 2000 }
func aRunningRequest(r *mRequest) bool { return r.state == running }

func (s *schedule) stepLeave() {
	if r := s.pick(anyRequest); r != nil {
		s.note("%s leaves", r.name)
		s.peersOf[r].leaves()
		s.model.leave(r)
	}
}

func (s *schedule) stepHangUp() {
	if r := s.pick(anyRequest); r != nil {
		s.note("%s hangs up unnoticed", r.name)
		s.peersOf[r].hungUp.Store(true)
		r.hungUp = true
	}
}

func (s *schedule) stepSend() {
	if r := s.pick(anOpenBody); r != nil {
		n, end := s.next()%4, bodyEnds[s.next()%len(bodyEnds)]
		s.note("%s sends %d, %v", r.name, n, end)
		s.peersOf[r].src.send(stretch(r.sent, n), end)
		s.settle()
		s.model.send(r, n, end)
	}
}

func (s *schedule) stepPass() {
	d := time.Duration(s.next()%8) * time.Second / 2
	s.note("%v pass", d)
	s.after(d)
	s.model.advance(d)
}

// stepHold makes a consumer stop accepting data, or accept data again.
func (s *schedule) stepHold() {
	r := s.pick(aConsumer)
	if r == nil {
		return
	}
	s.note("%s is held: %v", r.name, !r.held)
	p := s.peersOf[r]
	if r.held {
		p.releases()
	} else {
		p.sink.hold()
	}
	s.model.hold(r, !r.held)
}

func (s *schedule) stepDelete() {
	k := scheduleKeys[s.next()%len(scheduleKeys)]
	s.note("%v is deleted", k)
	s.deletes(k, s.model.delete(k))
}

func (s *schedule) stepDeleteNamespace() {
	namespace := scheduleKeys[s.next()%len(scheduleKeys)].Namespace
	s.note("%s is deleted", namespace)
	want := s.model.deleteNamespace(namespace)
	if got := s.broker.DeleteNamespace(namespace); got != want {
		s.t.Errorf("DeleteNamespace = %v, want %v", got, want)
	}
	s.settle()
}

func (s *schedule) stepCut() {
	if r := s.pick(aRunningRequest); r != nil {
		s.note("the exchange of %s is cut", r.name)
		x := s.peersOf[r].request.exchange
		x.Cut(Stalled)
		s.settle()
		s.model.cut(s.model.find(r).running, Stalled)
	}
}

// stepBreak makes all commits fail, or succeed again.
func (s *schedule) stepBreak() {
	s.model.broken = !s.model.broken
	s.note("the log is broken: %v", s.model.broken)
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	s.journal.matched, s.journal.ended = nil, nil
	if s.model.broken {
		s.journal.matched, s.journal.ended = failedCommit{errNoDisk}, failedCommit{errNoDisk}
	}
}

// stepShutDown starts the shutdown, or makes it cut. It is rare because little can happen afterwards.
func (s *schedule) stepShutDown() {
	switch rare := s.next() % 32; {
	case rare > 0:
	case s.cutDown == nil:
		s.note("shutdown")
		s.cutDown, s.down = s.world.shutDown()
		s.model.shutDown()
	default:
		s.note("the shutdown cuts")
		s.cutDown()
		s.model.cutAll()
	}
}
