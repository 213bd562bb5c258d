package pipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A schedule applies the same steps to a world and a model, and compares them after each step.
type schedule struct {
	*world
	model  *model
	script []byte // the steps to come
	did    []note

	peersOf map[*mRequest]*peer
	cutDown func() // makes the shutdown cut; nil before the shutdown
	down    func() bool
}

// seedOf returns a seed for a random test: PIPE_SEED, or a new one.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	if s := os.Getenv("PIPE_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal("PIPE_SEED: ", err)
		}
		return seed
	}
	return uint64(time.Now().UnixNano())
}

// TestSchedules compares the broker with the model for 100,000 random steps.
func TestSchedules(t *testing.T) {
	seed := seedOf(t)
	t.Logf("PIPE_SEED=%d", seed)
	ends := make(map[Outcome]int)
	for steps, i := 0, uint64(0); steps < 100_000; i++ {
		rng := rand.New(rand.NewPCG(seed, i))
		script := make([]byte, 600)
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		s := runSchedule(t, script)
		if t.Failed() {
			t.Fatalf("in schedule %d", i)
		}
		steps += len(s.did)
		for _, p := range s.peers {
			ends[p.outcome]++
		}
	}
	for _, o := range Outcomes {
		if ends[o] == 0 && o != Refused && o != Interrupted {
			t.Errorf("nothing ended as %s: the schedules cover too little", o)
		}
	}
}

func FuzzSchedule(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("a producer, a consumer, and more"))
	rng := rand.NewChaCha8([32]byte{1})
	for range 4 {
		script := make([]byte, 400)
		rng.Read(script)
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) { runSchedule(t, script[:min(len(script), 2000)]) })
}

// runSchedule runs the steps that script encodes.
func runSchedule(t *testing.T, script []byte) (s *schedule) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s = newSchedule(t, script)
		for len(s.script) > 0 && !t.Failed() {
			s.step()
			s.compare()
		}
		if t.Failed() {
			t.Log("steps:", s.did)
		}
		s.world.close()
		if s.down != nil && !s.down() {
			t.Error("Shutdown has not returned")
		}
	})
	return s
}

func newSchedule(t *testing.T, script []byte) *schedule {
	s := &schedule{script: script, peersOf: make(map[*mRequest]*peer)}
	s.model = &model{lines: make(map[int64][]string)}
	flags := s.next()
	s.model.strict = flags&1 != 0
	if flags&2 != 0 {
		s.model.silence = 3 * time.Second
	}
	s.world = newWorld(t, Config{Strict: s.model.strict, SilenceTimeout: s.model.silence})
	return s
}

// next returns the next byte of the script, 0 after the last.
func (s *schedule) next() int {
	if len(s.script) == 0 {
		return 0
	}
	b := s.script[0]
	s.script = s.script[1:]
	return int(b)
}

// A note describes a step. It is formatted only if the test fails.
type note struct {
	format string
	args   []any
}

func (n note) String() string { return "\n\t" + fmt.Sprintf(n.format, n.args...) }

func (s *schedule) note(format string, args ...any) {
	s.did = append(s.did, note{"%v " + format, append([]any{s.model.now}, args...)})
}

// compare fails the test unless world and model are in the same state and have recorded the same events.
func (s *schedule) compare() {
	s.t.Helper()
	if got, want := s.state(), s.model.describe(); got != want {
		s.t.Errorf("the state is\n%s, want\n%s", got, want)
	}
	if got := s.stories(); !maps.EqualFunc(got, s.model.lines, slices.Equal) {
		s.t.Errorf("the recorder was told\n\t%v, want\n\t%v", got, s.model.lines)
	}
	clear(s.model.lines)
	s.model.requests = slices.DeleteFunc(s.model.requests, func(r *mRequest) bool {
		p := s.peersOf[r]
		if p.answered.Load() != (r.state == ended) || p.outcome != r.outcome {
			s.t.Errorf("%s got %q, want %q", r.name, p.outcome, r.outcome)
		}
		if r.state == ended && !bytes.Equal(p.sink.written, stretch(0, r.received)) {
			s.t.Errorf("%s received %v, want %d bytes", r.name, p.sink.written, r.received)
		}
		return r.state == ended
	})
	s.compareNames()
}

// stories returns the events recorded since the last call, by life: events of different lives at the same instant
// may come in any order.
func (s *schedule) stories() map[int64][]string {
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	stories := make(map[int64][]string)
	for i, life := range s.journal.lives {
		stories[life] = append(stories[life], s.journal.lines[i])
	}
	s.journal.lines, s.journal.lives = nil, nil
	return stories
}

// state describes the waiting and running requests, channel by channel.
func (s *schedule) state() string {
	var lines []string
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	for c := range s.broker.channelsLocked() {
		line := fmt.Sprint(c.Key, " ", c.ID)
		for _, q := range []*queue{&c.producers, &c.consumers} {
			for r := range q.all() {
				line += " " + r.Client.Agent
			}
		}
		if x := c.running; x != nil {
			line += fmt.Sprintf(" running %s %s %d", x.Producer.Client.Agent, x.Consumer.Client.Agent, x.Written())
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (m *model) describe() string {
	var lines []string
	for _, c := range m.channels {
		if c.closed != "" {
			continue
		}
		line := fmt.Sprint(c.key, " ", c.life)
		for _, r := range append(slices.Clone(c.producers), c.consumers...) {
			line += " " + r.name
		}
		if x := c.running; x != nil {
			line += fmt.Sprintf(" running %s %s %d", x.producer.name, x.consumer.name, x.written)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// compareNames compares the broker's answers about its channels.
func (s *schedule) compareNames() {
	s.t.Helper()
	want := make(map[string][]string)
	for _, k := range scheduleKeys {
		producers, consumers, exists := s.broker.Look(k)
		c := s.model.at(k)
		if exists != (c != nil) || exists && (producers != len(c.producers) || consumers != len(c.consumers)) {
			s.t.Errorf("Look(%v) = %d, %d, %v", k, producers, consumers, exists)
		}
		if c != nil {
			want[k.Namespace] = append(want[k.Namespace], k.Channel)
		}
	}
	if got := s.broker.State(); !maps.EqualFunc(got, want, slices.Equal) {
		s.t.Errorf("State = %v, want %v", got, want)
	}
}

var (
	scheduleKeys = []Key{{"a", "1"}, {"a", "2"}, {"b", "1"}}
	errNoDisk    = errors.New("disk full")
	bodyEnds     = []error{nil, io.EOF, io.EOF, io.EOF, errors.New("reset"), TooLarge}
)
