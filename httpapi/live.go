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
	// snapshotEvery is how often a snapshot of the broker is taken for all viewers.
	snapshotEvery = time.Second
	// liveRows is the most waiting requests, and the most running exchanges, that are shown.
	liveRows = 1000
	// maxViewers bounds the connections that are open for viewers.
	maxViewers = 100
	// keepAlive is the longest time without data on a viewer's connection, so that no proxy closes it as unused.
	keepAlive = 15 * time.Second
	// viewerPatience is how long a viewer may leave events unread before its connection is closed.
	viewerPatience = 10 * time.Second
)

// A live is the live view: it shows waiting requests and running exchanges to viewers. While there are viewers, one
// goroutine takes a snapshot each second for all of them and makes one event of it. The handler of each viewer sends the
// newest event if it differs from the last one, so a slow viewer skips events, and delays no other.
type live struct {
	snapshot func(limit int) pipe.Snapshot
	every    time.Duration // snapshotEvery, unless a test changes it
	patience time.Duration // viewerPatience, unless a test changes it

	node        string        // the name of this node; "": there is only one
	bodyTimeout time.Duration // for the body of a GET

	ctx  context.Context // done when the viewers must be disconnected
	stop func()          // disconnects them, and admits no more

	mu      sync.Mutex // guards the rest
	viewers int
	event   []byte        // the newest event, as it is sent
	news    chan struct{} // closed, and replaced, when event shows something new
	alone   chan struct{} // closed when the last viewer has left; the next first viewer gets another one
}

func newLive(snapshot func(limit int) pipe.Snapshot) *live {
	l := &live{snapshot: snapshot, every: snapshotEvery, patience: viewerPatience, news: make(chan struct{})}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// silence is sent while nothing is new: a comment, which the viewer ignores.
var silence = []byte(": nothing new\n\n")

// join admits one more viewer, which must leave, or returns why it cannot.
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
		first := l.view(nil)
		l.event, l.alone = first.event(), make(chan struct{})
		go l.run(first, l.alone)
	}
	return nil
}

// view returns the view of a new snapshot.
func (l *live) view(last *view) *view {
	v := newView(l.snapshot(liveRows), last)
	v.Node = l.node
	return v
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.viewers--
	if l.viewers == 0 {
		close(l.alone)
	}
}

// run takes snapshots until alone is closed.
func (l *live) run(last *view, alone <-chan struct{}) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-alone:
			return
		}
		v := l.view(last)
		l.publish(v.event(), !v.same(last), alone)
		last = v
	}
}

// publish makes event the newest, and wakes all viewers if it is news. A viewer that joins later gets it anyway. If
// alone is closed in the meantime, publish does nothing: another run may have begun.
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

// newest returns the newest event, and a channel that is closed when there is a newer one.
func (l *live) newest() ([]byte, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.event, l.news
}

// show sends events to a viewer until ctx is done or sending fails.
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
	h.Set("Connection", "close") // the deadline may come when the response has ended
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
