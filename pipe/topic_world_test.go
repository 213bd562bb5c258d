package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A reader is the connection of a subscriber. It notes which messages it took whole.
type reader struct {
	w    *topicWorld
	name string
	s    *Subscription

	mu          sync.Mutex
	change      *sync.Cond // of anything below
	room        int        // bytes that it takes at once; -1: any number
	broken      bool       // its writes fail
	interrupted bool
	offset      int // bytes taken of the message that is being written
	acked       int64
	history     []string
	ended       []Outcome
	whole       bool // at the end: no message was half written
}

func newReader(w *topicWorld, name string) *reader {
	r := &reader{w: w, name: name, room: -1}
	r.change = sync.NewCond(&r.mu)
	return r
}

var errBroken = errors.New("broken pipe")

// writeLocked takes what there is room for and reports whether that was all.
func (r *reader) writeLocked(p *Publication) (bool, error) {
	if r.broken {
		return false, errBroken
	}
	if len(r.ended) > 0 {
		panic("a message after the end")
	}
	left := len(p.Body) - r.offset
	n := left
	if r.room >= 0 {
		n = min(n, r.room)
		r.room -= n
	}
	r.offset += n
	r.acked += int64(n)
	if r.offset < len(p.Body) {
		return false, nil
	}
	r.offset = 0
	r.history = append(r.history, string(p.In(plain{})))
	return true, nil
}

func (r *reader) Offer(p *Publication) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.writeLocked(p)
}

func (r *reader) Finish(p *Publication) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.interrupted {
			return errors.New("interrupted")
		}
		if taken, err := r.writeLocked(p); taken || err != nil {
			return err
		}
		r.change.Wait()
	}
}

func (r *reader) Acknowledged() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

func (r *reader) Interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupted = true
	r.change.Broadcast()
}

func (r *reader) Ended(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, o)
	r.whole = r.offset == 0
}

// takes lets the reader take n more bytes, or any number if n is negative.
func (r *reader) takes(n int) {
	r.mu.Lock()
	r.room = n
	r.change.Broadcast()
	r.mu.Unlock()
	r.w.settle()
}

// plain is the form of a message that is its body.
type plain struct{}

func (plain) Encode(p *Publication) []byte { return p.Body }

// A publisher is a client that publishes.
type publisher struct {
	p       *Publication
	done    atomic.Bool // the fields below are set
	outcome Outcome
	err     error
}

// A topicWorld is a broker in a synctest bubble with publishers and subscribers.
type topicWorld struct {
	t          *testing.T
	broker     *Broker
	lines      []string // of the Recorder; guarded by Broker.mu
	accepted   Commit   // that PublicationAccepted returns; nil: Committed
	ended      Commit   // that PublicationEnded returns; nil: Committed
	readers    []*reader
	publishers []*publisher
}

func inTopicWorld(t *testing.T, config Config, f func(*topicWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newTopicWorld(t, config)
		f(w)
		w.close()
	})
}

func newTopicWorld(t *testing.T, config Config) *topicWorld {
	w := &topicWorld{t: t}
	var ids atomic.Int64
	config.NewID = func() string { return fmt.Sprintf("%06d", ids.Add(1)) }
	config.Recorder = topicJournal{w: w}
	w.broker = New(config)
	return w
}

// close checks that a shutdown ends everything once, and frees all memory.
func (w *topicWorld) close() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.broker.Shutdown(ctx)
	w.settle()
	for _, r := range w.readers {
		if r.s.ID != "" && (len(r.ended) != 1 || r.ended[0] != r.s.Outcome) {
			w.t.Errorf("%s was told %q, its outcome is %q", r.name, r.ended, r.s.Outcome)
		}
		if len(r.history) != int(r.s.Messages) {
			w.t.Errorf("%s took %q, its subscription says %d", r.name, r.history, r.s.Messages)
		}
	}
	for i, p := range w.publishers {
		if !p.done.Load() {
			w.t.Errorf("publisher %d never got an answer", i)
		}
	}
	if n := w.broker.MessageMemory(); n != 0 || len(w.broker.topics) != 0 {
		w.t.Errorf("%d bytes of messages and %d topics are left", n, len(w.broker.topics))
	}
}

func (w *topicWorld) settle() {
	w.t.Helper()
	synctest.Wait()
	if err := w.broker.check(); err != nil {
		w.t.Fatal("invariant: ", err)
	}
}

