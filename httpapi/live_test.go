package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"httpipe/pipe"
)

// The viewers, and the events that they get: in a synctest bubble, where time is exact; over real connections in
// live_http_test.go.

// A stage is a broker in a bubble, which viewers look at.
type stage struct {
	t      *testing.T
	broker *pipe.Broker
	live   *live
	began  time.Time
}

// onStage runs f in a bubble, which fails the test if a goroutine stays behind.
func onStage(t *testing.T, f func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ids := 0
		broker := pipe.New(pipe.Config{NewID: func() string { ids++; return fmt.Sprint("x", ids) }})
		s := &stage{t: t, broker: broker, live: newLive(broker.Snapshot), began: time.Now()}
		f(s)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.broker.Shutdown(ctx)
		time.Sleep(time.Minute) // for slow viewers
	})
}

// at lets time pass until so long after the beginning, and all that happens then happen.
func (s *stage) at(d time.Duration) {
	time.Sleep(time.Until(s.began.Add(d)))
	synctest.Wait()
}

// A viewer keeps what it is sent, a line for each: when, and what.
type viewer struct {
	s     *stage
	delay time.Duration // how long it takes to take something
	leave func()

	mu    sync.Mutex // guards the rest
	lines []string
	view  view // the last
}

// views lets a viewer in, that takes its time.
func (s *stage) views(delay time.Duration) *viewer {
	s.t.Helper()
	if f := s.live.join(); f != nil {
		s.t.Fatal(f)
	}
	ctx, leave := context.WithCancel(s.live.ctx)
	v := &viewer{s: s, delay: delay, leave: leave}
	go func() {
		defer s.live.leave()
		s.live.show(ctx, v.take)
	}()
	synctest.Wait()
	return v
}

func (v *viewer) take(event []byte) error {
	v.mu.Lock()
	line := fmt.Sprint(time.Since(v.s.began), " ")
	if data, ok := strings.CutPrefix(string(event), "data: "); ok {
		v.view = view{}
		if err := json.Unmarshal([]byte(data), &v.view); err != nil {
			v.s.t.Error(err)
		}
		line += v.view.summary()
	} else {
		line += strings.TrimSpace(string(event))
	}
	v.lines = append(v.lines, line)
	v.mu.Unlock()
	time.Sleep(v.delay)
	return nil
}

// summary is the content of a view: the waiting clients, by their agents, and the running exchanges, with bytes and rate.
func (v *view) summary() string {
	var words []string
	for _, row := range v.Waiting {
		words = append(words, row.Agent)
	}
	for _, row := range v.Running {
		words = append(words, fmt.Sprintf("%s:%d at %d/s", row.ID, row.Bytes, row.BytesPerSecond))
	}
	return fmt.Sprintf("%d+%d %d [%s]", v.Producers, v.Consumers, v.Exchanges, strings.Join(words, " "))
}

// last returns the last view that the viewer was sent.
func (v *viewer) last() view {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.view
}

// got asserts what the viewer was sent since it was last asked.
func (v *viewer) got(want ...string) {
	v.s.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Equal(v.lines, want) {
		v.s.t.Errorf("the viewer was sent\n\t%q, want\n\t%q", v.lines, want)
	}
	v.lines = nil
}

// consume starts a consumer whose agent is its name, and which leaves on request.
func (s *stage) consume(name string) *pipe.Request {
	return s.broker.Arrive(pipe.Arrival{Key: keyHere, Role: pipe.Consumer, Wait: pipe.Forever, Sink: nowhere{},
		Client: pipe.Client{Addr: "192.0.2.1", Agent: name}.Identified("", "s")})
}

// produce lets a producer in, whose body is of that length, and comes as it is written.
func (s *stage) produce(name string, length int64) io.WriteCloser {
	body, feed := io.Pipe()
	r := s.broker.Arrive(pipe.Arrival{Key: keyHere, Role: pipe.Producer, Wait: pipe.Forever, Client: pipe.Client{Addr: "192.0.2.2", Agent: name}.Identified("", "t"),
		Source: source{body}, Length: length, ReadAhead: 1 << 10})
	go func() {
		r.Fill()
		if x := r.Begun(); x != nil {
			x.Relay()
		}
	}()
	return feed
}

// A source is a producer's connection. It is woken only to end: its consumer waits already when it comes.
type source struct{ *io.PipeReader }

