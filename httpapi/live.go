package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

const (
	// lookEvery is how often somebody looks at the broker for all viewers.
	lookEvery = time.Second
	// liveRows is how many of the requests that wait, and of the exchanges that run, are shown.
	liveRows = 1000
	// maxViewers bounds the connections that nobody relays anything on.
	maxViewers = 100
	// keepAlive is how long a viewer hears nothing, so that no proxy takes its connection for dead.
	keepAlive = 15 * time.Second
	// viewerPatience is how long a viewer may take to take what it is sent, before it is dropped.
	viewerPatience = 10 * time.Second
)

// A live shows who waits and what runs to viewers. While there are any, one goroutine looks once a second for
// all of them, and makes one event of what it sees. A viewer sends itself the newest event, if it shows anything
// that the last did not: one that is slow misses some, and holds up nobody.
type live struct {
	look     func(limit int) pipe.Snapshot
	every    time.Duration
	patience time.Duration // with a viewer that does not read

	bodyTimeout time.Duration // for the body of a GET

	ctx  context.Context // done when the viewers have to leave
	stop func()          // makes them, and lets in no more

	mu      sync.Mutex // guards the rest
	viewers int
	event   []byte        // the newest, as it is sent
	news    chan struct{} // closed when it shows something new, and then replaced
	alone   chan struct{} // closed when the last viewer has left; another one for the next first
}

func newLive(look func(limit int) pipe.Snapshot) *live {
	l := &live{look: look, every: lookEvery, patience: viewerPatience, news: make(chan struct{})}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// silence is what a viewer hears while nothing is new: a comment, which it ignores.
var silence = []byte(": nothing new\n\n")

// join lets one more viewer in, who must leave, or says why it cannot.
func (l *live) join() *reply.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ctx.Err() != nil:
		return reply.ForOutcome(pipe.ShutDown, pipe.Producer)
	case l.viewers == maxViewers:
		return &reply.Error{Status: http.StatusServiceUnavailable, Code: string(pipe.Refused), RetryAfter: 5,
			Text: fmt.Sprintf("%d others are looking on, and this server lets in no more", maxViewers)}
	}
	l.viewers++
	if l.viewers == 1 {
		first := newView(l.look(liveRows), nil)
		l.event, l.alone = first.event(), make(chan struct{})
		go l.run(first, l.alone)
	}
	return nil
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.viewers--
	if l.viewers == 0 {
		close(l.alone)
	}
}

// run looks again and again, until alone is closed.
func (l *live) run(last *view, alone <-chan struct{}) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-alone:
			return
		}
		v := newView(l.look(liveRows), last)
		l.publish(v.event(), !v.same(last), alone)
		last = v
	}
}

// publish makes event the newest, and sends it to everybody if that is news. Who comes later gets it anyway. It
// may be too late for all of that: alone is closed, and there may be another run already.
func (l *live) publish(event []byte, news bool, alone <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.viewers == 0 || l.alone != alone {
		return
	}
	l.event = event
	if news {
		close(l.news)
		l.news = make(chan struct{})
	}
}

// newest returns the newest event, and what is closed when there is something new.
func (l *live) newest() ([]byte, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.event, l.news
}

// show sends a viewer what there is to see, until ctx is done or sending fails.
func (l *live) show(ctx context.Context, send func([]byte) error) {
	event, news := l.newest()
	for send(event) == nil {
		select {
		case <-news:
			event, news = l.newest()
		case <-time.After(keepAlive):
			event = silence
		case <-ctx.Done():
			return
		}
	}
}

// serve sends a viewer the waiting requests and the running exchanges, as server-sent events, until it hangs up.
func (l *live) serve(w http.ResponseWriter, r *request) {
	control := http.NewResponseController(w)
	if e := r.DropBody(l.bodyTimeout); e != nil {
		r.Refuse(w, e)
		return
	}
	if e := l.join(); e != nil {
		r.Fail(w, e)
		return
	}
	defer l.leave()
	ctx, done := context.WithCancel(l.ctx)
	defer done()
	defer r.OnHangUp(done)()
	// Do not wait for a viewer that is not reading.
	defer context.AfterFunc(ctx, func() { control.SetWriteDeadline(time.Unix(1, 0)) })()

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
	l.show(ctx, func(event []byte) error {
		control.SetWriteDeadline(time.Now().Add(l.patience))
		if ctx.Err() != nil {
			return ctx.Err() // the deadline of AfterFunc may just have been replaced
		}
		if _, err := w.Write(event); err != nil {
			return err
		}
		return control.Flush()
	})
}
