package nodes

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"httpipe/pipe"
	"httpipe/test/kit"
)

// pause is how long a client waits before it tries again.
const pause = 100 * time.Millisecond

// send sends a request on a connection of its own, as curl does, and returns the status, the header and the whole body.
func send(ctx context.Context, method, url, body string, headers ...string) (int, http.Header, string, error) {
	resp, err := open(ctx, method, url, body, headers...)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(got), err
}

func open(ctx context.Context, method, url, body string, headers ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	r.Close = true
	return http.DefaultClient.Do(r)
}

// A waiter is a client that waits on a name, and tries again whenever that ends, until it has met its partner: a
// consumer, a subscriber or a worker, by the shape of the name.
type waiter struct {
	shape pipe.Shape
	name  string
	via   *balancer // the partner comes by the other one

	mu      sync.Mutex
	request int       // the number of the current one
	since   time.Time // when it began
	met     bool
}

// startWaiters runs waiters of all shapes until the end of the test. Half of them come by each balancer.
func (c *cluster) startWaiters(prefix string, count int) []*waiter {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	c.t.Cleanup(func() { cancel(); running.Wait() })
	var all []*waiter
	for i := range count {
		shape := pipe.Channel
		switch {
		case i%5 == 3:
			shape = pipe.Topic
		case i%5 == 4 && c.shared: // in the control the answer of a worker has another path, which leads elsewhere
			shape = pipe.Service
		}
		w := &waiter{shape: shape, name: fmt.Sprint(prefix, i), via: c.balancers[i%2]}
		all = append(all, w)
		running.Go(func() { w.run(ctx) })
	}
	c.waiting(all)
	return all
}

func (w *waiter) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.mu.Lock()
		w.request++
		w.since = time.Now()
		w.mu.Unlock()
		if w.wait(ctx) {
			w.mu.Lock()
			w.met = true
			w.mu.Unlock()
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// wait waits once, and reports whether the waiter has met its partner.
func (w *waiter) wait(ctx context.Context) bool {
	at := func(kind string) string { return w.via.url() + "/" + kind + "/wait/" + w.name }
	switch w.shape {
	case pipe.Topic:
		resp, err := open(ctx, "GET", at("topics"), "", "Accept: application/x-ndjson")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); resp.StatusCode == http.StatusOK && lines.Scan(); {
			if lines.Text() != "" { // an empty line keeps the connection alive
				return true
			}
		}
		return false
	case pipe.Service:
		status, header, _, err := send(ctx, "GET", at("work"), "")
		if status != http.StatusOK || err != nil {
			return false
		}
		status, _, _, err = send(ctx, "POST", w.via.url()+header.Get("Httpipe-Reply"), "an answer")
		return status == http.StatusOK && err == nil
	}
	status, header, body, err := send(ctx, "GET", at("channels"), "")
	if status != http.StatusOK || err != nil {
		return false
	}
	w.via.cluster.ledger.Received(header.Get("Httpipe-Exchange"), kit.Noted{Channel: "wait/" + w.name, Bytes: int64(len(body))})
	return body == "to "+w.name
}

// waits returns the number of the waiter's request if it has waited for that long.
func (w *waiter) waits(atLeast time.Duration) (request int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.request, w.met || time.Since(w.since) > atLeast
}

// waiting blocks until all wait, and have waited for long enough not to be on their way to a refusal.
func (c *cluster) waiting(all []*waiter) {
	c.t.Helper()
	for _, w := range all {
		c.eventually(w.name+" waits", func() bool { _, ok := w.waits(3 * pause); return ok })
	}
}

// A meeting is the result of sending a partner.
type meeting string

const (
	met         meeting = "met"
	apart       meeting = "apart"       // both waited at the same time, and did not meet
	unreachable meeting = "unreachable" // one of them could not wait
)

// partnersWait is how long a partner waits.
const partnersWait = 1500 * time.Millisecond

// meet sends the partner of w by the other balancer.
func (w *waiter) meet() meeting {
	other := w.via.cluster.balancers[1-w.via.number].url()
	before, waited := w.waits(pause)
	var status int
	switch w.shape {
	case pipe.Topic:
		status, _, _, _ = send(context.Background(), "POST", other+"/topics/wait/"+w.name+"?subscribers=1&wait="+partnersWait.String(), "to "+w.name)
	case pipe.Service:
		status, _, _, _ = send(context.Background(), "POST", other+"/services/wait/"+w.name, "to "+w.name, fmt.Sprint("Prefer: wait=", partnersWait.Seconds()))
	default:
		var header http.Header
		status, header, _, _ = send(context.Background(), "POST", other+"/channels/wait/"+w.name+"?wait="+partnersWait.String(), "to "+w.name)
		if status == http.StatusOK {
			w.via.cluster.ledger.Acknowledged(header.Get("Httpipe-Exchange"), kit.Noted{Channel: "wait/" + w.name, Bytes: int64(len("to " + w.name))})
		}
	}
	after, _ := w.waits(0)
	switch {
	case status == http.StatusOK:
		return met
	case status == http.StatusRequestTimeout && waited && before == after:
		return apart
	}
	return unreachable
}

// meetAll sends the partners of all waiters, and again those that do not meet, up to the given number of times. It returns how
// many meetings of each kind there are at the end.
func meetAll(all []*waiter, times int) map[meeting]int {
	found := make(map[meeting]int)
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, w := range all {
		group.Go(func() {
			m := w.meet()
			for range times - 1 {
				if m != met {
					time.Sleep(3 * pause) // as a client does that retries
					m = w.meet()
				}
			}
			mu.Lock()
			found[m]++
			mu.Unlock()
		})
	}
	group.Wait()
	return found
}

// allMeet requires that all waiters meet their partners.
func allMeet(t *testing.T, all []*waiter) {
	t.Helper()
	if found := meetAll(all, 5); found[met] != len(all) {
		t.Errorf("of %d names %d meet, the clients of %d wait apart, %d cannot be reached", len(all), found[met], found[apart], found[unreachable])
	}
}
