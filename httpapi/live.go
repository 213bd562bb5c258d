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
	// snapshotEvery is how often run takes a snapshot of the broker, for all viewers.
	snapshotEvery = time.Second
	// liveRows is how many of the waiting requests, and of the running exchanges, a view shows at most.
	liveRows = 1000
	// maxViewers bounds the viewers, whose connections relay nothing.
	maxViewers = 100
	// keepAlive is the longest time for which a viewer is sent nothing: proxies close silent connections.
	keepAlive = 15 * time.Second
	// viewerPatience is how long a write to a viewer may block before the viewer is dropped.
	viewerPatience = 10 * time.Second
)

// A live shows the waiting requests and the running exchanges to viewers. While there are viewers, one goroutine takes
// a snapshot once a second and makes one event of it for all of them. The goroutine of each viewer sends the newest
// event if it differs from the one before. A slow viewer misses events, and delays no other viewer.
type live struct {
	snapshot func(limit int) pipe.Snapshot
	every    time.Duration // snapshotEvery, unless a test changes it
	patience time.Duration // viewerPatience, unless a test changes it

	bodyTimeout time.Duration // for the body of a GET

	ctx  context.Context // done when all viewers must leave, and no more may join
	stop func()          // ends ctx

	mu      sync.Mutex // guards the rest
	viewers int
	event   []byte        // the newest event, as it is sent
	news    chan struct{} // closed when event shows something new, and then replaced
	alone   chan struct{} // closed when the last viewer has left; replaced when the next one joins
}

func newLive(snapshot func(limit int) pipe.Snapshot) *live {
	l := &live{snapshot: snapshot, every: snapshotEvery, patience: viewerPatience, news: make(chan struct{})}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// silence is what a viewer is sent while nothing is new: a comment, which it ignores.
var silence = []byte(": nothing new\n\n")

// join counts one more viewer, which must call leave, or returns why there can be no more.
func (l *live) join() *reply.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ctx.Err() != nil:
		return reply.ForOutcome(pipe.ShutDown, pipe.Producer)
	case l.viewers == maxViewers:
		return &reply.Error{Status: http.StatusServiceUnavailable, Code: string(pipe.Refused), RetryAfter: 5,
			Text: fmt.Sprintf("%d viewers are connected, and this server accepts no more", maxViewers)}
	}
	l.viewers++
	if l.viewers == 1 {
		first := newView(l.snapshot(liveRows), nil)
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

// run takes a snapshot at each tick and publishes it, until alone is closed.
func (l *live) run(last *view, alone <-chan struct{}) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-alone:
			return
		}
		v := newView(l.snapshot(liveRows), last)
		l.publish(v.event(), !v.same(last), alone)
		last = v
	}
}

// publish makes event the newest one, and wakes all viewers if it is news. A viewer that joins later begins with it. If
// alone has been closed meanwhile, publish does nothing: another run may have begun.
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

// newest returns the newest event, and a channel that is closed when there is something new.
func (l *live) newest() ([]byte, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.event, l.news
}

// show sends a viewer the newest event and each later one that is news, until ctx is done or sending fails.
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
	if e := r.DropBody(control, l.bodyTimeout); e != nil {
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
	// When ctx is done, end a write that waits for a viewer that is not reading.
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