func (source) Alive() bool                                { return true }
func (source) BothAlive(pipe.Sink) (bool, bool)           { return true, true }
func (s source) Wake()                                    { s.Close() }
func (source) Pause()                                     {}
func (source) Answer(*pipe.Exchange, pipe.Outcome, error) {}

// nowhere is a sink that takes everything.
type nowhere struct{}

func (nowhere) Begin(*pipe.Exchange)                {}
func (nowhere) Write(p []byte, _ bool) (int, error) { return len(p), nil }
func (nowhere) Alive() bool                         { return true }
func (nowhere) Wake()                               {}
func (nowhere) Interrupt()                          {}

// There is an event when something has changed, at the next second, and a comment when nothing has for long.
func TestLiveEvents(t *testing.T) {
	onStage(t, func(s *stage) {
		v := s.views(0)
		v.got("0s 0+0 0 []")
		s.at(300 * time.Millisecond)
		c1 := s.consume("c1")
		s.at(900 * time.Millisecond)
		v.got()
		s.at(time.Second)
		v.got("1s 0+1 0 [c1]")
		s.at(15 * time.Second)
		v.got()
		s.at(46 * time.Second)
		v.got("16s : nothing new", "31s : nothing new", "46s : nothing new")
		c1.Leave()
		s.consume("c2")
		s.at(47 * time.Second)
		v.got("47s 0+1 0 [c2]")
		if at := v.last().At; at != pipe.Timestamp(s.began.Add(47*time.Second)) {
			t.Errorf("the view is of %s", at)
		}
		row := v.last().Waiting[0]
		if want := (waitingRow{"n", "c", "consumer", pipe.Timestamp(s.began.Add(46 * time.Second)), "192.0.2.1", "c2", "s", ""}); row != want {
			t.Errorf("shown is %+v, want %+v", row, want)
		}
		v.leave()
	})
}

// A rate is what came since the last look; a length, if there is one, gives progress and the time left.
func TestLiveRates(t *testing.T) {
	onStage(t, func(s *stage) {
		feed := s.produce("p", 10_000)
		io.WriteString(feed, strings.Repeat("x", 1000))
		s.consume("c")
		s.at(4 * time.Second)
		v := s.views(0)
		v.got("4s 0+0 1 [x1:1000 at 250/s]") // since it began
		io.WriteString(feed, strings.Repeat("x", 3000))
		s.at(5 * time.Second)
		v.got("5s 0+0 1 [x1:4000 at 3000/s]")
		want := exchangeRow{ID: "x1", Namespace: "n", Channel: "c", MatchedAt: pipe.Timestamp(s.began), Bytes: 4000, BytesPerSecond: 3000, Length: 10_000,
			Progress: 0.4, RemainingMs: 2000, ProducerAddr: "192.0.2.2", ConsumerAddr: "192.0.2.1", ProducerAgent: "p", ConsumerAgent: "c", ProducerSubject: "t", ConsumerSubject: "s"}
		if row := v.last().Running[0]; row != want {
			t.Errorf("shown is\n\t%+v, want\n\t%+v", row, want)
		}
		s.at(6 * time.Second)
		v.got("6s 0+0 1 [x1:4000 at 0/s]")
		s.at(8 * time.Second)
		v.got() // it still pauses
		feed.Close()
		s.at(9 * time.Second)
		v.got("9s 0+0 0 []")
		v.leave()
	})
}

// What is not known is left out.
func TestLiveWithoutALength(t *testing.T) {
	for _, test := range []struct {
		length, bytes int64
		want          string
	}{
		{-1, 5, `"bytes":5,"bytes_per_second":5,"producer_addr"`},
		{0, 0, `"bytes":0,"bytes_per_second":0,"length":0,"producer_addr"`},
		{5e9, 0, `"bytes":0,"bytes_per_second":0,"length":5000000000,"progress":0,"producer_addr"`},
		{5e9, 1e9, `"bytes":1000000000,"bytes_per_second":1000000000,"length":5000000000,"progress":0.2,"remaining_ms":4000,"producer_addr"`},
	} {
		row := exchangeRow{Length: known(test.length), Bytes: test.bytes}
		row.rate(test.bytes, time.Millisecond) // which is too short a time to make a rate of
		got, err := json.Marshal(row)
		if err != nil || !strings.Contains(string(got), test.want) {
			t.Errorf("%d of %d bytes are shown as %s, %v; want %s", test.bytes, test.length, got, err, test.want)
		}
	}
}

