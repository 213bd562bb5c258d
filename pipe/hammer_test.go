package pipe

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHammer runs many clients at the same time, in real time, on a few channels that are deleted now and then.
func TestHammer(t *testing.T) {
	seed := seedOf(t)
	t.Logf("PIPE_SEED=%d", seed)
	goroutines := runtime.NumGoroutine()
	h := newHammer(t)

	var clients sync.WaitGroup
	for i := range uint64(16) {
		rng := rand.New(rand.NewPCG(seed, i))
		clients.Go(func() {
			for n := range 300 {
				h.client(rng, fmt.Sprint(i, ".", n))
				h.meddle(rng)
			}
		})
	}
	stop := time.AfterFunc(time.Minute, func() { panic("TestHammer hangs") })
	clients.Wait()
	h.broker.Shutdown(t.Context())
	stop.Stop()

	h.verify()
	// Timers that were stopped too late may still be running.
	for start := time.Now(); time.Since(start) < 5*time.Second; {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d goroutines at the end, %d at the start", runtime.NumGoroutine(), goroutines)
}

// A hammer is a broker and its Recorder, which keeps what verify needs.
type hammer struct {
	Discard
	t      *testing.T
	broker *Broker

	arrived atomic.Int64

	mu        sync.Mutex        // guards the next three fields
	confirmed map[string]bool   // producers that were told delivered
	received  map[string]int    // how many consumers received a producer's message completely
	decided   map[*Exchange]int // how many times the outcome was decided

	// Guarded by Broker.mu.
	ends      map[*Request]int // how many times each request ended
	open      map[int64]bool   // lives that have not closed
	lastBegun map[string]time.Time
	matched   int
	outcomes  map[Outcome]int
}

func newHammer(t *testing.T) *hammer {
	h := &hammer{
		t:         t,
		confirmed: make(map[string]bool),
		received:  make(map[string]int),
		decided:   make(map[*Exchange]int),
		ends:      make(map[*Request]int),
		open:      make(map[int64]bool),
		lastBegun: make(map[string]time.Time),
		outcomes:  make(map[Outcome]int),
	}
	var ids atomic.Int64
	h.broker = New(Config{
		NewID:          func() string { return fmt.Sprint(ids.Add(1)) },
		Recorder:       h,
		SilenceTimeout: 2 * time.Millisecond,
	})
	return h
}

func (h *hammer) ChannelOpened(l *Life) { h.open[l.ID] = true }

func (h *hammer) ChannelClosed(l *Life) {
	if !h.open[l.ID] {
		h.t.Errorf("life %d closed, but it was not open", l.ID)
	}
	delete(h.open, l.ID)
}

func (h *hammer) RequestUnmatched(r *Request) {
	h.ends[r]++
	h.outcomes[r.Outcome()]++
}

func (h *hammer) ExchangeMatched(x *Exchange) Commit {
	h.matched++
	for _, r := range []*Request{x.Producer, x.Consumer} {
		queue := fmt.Sprint(x.Life, r.Role)
		if r.ArrivedAt.Before(h.lastBegun[queue]) {
			h.t.Errorf("a %s on %v was overtaken", r.Role, x.Key)
		}
		h.lastBegun[queue] = r.ArrivedAt
	}
	return Committed{}
}

func (h *hammer) ExchangeEnded(x *Exchange) Commit {
	h.ends[x.Producer]++
	h.ends[x.Consumer]++
	h.outcomes[x.Outcome]++
	return Committed{}
}

func (h *hammer) OutcomeDecided(x *Exchange, o Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.decided[x]++
	if o != x.Outcome {
		h.t.Errorf("an exchange ended as %s was decided as %s, though every record is safe", x.Outcome, o)
	}
}

// client runs one request from its arrival to its end.
func (h *hammer) client(rng *rand.Rand, id string) {
	h.arrived.Add(1)
	a := Arrival{Key: scheduleKeys[rng.IntN(len(scheduleKeys))], Role: Consumer, Length: -1}
	a.Wait = []time.Duration{0, time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond}[rng.IntN(4)]
	if rng.IntN(2) == 0 {
		h.produce(rng, a, id)
	} else {
		h.consume(rng, a)
	}
}

func (h *hammer) produce(rng *rand.Rand, a Arrival, id string) {
	a.Role, a.ReadAhead = Producer, 1+rng.Int32N(64<<10)
	src := newSource(newLine())
	src.send(message(id), nil)
	if rng.IntN(10) > 0 { // otherwise it stays silent
		src.end()
		a.InHand = rng.IntN(2) == 0
	}
	done := make(chan struct{})
	src.answer = func(_ *Exchange, o Outcome, _ error) {
		if o == Delivered {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.confirmed[id] = true
		}
		close(done)
	}
	a.Source, a.Client.Agent = src, id
	src.request = h.broker.Arrive(a)
	defer h.disturb(rng, src.request)()
	src.request.Fill()
	h.attend(src.request, src.line, done)
}

func (h *hammer) consume(rng *rand.Rand, a Arrival) {
	sink := newSink(newLine())
	done := make(chan struct{})
	sink.over = func(o Outcome) {
		h.check1(sink, o)
		close(done)
	}
	a.Sink = sink
	r := h.broker.Arrive(a)
	defer h.disturb(rng, r)()
	h.attend(r, sink.line, done)
}

// attend does what the goroutine of a connection does, until done is closed or the request has ended unmatched.
func (h *hammer) attend(r *Request, l *line, done chan struct{}) {
	for {
		if x := r.Begun(); x != nil {
			carryOut(x)
		}
		if r.Unmatched() {
			return
		}
		select {
		case <-done:
			return
		case <-l.woken:
		}
	}
}

// check1 checks what one consumer has received.
func (h *hammer) check1(sink *sink, o Outcome) {
	if sink.begun == nil { // it was cut before
		return
	}
	id := sink.begun.Producer.Client.Agent
	want := message(id)
	switch {
	case o == Delivered && sink.ended && bytes.Equal(sink.flushed, want):
		h.mu.Lock()
		defer h.mu.Unlock()
		h.received[id]++
	case o == Delivered || !bytes.HasPrefix(want, sink.flushed):
		h.t.Errorf("%s ended as %s, the consumer has %s, want %s", id, o, brief(sink.flushed), brief(want))
	}
}

// disturb makes some clients hang up, and cuts some exchanges, while they wait or run. join waits for that.
func (h *hammer) disturb(rng *rand.Rand, r *Request) (join func()) {
	var wg sync.WaitGroup
	switch rng.IntN(8) {
	case 0:
		wg.Go(r.Leave)
	case 1:
		wg.Go(func() {
			for {
				h.broker.mu.Lock()
				x, state := r.exchange, r.state
				h.broker.mu.Unlock()
				if x != nil {
					x.Cut(Stalled)
					return
				}
				if state == ended {
					return
				}
				runtime.Gosched()
			}
		})
	}
	return wg.Wait
}

// meddle now and then deletes a channel or reads the state, and checks the invariants.
func (h *hammer) meddle(rng *rand.Rand) {
	k := scheduleKeys[rng.IntN(len(scheduleKeys))]
	switch rng.IntN(30) {
	case 0:
		h.broker.Delete(k)
	case 1:
		h.broker.DeleteNamespace(k.Namespace)
	case 2:
		h.broker.State()
		h.broker.Look(k)
	}
	if err := h.broker.check(); err != nil {
		h.t.Error("invariant: ", err)
	}
}

// verify compares what clients were told with what was recorded, once everything has ended.
func (h *hammer) verify() {
	h.t.Logf("%d requests, %d matched, ended as %v", h.arrived.Load(), h.matched, h.outcomes)
	if got := int64(len(h.ends)); got != h.arrived.Load() {
		h.t.Errorf("%d of %d requests ended", got, h.arrived.Load())
	}
	for r, n := range h.ends {
		if n != 1 {
			h.t.Errorf("a %s ended %d times", r.Role, n)
		}
	}
	if len(h.decided) != h.matched {
		h.t.Errorf("outcomes were decided for %d of %d exchanges", len(h.decided), h.matched)
	}
	for x, n := range h.decided {
		if n != 1 {
			h.t.Errorf("the outcome %s was decided %d times", x.Outcome, n)
		}
	}
	for id, n := range h.received {
		if n != 1 || !h.confirmed[id] {
			h.t.Errorf("%s was received %d times (confirmed: %v)", id, n, h.confirmed[id])
		}
	}
	if len(h.confirmed) != len(h.received) || len(h.confirmed) != h.outcomes[Delivered] || len(h.confirmed) == 0 {
		h.t.Errorf("%d confirmed, %d received, %d recorded as delivered", len(h.confirmed), len(h.received), h.outcomes[Delivered])
	}
	if len(h.open) > 0 || len(h.broker.State()) > 0 {
		h.t.Errorf("%d lives are still open, the state is %v", len(h.open), h.broker.State())
	}
	for _, o := range []Outcome{ConsumerLeft, Stalled, Silent, Deleted, TimedOut, Left} {
		if h.outcomes[o] == 0 {
			h.t.Errorf("nothing ended as %s: the test does too little", o)
		}
	}
}

// message returns the body that the producer id sends.
func message(id string) []byte {
	size := crc32.ChecksumIEEE([]byte(id)) % (8 << 10)
	if size%8 == 0 {
		size *= 32
	}
	return append([]byte(id), pattern(int(size))...)
}
