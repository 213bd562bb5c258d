package pipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// A peer is a client in a world, together with the goroutine that serves its request.
type peer struct {
	w       *world
	name    string
	arrival Arrival
	request *Request
	src     *source // a producer's body
	sink    *sink   // a consumer's connection
	replyID string  // of an answer
	hungUp  atomic.Bool

	answered atomic.Bool // the fields below are set
	outcome  Outcome
	err      error // from AwaitEnd
}

func newPeer(w *world, name string, role Role) *peer {
	p := &peer{w: w, name: name, src: newSource(), sink: newSink()}
	p.arrival = Arrival{
		Key:    home,
		Role:   role,
		Client: Client{Addr: "192.0.2.1", Agent: name},
		Wait:   Forever,
		Alive:  func() bool { return !p.hungUp.Load() },
		Length: -1,
	}
	if role == Producer {
		p.arrival.Body, p.arrival.ReadAhead = p.src, 64<<10
		p.arrival.Interrupt = p.src.interrupt
	} else {
		p.arrival.Interrupt = p.sink.interrupt
	}
	return p
}

// serve does what an HTTP handler does.
func (p *peer) serve() {
	r := p.request
	if r.Role == Producer && r.Shape == Service && p.replyID == "" {
		p.outcome = p.call()
	} else if r.Role == Producer {
		p.fill()
		p.outcome, p.err = r.AwaitEnd()
	} else if x := r.AwaitMatch(); x != nil {
		p.relay(x)
	} else {
		p.outcome = r.Outcome()
	}
	p.answered.Store(true)
}

func (p *peer) fill() {
	defer survive(&p.src.panics)
	p.request.Fill()
}

func (p *peer) relay(x *Exchange) {
	defer survive(&p.sink.panics)
	p.outcome = x.Relay(p.sink)
}

// survive recovers from an expected panic, and from no other.
func survive(expected *bool) {
	if *expected {
		_ = recover()
	}
}

// leaves hangs up, and the server notices it.
func (p *peer) leaves() {
	p.w.t.Helper()
	p.hungUp.Store(true)
	p.request.Leave()
	p.w.settle()
}

func (p *peer) sends(s string) {
	p.w.t.Helper()
	p.src.send([]byte(s), nil)
	p.w.settle()
}

func (p *peer) finishes() {
	p.w.t.Helper()
	p.src.end()
	p.w.settle()
}

func (p *peer) fails(err error) {
	p.w.t.Helper()
	p.src.send(nil, err)
	p.w.settle()
}

// cuts cuts the exchange of p, which must be running.
func (p *peer) cuts(why Outcome) {
	p.w.t.Helper()
	p.request.Exchange().Cut(why)
	p.w.settle()
}

// releases lets a held sink accept data.
func (p *peer) releases() {
	p.w.t.Helper()
	p.sink.release()
	p.w.settle()
}

func (p *peer) is(want state) {
	p.w.t.Helper()
	p.w.broker.mu.Lock()
	defer p.w.broker.mu.Unlock()
	if got := p.request.state; got != want {
		p.w.t.Errorf("%s is %v, want %v", p.name, got, want)
	}
}

// ends checks that p got an answer, and which.
func (p *peer) ends(want Outcome) {
	p.w.t.Helper()
	switch {
	case !p.answered.Load():
		p.w.t.Errorf("%s has no answer, want %s", p.name, want)
	case p.outcome != want:
		p.w.t.Errorf("%s got %q, want %q", p.name, p.outcome, want)
	}
}

// pending checks that p has not got an answer yet.
func (p *peer) pending() {
	p.w.t.Helper()
	if p.answered.Load() {
		p.w.t.Errorf("%s got %q, want it to wait", p.name, p.outcome)
	}
}

// got checks which flushed bytes the consumer p has received.
func (p *peer) got(want string) {
	p.w.t.Helper()
	if got := p.sink.flushed; !bytes.Equal(got, []byte(want)) {
		p.w.t.Errorf("%s received %s, want %s", p.name, brief(got), brief([]byte(want)))
	}
}

// A source is a body that the test sends piece by piece. Read blocks until the test sends, ends or interrupts it.
type source struct {
	interruption
	pieces chan piece // never closed

	panics bool  // instead of returning the error that was sent
	rest   piece // the piece that has been read in part
	read   atomic.Int64
}

type piece struct {
	data []byte
	err  error
}

func newSource() *source {
	return &source{interruption: newInterruption(), pieces: make(chan piece, 20)}
}

func (s *source) send(data []byte, err error) { s.pieces <- piece{data, err} }
func (s *source) end()                        { s.send(nil, io.EOF) }

func (s *source) Read(p []byte) (int, error) {
	if len(s.rest.data) == 0 && s.rest.err == nil {
		if s.interrupted() {
			return 0, errInterrupted
		}
		select {
		case <-s.halted:
			return 0, errInterrupted
		case s.rest = <-s.pieces:
		}
	}
	n := copy(p, s.rest.data)
	s.rest.data = s.rest.data[n:]
	s.read.Add(int64(n))
	if len(s.rest.data) > 0 {
		return n, nil
	}
	if s.panics && s.rest.err != nil {
		panic(s.rest.err)
	}
	return n, s.rest.err
}

// A sink is a consumer's connection. The test sets its fields before the relay uses it.
type sink struct {
	interruption
	written  []byte
	flushed  []byte // the flushed part of written
	writes   int
	gate     atomic.Pointer[chan struct{}] // while not nil, Write waits for it to be closed
	stubborn bool                          // cannot be interrupted
	panics   bool
	writeErr error
	flushErr error
}

func newSink() *sink { return &sink{interruption: newInterruption()} }

func (s *sink) interrupt() {
	if !s.stubborn {
		s.interruption.interrupt()
	}
}

// hold makes the next Write block.
func (s *sink) hold() { s.gate.Store(new(make(chan struct{}))) }

func (s *sink) release() {
	if gate := s.gate.Swap(nil); gate != nil {
		close(*gate)
	}
}

// releaseOne lets a held Write go on, but not the next.
func (s *sink) releaseOne() { close(*s.gate.Swap(new(make(chan struct{})))) }

func (s *sink) Write(p []byte) (int, error) {
	s.writes++
	if gate := s.gate.Load(); gate != nil {
		select {
		case <-*gate:
		case <-s.halted:
		}
	}
	if s.interrupted() {
		return 0, errInterrupted
	}
	if s.panics {
		panic("sink")
	}
	if s.writeErr != nil {
		return 0, s.writeErr
	}
	s.written = append(s.written, p...)
	return len(p), nil
}

func (s *sink) Flush() error {
	if s.flushErr != nil {
		return s.flushErr
	}
	s.flushed = s.written
	return nil
}

// An interruption makes blocked calls fail once interrupt has been called, and all later calls too.
type interruption struct {
	interrupt func()
	halted    chan struct{} // closed by interrupt
}

func newInterruption() interruption {
	halted := make(chan struct{})
	return interruption{sync.OnceFunc(func() { close(halted) }), halted}
}

func (i interruption) interrupted() bool {
	select {
	case <-i.halted:
		return true
	default:
		return false
	}
}

var errInterrupted = errors.New("interrupted")

// brief quotes b, or its beginning.
func brief(b []byte) string {
	if len(b) <= 40 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q… (%d bytes)", b[:40], len(b))
}
