package kit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Load is a number of pairs, each of a producer and a consumer that exchange messages all the time on
// a channel and on connections of their own, and all that the producers were told.
type Load struct {
	url    string
	client *http.Client
	ctx    context.Context // bounds all requests
	cancel context.CancelFunc
	halt   chan struct{} // closed by Stop
	pairs  sync.WaitGroup

	mu           sync.Mutex
	changed      *sync.Cond
	stopping     bool     // the server has been told to stop, and may say so, or be gone
	acknowledged []string // exchanges whose producer got 200
	unrecorded   []string // exchanges whose producer got 503
	refused      int      // requests to produce that got 503 before they were in an exchange
	wrong        []string // all that should not have happened
}

// StartLoad puts a server under load until Stop.
func StartLoad(t *testing.T, url string, pairs int) *Load {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	l := &Load{
		url:    url,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * pairs}},
		ctx:    ctx,
		cancel: cancel,
		halt:   make(chan struct{}),
	}
	l.changed = sync.NewCond(&l.mu)
	for n := range pairs {
		l.pairs.Go(func() { l.pair(fmt.Sprintf("%s/channels/load/%d", url, n)) })
	}
	t.Cleanup(func() {
		cancel()
		l.pairs.Wait()
		l.client.CloseIdleConnections()
	})
	return l
}

// Stop lets each pair finish its exchange.
func (l *Load) Stop(t *testing.T) {
	t.Helper()
	close(l.halt)
	l.end(t)
}

// Abandon ends all exchanges at once.
func (l *Load) Abandon(t *testing.T) {
	t.Helper()
	l.cancel()
	l.end(t)
}

func (l *Load) end(t *testing.T) {
	t.Helper()
	l.pairs.Wait()
	for _, wrong := range l.wrong {
		t.Error(wrong)
	}
}

// A Tally is what producers were told so far.
type Tally struct {
	Acknowledged, Unrecorded int // exchanges
	Refused                  int // requests
}

// Await blocks until the tally is as wanted.
func (l *Load) Await(t *testing.T, what string, wanted func(Tally) bool) {
	t.Helper()
	expired := false
	timer := time.AfterFunc(30*time.Second, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		expired = true
		l.changed.Broadcast()
	})
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !wanted(l.tally()) {
		if expired {
			t.Fatalf("still not %s: %+v %q", what, l.tally(), l.wrong)
		}
		l.changed.Wait()
	}
}

// tally counts. The caller holds mu.
func (l *Load) tally() Tally {
	return Tally{len(l.acknowledged), len(l.unrecorded), l.refused}
}

// Acknowledged returns the exchanges whose producer got 200 so far.
func (l *Load) Acknowledged() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.acknowledged)
}

// Unrecorded returns the exchanges whose producer got 503 so far.
func (l *Load) Unrecorded() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.unrecorded)
}

// Tally returns what producers were told so far.
func (l *Load) Tally() Tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally()
}

// ServerStops tells that the server is about to be stopped.
func (l *Load) ServerStops() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
}

// More waits for that many further acknowledgements.
func (l *Load) More(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	n += len(l.acknowledged)
	l.mu.Unlock()
	l.Await(t, fmt.Sprintf("%d acknowledged", n), func(now Tally) bool { return now.Acknowledged >= n })
}

func (l *Load) pair(url string) {
	for n := 0; ; n++ {
		pause := l.exchange(url, fmt.Sprintf("message %d", n))
		select {
		case <-l.halt:
			return
		case <-l.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// exchange sends one message through a channel, takes down what the producer was told, and returns how long
// to keep from trying again. If one side cannot, it calls off the other.
func (l *Load) exchange(url, message string) (pause time.Duration) {
	ctx, callOff := context.WithCancel(l.ctx)
	defer callOff()
	consumed := make(chan string, 1)
	go func() {
		status, _, body := l.do(ctx, http.MethodGet, url, "")
		if status != http.StatusOK {
			callOff()
		}
		consumed <- body
	}()
	status, header, body := l.do(ctx, http.MethodPost, url, message)
	if status != http.StatusOK {
		callOff()
	}
	got, id := <-consumed, header.Get("Httpipe-Exchange")

	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.changed.Broadcast()
	switch {
	case status == http.StatusOK && got == message:
		l.acknowledged = append(l.acknowledged, id)
		return 0
	case status == http.StatusServiceUnavailable && header.Get("Httpipe-Error") == "audit_unavailable":
		if id == "" {
			l.refused++
		} else {
			l.unrecorded = append(l.unrecorded, id)
		}
	case status == 0 && ctx.Err() != nil: // called off
	case l.stopping && (status == 0 || status == http.StatusServiceUnavailable && header.Get("Httpipe-Error") == "shut_down"):
	default:
		l.wrong = append(l.wrong, fmt.Sprintf("a producer got %d %q, its consumer %q", status, body, got))
	}
	return 10 * time.Millisecond
}

// do makes a request, and returns 0 for the status if there was no whole response. It asks for JSON,
// which puts the exchange's id into the body of the response.
func (l *Load) do(ctx context.Context, method, url, message string) (status int, header http.Header, body string) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(message))
	if err != nil {
		return 0, nil, err.Error()
	}
	req.Header.Set("Accept", "application/json")
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return resp.StatusCode, resp.Header, string(content)
}
