package pipe

import "testing"

func from(group string) option { return func(p *peer) { p.arrival.Group = group } }

// refusedBy checks that p was refused for that reason.
func (p *peer) refusedBy(want Reason) {
	p.w.t.Helper()
	p.ends(Refused)
	if got := p.request.Reason(); got != want {
		p.w.t.Errorf("%s was refused for %v, want %v", p.name, got, want)
	}
}

func TestLimitWaiting(t *testing.T) {
	inWorld(t, Config{Limits: Limits{Waiting: 2}}, func(w *world) {
		w.consume("a")
		b := w.consume("b", at(Key{"n", "other"}))
		w.consume("too many", at(Key{"n", "third"})).refusedBy(LimitWaiting)
		if got := w.broker.Channels("n"); len(got) != 1 {
			t.Errorf("channels %v: a refused request opened one", got)
		}
		b.leaves()
		w.consume("c", at(Key{"n", "third"})).pending()
	})
}

func TestLimitPerChannel(t *testing.T) {
	inWorld(t, Config{Limits: Limits{PerChannel: 2}}, func(w *world) {
		w.held("a")
		w.held("b")
		w.held("too many").refusedBy(LimitPerChannel)
		w.held("elsewhere", at(Key{"n", "other"})).pending()
	})
}

func TestLimitPerClient(t *testing.T) {
	inWorld(t, Config{Limits: Limits{PerClient: 1}}, func(w *world) {
		a := w.consume("a", from("here"))
		w.consume("too many", from("here"), at(Key{"n", "other"})).refusedBy(LimitPerClient)
		w.consume("b", from("there")).pending()
		a.leaves()
		w.consume("c", from("here"), at(Key{"n", "other"})).pending()
	})
}

// No limit applies to a request that another waits for: otherwise a full broker would stay full.
func TestLimitsAdmitTheOtherRole(t *testing.T) {
	inWorld(t, Config{Limits: Limits{Waiting: 2, PerChannel: 2, PerClient: 1}}, func(w *world) {
		a := w.consume("a", from("one"))
		b := w.consume("b", from("two"))
		p := w.produce("p", firstBytes("x"), from("one"))
		p.is(running)
		q := w.held("q", from("one")) // waits for its turn to exchange with b
		q.pending()
		w.consume("too many", from("three")).refusedBy(LimitWaiting)
		p.finishes()
		a.ends(Delivered)
		b.pending()
	})
}

// The requests of a running exchange do not count.
func TestLimitsCountWaitingRequestsOnly(t *testing.T) {
	inWorld(t, Config{Limits: Limits{Waiting: 1, PerChannel: 1, PerClient: 1}}, func(w *world) {
		p := w.produce("p", firstBytes("x"))
		w.consume("c").is(running)
		w.consume("next").pending()
		p.finishes()
	})
}
