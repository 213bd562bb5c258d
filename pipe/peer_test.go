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
	*line
	src     *source // a producer's body
	sink    *sink   // a consumer's connection, and a caller's
	replyID string  // of an answer

	answered atomic.Bool // the fields below are set
	outcome  Outcome
	err      error // the cause that Answer was given
}

func newPeer(w *world, name string, role Role) *peer {
	p := &peer{w: w, name: name, line: newLine()}
	p.src, p.sink = newSource(p.line), newSink(p.line)
	p.arrival = Arrival{
		Key:    home,
		Role:   role,
		Client: Client{Addr: "192.0.2.1", Agent: name},
		Wait:   Forever,
		Length: -1,
	}
	if role == Producer {
		p.arrival.Source, p.arrival.ReadAhead = p.src, 64<<10
		p.src.answer = func(x *Exchange, o Outcome, cause error) { p.err = cause; p.gets(o) }
	} else {
		p.arrival.Sink = p.sink
		p.sink.over = p.gets
	}
	return p
}

// gets notes the outcome that the client is told. Any goroutine may call it.
func (p *peer) gets(o Outcome) {
	p.outcome = o
	p.answered.Store(true)
	p.Wake()
}

// serve does what the goroutine of a connection does.
func (p *peer) serve() {
	if p.request.Role == Producer {
		p.fill()
	}
	for !p.answered.Load() {
		switch x := p.request.Begun(); {
		case x != nil:
			carryOut(x)
		case p.request.Unmatched():
			p.gets(p.request.Outcome())
		case p.lostCall():
			p.gets(p.request.exchange.Call.Reply.Outcome())
		default:
			<-p.woken
		}
	}
}

func (p *peer) fill() {
	defer func() {
		if v := recover(); v != nil && v != "sink" && !p.src.panics {
			panic(v)
		}
	}()
	p.request.Fill()
}

// carryOut carries out an exchange, and tells both sides how it ended.
func carryOut(x *Exchange) {
	source, sink := x.Producer.Source.(*source), x.Consumer.Sink.(*sink)
	outcome := Outcome("panic")
	defer x.Settle()
	defer func() { sink.over(outcome) }()
	defer survive(source.panics || sink.panics)
	outcome = x.Relay()
}

// survive recovers from an expected panic, and from no other.
func survive(expected bool) {
	if expected {
		_ = recover()
	}
}

// A line is what the connections of both roles have in common.
type line struct {
	hungUp  atomic.Bool
	woken   chan struct{} // holds a token after Wake
	request *Request      // set before Fill
}

func newLine() *line { return &line{woken: make(chan struct{}, 1)} }

func (l *line) Alive() bool { return !l.hungUp.Load() }

func (l *line) Wake() {
	select {
	case l.woken <- struct{}{}:
	default:
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
	p.request.exchange.Cut(why)
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

// A source is a producer's connection. The test sends the body piece by piece: Read blocks until then, or until it is
// woken and there is nothing more to read for.
type source struct {
	*line
	pieces chan piece // never closed
	reader io.Reader  // the body instead of pieces; nil: none
	answer func(*Exchange, Outcome, error)

	spliced chan int // how many zeros are available to Splice, 0 to be read; never closed; nil: always 0

	panics bool  // instead of returning the error that was sent
	rest   piece // the piece that has been read in part
	read   atomic.Int64
	woke   atomic.Int64 // how many times CatchUp was called
	pauses atomic.Int64
}

type piece struct {
	data []byte
	err  error
}

func newSource(l *line) *source { return &source{line: l, pieces: make(chan piece, 20)} }

func (s *source) send(data []byte, err error) { s.pieces <- piece{data, err} }
func (s *source) end()                        { s.send(nil, io.EOF) }

func (s *source) Answer(x *Exchange, o Outcome, cause error) { s.answer(x, o, cause) }

func (s *source) Read(p []byte) (int, error) {
	if s.reader != nil {
		n, err := s.reader.Read(p)
		s.read.Add(int64(n))
		return n, err
	}
	for len(s.rest.data) == 0 && s.rest.err == nil {
		select {
		case <-s.woken:
			if err := s.catchUp(); err != nil {
				return 0, err
			}
			continue
		default:
		}
		select {
		case <-s.woken:
			s.Wake() // for the next round
			continue
		case s.rest = <-s.pieces:
		}
		if len(s.rest.data) == 0 && s.rest.err == nil {
			return 0, nil
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
	err := s.rest.err
	return n, err
}

func (s *source) BothAlive(to Sink) (bool, bool) { return s.Alive(), to.Alive() }

func (s *source) Pause() {
	s.pauses.Add(1)
	<-s.woken
	s.catchUp()
}

func (s *source) Available(Sink) int64 {
	if s.spliced == nil {
		return 0
	}
	select {
	case n := <-s.spliced:
		return int64(n)
	case <-s.woken:
		s.Wake() // for Read
		return 0
	}
}

func (s *source) Splice(to Sink, n int64) (int64, error) {
	written, err := to.Write(make([]byte, n), false)
	return int64(written), err
}

func (s *source) catchUp() error {
	s.woke.Add(1)
	return s.request.CatchUp()
}

// A sink is a consumer's connection. The test sets its fields before the relay uses it.
type sink struct {
	*line
	interruption
	over     func(Outcome) // is called by the goroutine that has carried out the exchange
	begun    *Exchange
	ended    bool // the end of the response was written
	written  []byte
	flushed  []byte // the flushed part of written
	writes   int
	gate     atomic.Pointer[chan struct{}] // while not nil, Write waits for it to be closed
	stubborn bool                          // cannot be interrupted
	panics   bool
	writeErr error
	flushErr error
}

func newSink(l *line) *sink { return &sink{line: l, interruption: newInterruption()} }

func (s *sink) Begin(x *Exchange) { s.begun = x }

func (s *sink) Interrupt() {
	if !s.stubborn {
		s.interrupt()
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

func (s *sink) Write(p []byte, last bool) (int, error) {
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
	if s.flushErr != nil {
		return len(p), s.flushErr
	}
	s.flushed, s.ended = s.written, last
	return len(p), nil
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
