package httpapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// count is how many look on.
func (l *live) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.viewers
}

// A liveStream is what a viewer reads.
type liveStream struct {
	t  *testing.T
	in *bufio.Reader
}

// next reads the next event.
func (s *liveStream) next() (v view) {
	s.t.Helper()
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			s.t.Fatal("no event: ", err)
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			s.t.Fatal(err)
		}
		return v
	}
}

// until reads events until one is so.
func (s *liveStream) until(so func(view) bool) view {
	s.t.Helper()
	for {
		if v := s.next(); so(v) {
			return v
		}
	}
}

func TestLiveOverHTTP(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, method := range []string{"HEAD", "POST", "DELETE"} {
		if a := r.dial().Request(method, "/audit/live").Answer().Failed(405, "method"); a.Header.Get("Allow") != "GET, OPTIONS" {
			t.Errorf("%s: allowed is %q", method, a.Header.Get("Allow"))
		}
	}
	head := r.dial().Get("/audit/live", "Accept-Encoding: gzip, br", withKey).Head()
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store, no-transform",
		"X-Accel-Buffering": "no", "Content-Encoding": ""} {
		if got := head.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	viewer := &liveStream{t, bufio.NewReader(head.Body)}
	if v := viewer.next(); len(v.Waiting) > 0 || len(v.Running) > 0 {
		t.Errorf("at first there is %+v", v)
	}
	r.dial().Get(here, "User-Agent: taker/2")
	v := viewer.next()
	if len(v.Waiting) != 1 || v.Consumers != 1 {
		t.Fatalf("with a consumer there is %+v", v)
	}
	row := v.Waiting[0]
	if row.ArrivedAt > v.At || row.ArrivedAt == "" {
		t.Errorf("it came at %q, and the view is of %q", row.ArrivedAt, v.At)
	}
	row.ArrivedAt = ""
	if want := (waitingRow{Namespace: "n", Channel: "c", Role: "consumer", Addr: "127.0.0.1", Agent: "taker/2"}); row != want {
		t.Errorf("shown is %+v, want %+v", row, want)
	}
	p := r.dial().Request("POST", here, length(20), "User-Agent: sender/1").Say("hello")
	v = viewer.until(func(v view) bool { return len(v.Running) == 1 })
	x := v.Running[0]
	if x.Bytes != 5 || x.Length != 20 || x.Progress != 0.25 || x.ProducerAgent != "sender/1" || x.ConsumerAgent != "taker/2" || len(v.Waiting) > 0 {
		t.Errorf("of an exchange there is %+v", v)
	}
	p.Say("hello, hello, o")
	if id := p.Answer().Is(200).Header.Get(reply.HeaderExchange); id != x.ID {
		t.Errorf("shown is exchange %s, and it is %s", x.ID, id)
	}
	viewer.until(func(v view) bool { return v.Exchanges == 0 && len(v.Running) == 0 })
}

// It shows all channels, so it takes a token for all of them, which a browser's EventSource can only put in the URL.
func TestLiveTakesAudit(t *testing.T) {
	t.Parallel()
	r := start(t, guarded(t))
	r.dial().Get("/audit/live").Answer().Failed(401, "unauthorized")
	for _, grants := range []string{"look:*/*", "audit:n/*", "audit:*/c"} {
		a := r.dial().Get("/audit/live", bearer(sign(t, secret, grants))).Answer().Failed(403, "forbidden")
		if !strings.Contains(a.Text, "audit on */*") {
			t.Errorf("with %s: %s", grants, a.Text)
		}
	}
	token := sign(t, secret, "audit:*/*")
	reads(t, r.dial().Get("/audit/live", bearer(token)).Head().Body, "data: ")
	reads(t, r.dial().Get("/audit/live?token="+token).Head().Body, "data: ")
	reads(t, r.dial().Get("/audit/live", basic("", secret)).Head().Body, "data: ")
}

// A viewer that hangs up is gone at once, and takes along what it needed.
func TestDeadViewers(t *testing.T) {
	r := start(t)
	r.dial().Get("/healthz").Answer().Is(200)
	before := runtime.NumGoroutine()
	for name, hangUp := range map[string]func(*client){"FIN": (*client).HangUp, "RST": (*client).Reset} {
		var viewers []*client
		for range 20 {
			c := r.connect().Get("/audit/live", withKey)
			reads(t, c.Head().Body, "data: ")
			viewers = append(viewers, c)
		}
		if n := r.live.count(); n != len(viewers) {
			t.Fatalf("%d viewers look on", n)
		}
		for _, c := range viewers {
			hangUp(c)
		}
		eventually(t, atOnce, fmt.Sprintf("after a %s no viewer is left", name), func() bool { return r.live.count() == 0 })
	}
	eventually(t, patience, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// crowd lets so many wait that an event is large, and an exchange run on, so that each look shows something new.
// It returns how many looks there have been.
func crowd(r *testServer) *atomic.Int64 {
	for i := range liveRows {
		r.broker.Arrive(pipe.Arrival{Key: pipe.Key{Namespace: strings.Repeat("n", 255), Channel: fmt.Sprint(i)}, Role: pipe.Consumer, Sink: nowhere{},
			Wait: pipe.Forever, Client: pipe.Client{Agent: strings.Repeat("a", 256)}})
	}
	r.live.every = time.Millisecond // before the first viewer
	var looks atomic.Int64
	r.live.snapshot = func(limit int) pipe.Snapshot {
		looks.Add(1)
		return r.broker.Snapshot(limit)
	}
	p := r.dial().Request("POST", here, length(1<<40))
	go func() {
		for range time.Tick(time.Millisecond) {
			if _, err := p.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
	go io.Copy(io.Discard, r.dial().Get(here).Head().Body)
	return &looks
}

// A viewer that reads nothing is dropped, and neither the relay nor another viewer waits for it.
func TestAViewerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.live.patience = time.Second
	crowd(r)
	deaf := r.dial()
	deaf.SetReadBuffer(4 << 10)
	deaf.Get("/audit/live", withKey)
	quick := &liveStream{t, bufio.NewReader(r.dial().Get("/audit/live", withKey).Head().Body)}
	quick.next()
	dropped := make(chan struct{})
	go func() {
		defer close(dropped)
		eventually(t, patience, "one of them is dropped", func() bool { return r.live.count() == 1 })
	}()
	for more := true; more; {
		select {
		case <-dropped:
			more = false
		default:
			quick.next()
			p := r.dial().Post("/channels/n/other", "hello")
			r.dial().Get("/channels/n/other").Answer().Got("hello")
			p.Answer().Is(200)
		}
	}
	quick.next()
}

// At a stop viewers have to leave, also one that takes nothing.
func TestShutdownEndsViewers(t *testing.T) {
	t.Parallel()
	r := start(t)
	looks := crowd(r)
	deaf := r.dial()
	deaf.SetReadBuffer(4 << 10)
	deaf.Get("/audit/live", withKey)
	viewer := r.dial().Get("/audit/live", withKey).Head().Body
	go io.Copy(io.Discard, viewer)
	eventually(t, patience, "both look on", func() bool { return r.live.count() == 2 })
	eventually(t, patience, "more is sent than any buffer holds", func() bool { return looks.Load() > 25 })
	wait := r.shutDown(time.Millisecond)
	eventually(t, noise, "no viewer is left", func() bool { return r.live.count() == 0 })
	if took := wait(); took > noise {
		t.Errorf("the stop took %v", took)
	}
}
