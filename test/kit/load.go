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

// A Load is a number of pairs, each a producer and a consumer that exchange messages on a channel of their own without a
// pause. It records the answers to the producers.
type Load struct {
	url    string
	client *http.Client
	ctx    context.Context // bounds all requests
	cancel context.CancelFunc
	halt   chan struct{} // closed by Stop
	pairs  sync.WaitGroup

	mu           sync.Mutex
	changed      *sync.Cond
	stopping     bool     // the server may refuse requests or be gone
	acknowledged []string // exchanges whose producer got 200
	unrecorded   []string // exchanges whose producer got 503
	refused      int      // requests to produce that got 503 before they were in an exchange
	wrong        []string // what should not have happened
}

// StartLoad loads the server at the URL until Stop.
func StartLoad(t *testing.T, url string, pairs int) *Load {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
	transport := http.DefaultTransport.(*http.Transport).Clone() // a test may have set its certificates
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 2*pairs
	l := &Load{
		url:    url,
		client: &http.Client{Transport: transport},
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

// Stop lets each pair finish its exchange, and waits for that. The test fails if a client saw what it should not.
func (l *Load) Stop(t *testing.T) {
	t.Helper()
	close(l.halt)
	l.end(t)
}

// Abandon is Stop, but cuts the exchanges off.
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

// A Tally counts the answers to producers.
type Tally struct {
	Acknowledged, Unrecorded int // exchanges
	Refused                  int // requests
}

// Await blocks until the tally is as wanted. It fails the test after Patience.
func (l *Load) Await(t *testing.T, what string, wanted func(Tally) bool) {
	t.Helper()
	expired := false
	timer := time.AfterFunc(Patience, func() {
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

// Tally counts the answers so far.
func (l *Load) Tally() Tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally()
}

// ServerStops allows the clients to be refused from now on, because the test is about to stop the server.
func (l *Load) ServerStops() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
}

// More waits for n further acknowledgements.
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

// exchange sends one message through a channel, records the answer to the producer, and returns how long to pause before the
// next. If one side fails, it cancels the other.
func (l *Load) exchange(url, message string) (pause time.Duration) {
	ctx, callOff := context.WithCancel(l.ctx)
	defer callOff()
	consumed := make(chan string, 1)
	lost := false // the test has cancelled the consumer's request before it had read the response
	go func() {
		status, _, body := l.do(ctx, http.MethodGet, url, "")
		lost = status == 0 && l.ctx.Err() != nil
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
	case status == http.StatusOK && (got == message || lost): // what was written to a connection need not be read from it
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
	return 50 * time.Millisecond
}

// do makes a request, and returns the status 0 if there was no complete response. It asks for JSON, so that the body of the
// response has the id of the exchange.
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