// A slow viewer misses events, and no other viewer does.
func TestASlowViewer(t *testing.T) {
	onStage(t, func(s *stage) {
		slow, quick := s.views(2400*time.Millisecond), s.views(0)
		for i := range 6 {
			s.consume(fmt.Sprint("c", i))
			s.at(time.Duration(i+1) * time.Second)
		}
		quick.got("0s 0+0 0 []", "1s 0+1 0 [c0]", "2s 0+2 0 [c0 c1]", "3s 0+3 0 [c0 c1 c2]",
			"4s 0+4 0 [c0 c1 c2 c3]", "5s 0+5 0 [c0 c1 c2 c3 c4]", "6s 0+6 0 [c0 c1 c2 c3 c4 c5]")
		slow.got("0s 0+0 0 []", "2.4s 0+2 0 [c0 c1]", "4.8s 0+4 0 [c0 c1 c2 c3]")
		slow.leave()
		quick.leave()
	})
}

// A later viewer gets the last snapshot at once. One that comes after all others have left gets a new one.
func TestLateViewers(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.views(0)
		s.consume("c1")
		s.at(10500 * time.Millisecond)
		late := s.views(0)
		late.got("10.5s 0+1 0 [c1]")
		if at := late.last().At; at != pipe.Timestamp(s.began.Add(10*time.Second)) {
			t.Errorf("the view is of %s, though nothing was new then", at)
		}
		first.leave()
		s.at(11 * time.Second)
		late.leave()
		s.consume("c2")
		s.at(time.Minute)
		late.got()
		again := s.views(0)
		again.got("1m0s 0+2 0 [c1 c2]")
		again.leave()
	})
}

// No snapshot is taken while there is no viewer.
func TestNoSnapshotsWithoutViewers(t *testing.T) {
	onStage(t, func(s *stage) {
		looks := 0
		s.live.snapshot = func(limit int) pipe.Snapshot { looks++; return s.broker.Snapshot(limit) }
		v, other := s.views(0), s.views(0)
		s.at(2 * time.Second)
		if looks != 3 {
			t.Errorf("%d looks in 2 seconds for two viewers, want 3", looks)
		}
		v.leave()
		other.leave()
		s.at(time.Hour)
		if looks != 3 {
			t.Errorf("%d looks in an hour without viewers", looks-3)
		}
	})
}

func TestViewersAreBounded(t *testing.T) {
	onStage(t, func(s *stage) {
		v := s.views(0)
		for range maxViewers - 1 {
			if f := s.live.join(); f != nil {
				t.Fatal(f)
			}
		}
		if f := s.live.join(); f == nil || f.Status != 503 || f.Code != "refused" || f.RetryAfter == 0 {
			t.Errorf("one too many is told %v", f)
		}
		v.leave()
		synctest.Wait()
		if f := s.live.join(); f != nil {
			t.Errorf("when one has left, another is told %v", f)
		}
		for range maxViewers {
			s.live.leave()
		}
	})
}

func TestLiveStops(t *testing.T) {
	onStage(t, func(s *stage) {
		s.views(0)
		s.live.stop()
		synctest.Wait()
		if s.live.viewers > 0 {
			t.Errorf("%d viewers look on", s.live.viewers)
		}
		if f := s.live.join(); f == nil || f.Code != "shut_down" {
			t.Errorf("another viewer is told %v", f)
		}
	})
}

// What is shown is bounded, and says how much is missing.
func TestLiveRowsAreBounded(t *testing.T) {
	onStage(t, func(s *stage) {
		for range liveRows + 7 {
			s.consume(strings.Repeat("agent ", 100))
		}
		v := s.views(0)
		got := v.last()
		if len(got.Waiting) != liveRows || got.WaitingOmitted != 7 || got.Consumers != liveRows+7 || got.RunningOmitted != 0 {
			t.Errorf("%d rows, %d omitted, of %d", len(got.Waiting), got.WaitingOmitted, got.Consumers)
		}
		if n := len(got.Waiting[0].Agent); n != 256 {
			t.Errorf("an agent of %d characters is shown", n)
		}
		v.leave()
	})
}
