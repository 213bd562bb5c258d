package pipe

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestTopicHammer runs many publishers and subscribers at the same time, in real time, on two topics that are deleted now and
// then. Then it compares what each subscriber took with what was published.
func TestTopicHammer(t *testing.T) {
	seed := seedOf(t)
	t.Logf("PIPE_SEED=%d", seed)
	h := &topicHammer{published: make(map[Key][]string)}
	var ids atomic.Int64
	h.broker = New(Config{NewID: func() string { return fmt.Sprintf("%09d", ids.Add(1)) }, Recorder: h, MessageTimeout: 20 * time.Millisecond})
	var clients sync.WaitGroup
	for i := range uint64(16) {
		rng := rand.New(rand.NewPCG(seed, i))
		clients.Go(func() {
			for range 150 {
				h.subscriber(t, rng, &clients)
				h.publisher(t, rng)
				if rng.IntN(100) == 0 {
					h.broker.DeleteTopic(h.key(rng))
				}
			}
		})
	}
	stop := time.AfterFunc(time.Minute, func() { panic("TestTopicHammer hangs") })
	clients.Wait()
	h.broker.Shutdown(t.Context())
	stop.Stop()
	if err := h.broker.check(); err != nil {
		t.Error(err)
	}
	h.verify(t)
}

type topicHammer struct {
	Discard
	broker *Broker

	published map[Key][]string // ids, in order; guarded by Broker.mu
	delivered int              // the same
	taken     atomic.Int64     // messages that readers took whole

	mu      sync.Mutex
	readers []*hammerReader
}

func (h *topicHammer) PublicationAccepted(p *Publication) Commit {
	h.published[p.Key] = append(h.published[p.Key], p.ID)
	return Committed{}
}

func (h *topicHammer) PublicationEnded(p *Publication) Commit {
	h.delivered += p.Delivered
	return Committed{}
}

func (h *topicHammer) key(rng *rand.Rand) Key { return Key{"hammer", fmt.Sprint(rng.IntN(2))} }

func (h *topicHammer) publisher(t *testing.T, rng *rand.Rand) {
	p := h.broker.NewPublication(Arrival{Key: h.key(rng), Length: 7, Wait: time.Millisecond}, strings.NewReader("message"), rng.IntN(3)*rng.IntN(9))
	defer p.Release()
	if err := p.Read(); err != nil {
		t.Error(err)
	}
	if o, err := p.Publish(); err != nil || o != Published && o != TimedOut && o != Deleted {
		t.Errorf("%s, %v", o, err)
	}
}

func (h *topicHammer) subscriber(t *testing.T, rng *rand.Rand, clients *sync.WaitGroup) {
	r := &hammerReader{rng: rand.New(rand.NewPCG(rng.Uint64(), 1)), taken: &h.taken, interrupt: make(chan struct{}, 1), ended: make(chan struct{})}
	r.s = &Subscription{Key: h.key(rng), Wait: Forever, Once: rng.IntN(4) == 0, To: r}
	h.mu.Lock()
	h.readers = append(h.readers, r)
	h.mu.Unlock()
	if !h.broker.Subscribe(r.s) {
		t.Errorf("not subscribed: %s", r.s.Outcome)
		return
	}
	pause := time.Duration(rng.IntN(20)) * time.Millisecond
	clients.Go(func() {
		select {
		case <-time.After(pause):
			r.s.Leave()
			<-r.ended
		case <-r.ended:
		}
	})
}

// verify checks that each history is a run of the topic's, and that all numbers agree.
func (h *topicHammer) verify(t *testing.T) {
	messages := 0
	for _, r := range h.readers {
		s := r.s
		messages += int(s.Messages)
		if len(r.history) != int(s.Messages) || s.Once && len(r.history) > 1 {
			t.Errorf("took %q, the subscription says %d", r.history, s.Messages)
		}
		if len(r.history) == 0 {
			continue
		}
		all := h.published[s.Key]
		first, _ := slices.BinarySearch(all, r.history[0])
		if run := all[first:min(first+len(r.history), len(all))]; !slices.Equal(run, r.history) || s.First != run[0] || s.Last != run[len(run)-1] || r.history[0] < s.ID {
			t.Errorf("took %q (%s to %s), published were %q", r.history, s.First, s.Last, run)
		}
	}
	if h.delivered != messages || messages != int(h.taken.Load()) || messages == 0 {
		t.Errorf("%d delivered, %d in the subscriptions, %d taken", h.delivered, messages, h.taken.Load())
	}
	if n := h.broker.MessageMemory(); n != 0 {
		t.Errorf("%d bytes of messages are left", n)
	}
}

// A hammerReader is a connection that is sometimes slow, or dead.
type hammerReader struct {
	s         *Subscription
	rng       *rand.Rand
	taken     *atomic.Int64
	history   []string // the ids that it took; not guarded, so that the race detector sees calls that overlap
	interrupt chan struct{}
	ended     chan struct{}
}

func (r *hammerReader) Offer(p *Publication) (bool, error) {
	switch r.rng.IntN(50) {
	case 0:
		return false, errors.New("broken pipe")
	case 1, 2, 3:
		return false, nil
	}
	r.take(p)
	return true, nil
}

func (r *hammerReader) take(p *Publication) {
	r.history = append(r.history, p.ID)
	r.taken.Add(1)
}

func (r *hammerReader) Finish(p *Publication) error {
	pause := time.Duration(r.rng.IntN(3)) * time.Millisecond
	if r.rng.IntN(10) == 0 {
		pause = time.Hour
	}
	select {
	case <-time.After(pause):
		r.take(p)
		return nil
	case <-r.interrupt:
		return errors.New("interrupted")
	}
}

func (r *hammerReader) Acknowledged() int64 { return 0 }

func (r *hammerReader) Interrupt() {
	select {
	case r.interrupt <- struct{}{}:
	default:
	}
}

func (r *hammerReader) Ended(Outcome) { close(r.ended) }
