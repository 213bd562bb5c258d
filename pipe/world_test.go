package pipe

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A world is a broker in a synctest bubble, with its clients. Every action on it returns once all its consequences
// have happened and the invariants have been checked.
type world struct {
	t       *testing.T
	broker  *Broker
	journal *journal
	peers   []*peer // every client so far
}

// inWorld runs f in a new world. Then it checks that the broker shuts down, that every client got an answer, that
// every outcome was decided once, and (synctest does this) that no goroutine is left.
func inWorld(t *testing.T, config Config, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, config)
		f(w)
		w.close()
	})
}

func newWorld(t *testing.T, config Config) *world {
	w := &world{t: t, journal: &journal{}}
	if config.Recorder == nil {
		config.Recorder = w.journal
	}
	var ids atomic.Int64
	config.NewID = func() string { return fmt.Sprint("x", ids.Add(1)) }
	config.NewReplyID = func() string { return fmt.Sprint("r", ids.Add(1)) }
	w.broker = New(config)
	return w
}

func (w *world) close() {
	w.t.Helper()
	for _, p := range w.peers {
		if p.sink.gate.Load() != nil {
			p.releases()
		}
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	w.broker.Shutdown(ctx)
	w.settle()
	if state := w.broker.State(); len(state) > 0 {
		w.t.Errorf("%v still exists after the shutdown", state)
	}
	for _, p := range w.peers {
		if !p.answered.Load() {
			w.t.Errorf("%s never got an answer", p.name)
		}
		if x := p.request.exchange; x != nil && x.Call == nil && p.request.Role == Producer && w.broker.recorder == Recorder(w.journal) {
			if got := w.journal.decided[x]; !slices.Equal(got, []Outcome{p.outcome}) {
				w.t.Errorf("%s got %q, but the recorder was told %q", p.name, p.outcome, got)
			}
		}
	}
}

// settle waits until every goroutine is blocked, and checks the invariants.
func (w *world) settle() {
	w.t.Helper()
	synctest.Wait()
	if err := w.broker.check(); err != nil {
		w.t.Fatal("invariant: ", err)
	}
}

// after lets the time d pass.
func (w *world) after(d time.Duration) {
	w.t.Helper()
	time.Sleep(d)
	w.settle()
}

var home = Key{"home", "channel"} // the channel that clients use by default

// An option changes a client before it arrives.
type option func(*peer)

func at(k Key) option                   { return func(p *peer) { p.arrival.Key = k } }
func waitingFor(d time.Duration) option { return func(p *peer) { p.arrival.Wait = d } }
func whole(s string) option             { return func(p *peer) { p.src.send([]byte(s), nil); p.src.end() } }
func firstBytes(s string) option        { return func(p *peer) { p.src.send([]byte(s), nil) } }
func readAhead(n int) option            { return func(p *peer) { p.arrival.ReadAhead = int32(n) } }

func (w *world) produce(name string, options ...option) *peer {
	w.t.Helper()
	return w.arrive(name, Producer, options)
}

func (w *world) consume(name string, options ...option) *peer {
	w.t.Helper()
	return w.arrive(name, Consumer, options)
}

// held is consume for a client that accepts nothing until it is released.
func (w *world) held(name string, options ...option) *peer {
	w.t.Helper()
	return w.consume(name, append(options, func(p *peer) { p.sink.hold() })...)
}

func (w *world) arrive(name string, role Role, options []option) *peer {
	w.t.Helper()
	p := newPeer(w, name, role)
	for _, o := range options {
		o(p)
	}
	w.peers = append(w.peers, p)
	p.request = w.broker.Arrive(p.arrival)
	p.line.request = p.request
	go p.serve()
	w.settle()
	return p
}

func (w *world) deletes(k Key, existed bool) {
	w.t.Helper()
	if got := w.broker.Delete(k); got != existed {
		w.t.Errorf("Delete(%v) = %v, want %v", k, got, existed)
	}
	w.settle()
}

// looks checks what Look returns for home.
func (w *world) looks(producers, consumers int, exists bool) {
	w.t.Helper()
	p, c, e := w.broker.Look(home)
	if p != producers || c != consumers || e != exists {
		w.t.Errorf("Look = %d, %d, %v, want %d, %d, %v", p, c, e, producers, consumers, exists)
	}
}

// told checks the events recorded since the last call.
func (w *world) told(want ...string) {
	w.t.Helper()
	if got := w.journal.take(w.broker); !slices.Equal(got, want) {
		w.t.Errorf("the recorder was told\n\t%q, want\n\t%q", got, want)
	}
}

// A journal is a Recorder that keeps one line for each event. Broker.mu guards its fields, up to mu.
type journal struct {
	Discard
	lines   []string
	lives   []int64 // the life that each line belongs to, 0 for none
	matched Commit  // the Commit that ExchangeMatched returns; nil: Committed
	ended   Commit  // the same for ExchangeEnded

	mu      sync.Mutex // guards decided
	decided map[*Exchange][]Outcome
}

func (j *journal) take(b *Broker) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := j.lines
	j.lines, j.lives = nil, nil
	return lines
}

func (j *journal) add(life int64, format string, args ...any) {
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
	j.lives = append(j.lives, life)
}

func (j *journal) ChannelOpened(l *Life) { j.add(l.ID, "open %d", l.ID) }

func (j *journal) ChannelClosed(l *Life) {
	j.add(l.ID, "close %d %s %d %d", l.ID, l.Reason, l.Exchanges, l.Bytes)
}

func (j *journal) RequestUnmatched(r *Request) {
	var life int64
	if r.channel != nil {
		life = r.channel.ID
	}
	j.add(life, "unmatched %s %s", r.Client.Agent, r.Outcome())
}

func (j *journal) ExchangeMatched(x *Exchange) Commit {
	j.add(x.Life, "match %s %s", x.Producer.Client.Agent, x.Consumer.Client.Agent)
	return orCommitted(j.matched)
}

func (j *journal) ExchangeEnded(x *Exchange) Commit {
	j.add(x.Life, "end %s %s %s %d", x.Producer.Client.Agent, x.Consumer.Client.Agent, x.Outcome, x.Bytes)
	return orCommitted(j.ended)
}

func (j *journal) OutcomeDecided(x *Exchange, o Outcome) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.decided == nil {
		j.decided = make(map[*Exchange][]Outcome)
	}
	j.decided[x] = append(j.decided[x], o)
}

func (j *journal) CallEnded(call *Call) {
	answer := "-"
	if call.Answer != nil {
		answer = call.Answer.Producer.Client.Agent
	}
	j.add(0, "call %s %s %s", call.Request.Producer.Client.Agent, answer, call.Outcome)
}

func orCommitted(c Commit) Commit {
	if c == nil {
		return Committed{}
	}
	return c
}

// A commit is a Commit whose Wait blocks until the test sends the result.
type commit chan error

func (c commit) Wait() error { return <-c }

func (c commit) Then(f func(error)) { go func() { f(<-c) }() }

// A failedCommit is a Commit that has failed.
type failedCommit struct{ error }

func (c failedCommit) Wait() error { return c.error }

func (c failedCommit) Then(f func(error)) { f(c.error) }
