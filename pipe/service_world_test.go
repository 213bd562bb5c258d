package pipe

import "testing"

// Callers, workers and answers in a world.

func ofService(p *peer) { p.arrival.Shape = Service }

// call begins a call with a whole request.
func (w *world) call(name string, options ...option) *peer {
	w.t.Helper()
	return w.callWith(name, append([]option{whole("q" + name)}, options...)...)
}

// callWith begins a call with a request of which nothing has come.
func (w *world) callWith(name string, options ...option) *peer {
	w.t.Helper()
	toBeAnswered := func(p *peer) {
		p.arrival.Sink = p.sink
		told := p.src.answer
		p.src.answer = func(x *Exchange, o Outcome, cause error) {
			if x.Outcome != Delivered { // otherwise the answer tells
				told(x, o, cause)
			}
		}
		p.sink.over = func(o Outcome) {
			if o == Delivered {
				o = Answered
			}
			p.gets(o)
		}
	}
	return w.produce(name, append([]option{ofService, toBeAnswered}, options...)...)
}

func (w *world) work(name string, options ...option) *peer {
	w.t.Helper()
	return w.consume(name, append([]option{ofService}, options...)...)
}

// answer answers the call that the worker has taken.
func (w *world) answer(name string, worker *peer, options ...option) *peer {
	w.t.Helper()
	return w.answerTo(worker.request.exchange.Call.ReplyID, name, append([]option{whole("a" + name)}, options...)...)
}

func (w *world) answerTo(replyID, name string, options ...option) *peer {
	w.t.Helper()
	p := newPeer(w, name, Producer)
	p.replyID = replyID
	for _, o := range options {
		o(p)
	}
	w.peers = append(w.peers, p)
	p.request = w.broker.Answer(replyID, p.arrival)
	p.line.request = p.request
	go p.serve()
	w.settle()
	return p
}

// lostCall reports whether the request of p was delivered, and no answer will come.
func (p *peer) lostCall() bool {
	call := p.request.Call()
	return call != nil && call.Reply.Unmatched() && call.Request.Outcome == Delivered
}

// looksService checks what LookService returns for home.
func (w *world) looksService(callers, workers int, exists bool) {
	w.t.Helper()
	p, c, e := w.broker.LookService(home)
	if p != callers || c != workers || e != exists {
		w.t.Errorf("LookService = %d, %d, %v, want %d, %d, %v", p, c, e, callers, workers, exists)
	}
}

func (w *world) deletesService(existed bool) {
	w.t.Helper()
	if got := w.broker.DeleteService(home); got != existed {
		w.t.Errorf("DeleteService = %v, want %v", got, existed)
	}
	w.settle()
}

// inServiceWorld is inWorld for services. It also checks that no service or call is left at the end.
func inServiceWorld(t *testing.T, config Config, f func(*world)) {
	t.Helper()
	inWorld(t, config, func(w *world) {
		f(w)
		w.t.Cleanup(func() {
			if left := w.broker.services; len(left.channels) > 0 || len(left.calls) > 0 {
				w.t.Errorf("after the shutdown there are %d services and %d calls", len(left.channels), len(left.calls))
			}
		})
	})
}