func (w *topicWorld) after(d time.Duration) {
	w.t.Helper()
	time.Sleep(d)
	w.settle()
}

// subscribe adds a subscription; change may alter it and its reader before.
func (w *topicWorld) subscribe(name string, change ...func(*reader)) *reader {
	w.t.Helper()
	r := newReader(w, name)
	r.s = &Subscription{Key: home, Client: Client{Agent: name}, Wait: Forever, To: r}
	for _, f := range change {
		f(r)
	}
	w.readers = append(w.readers, r)
	w.broker.Subscribe(r.s)
	w.settle()
	return r
}

func once(r *reader)                            { r.s.Once = true }
func room(n int) func(*reader)                  { return func(r *reader) { r.room = n } }
func waits(d time.Duration) func(*reader)       { return func(r *reader) { r.s.Wait = d } }
func fromGroup(group string) func(*reader)      { return func(r *reader) { r.s.Group = group } }
func enough(n int) func(*Publication)           { return func(p *Publication) { p.Enough = n } }
func atMost(d time.Duration) func(*Publication) { return func(p *Publication) { p.Wait = d } }

func (w *topicWorld) publish(body string, change ...func(*Publication)) *publisher {
	w.t.Helper()
	p := &publisher{p: w.broker.NewPublication(Arrival{Key: home, Length: int64(len(body)), Wait: Forever}, strings.NewReader(body), 0)}
	for _, f := range change {
		f(p.p)
	}
	w.publishers = append(w.publishers, p)
	go func() {
		defer p.done.Store(true)
		defer p.p.Release()
		if p.err = p.p.Read(); p.err != nil {
			p.outcome = p.p.Outcome()
			return
		}
		p.outcome, p.err = p.p.Publish()
	}()
	w.settle()
	return p
}

// is checks how a publication ended, with how many subscribers and deliveries.
func (p *publisher) is(w *topicWorld, o Outcome, subscribers, delivered int) {
	w.t.Helper()
	if !p.done.Load() || p.outcome != o || p.p.Subscribers != subscribers || p.p.Delivered != delivered {
		w.t.Errorf("publication: ended %v, %q, %d of %d; want %q, %d of %d", p.done.Load(), p.outcome, p.p.Delivered, p.p.Subscribers, o, delivered, subscribers)
	}
}

func (p *publisher) pending(w *topicWorld) {
	w.t.Helper()
	if p.done.Load() {
		w.t.Errorf("the publication has ended: %q", p.outcome)
	}
}

// got checks what a reader has taken, and whether and how its subscription ended.
func (r *reader) got(o Outcome, want ...string) {
	r.w.t.Helper()
	r.w.broker.mu.Lock()
	outcome := r.s.Outcome
	r.w.broker.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.history, want) || outcome != o {
		r.w.t.Errorf("%s took %q, %q; want %q, %q", r.name, r.history, outcome, want, o)
	}
}

// told checks what the recorder was told since the last call.
func (w *topicWorld) told(want ...string) {
	w.t.Helper()
	w.broker.mu.Lock()
	defer w.broker.mu.Unlock()
	if !slices.Equal(w.lines, want) {
		w.t.Errorf("the recorder was told\n\t%q, want\n\t%q", w.lines, want)
	}
	w.lines = nil
}

type topicJournal struct {
	Discard
	w *topicWorld
}

func (j topicJournal) add(format string, args ...any) {
	j.w.lines = append(j.w.lines, fmt.Sprintf(format, args...))
}

func (j topicJournal) RequestUnmatched(r *Request) {
	j.add("unmatched %s %s %s", r.Shape, r.Role, r.Outcome())
}

func (j topicJournal) SubscriptionOpened(s *Subscription) { j.add("open %s", s.Client.Agent) }

func (j topicJournal) SubscriptionEnded(s *Subscription) Commit {
	j.add("close %s %s %d %d %s-%s", s.Client.Agent, s.Outcome, s.Messages, s.Bytes, s.First, s.Last)
	return Committed{}
}

func (j topicJournal) PublicationAccepted(p *Publication) Commit {
	j.add("accept %s %d", p.ID, p.Subscribers)
	return orCommitted(j.w.accepted)
}

func (j topicJournal) PublicationEnded(p *Publication) Commit {
	j.add("end %s %s %d", p.ID, p.Outcome(), p.Delivered)
	return orCommitted(j.w.ended)
}

// errReader is a body that fails.
type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

var _ io.Reader = errReader{}
