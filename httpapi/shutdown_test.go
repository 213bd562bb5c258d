package httpapi

import (
	"context"
	"io"
	"testing"
	"time"
)

// What a server that stops does to the connected clients, and to later ones.

// shutDown begins to stop the server, with so much time for what runs, and returns what waits for that.
func (r *testServer) shutDown(drain time.Duration) (wait func() time.Duration) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	began := time.Now()
	took := make(chan time.Duration, 1)
	go func() {
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			r.t.Error("Shutdown: ", err)
		}
		took <- time.Since(began)
	}()
	eventually(r.t, patience, "the server is stopping", r.broker.Stopping)
	return func() time.Duration { return <-took }
}

func TestShutdownDrains(t *testing.T) {
	t.Parallel()
	r := start(t)
	p, body := r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	behind, waiter := r.dial().Post(here, "behind"), r.dial().Get("/channels/n/other")
	large := uploads[0].send(r.dial(), "/channels/n/large")
	eventually(t, patience, "all wait", func() bool { return len(r.broker.Channels("n")) == 3 })
	r.Waiting(1, 0)
	began := time.Now()
	wait := r.shutDown(patience)

	if a := waiter.Answer().Failed(503, "shut_down"); a.Text != "" || a.Header.Get("Retry-After") != "1" {
		t.Errorf("the consumer is told %q, Retry-After %q", a.Text, a.Header.Get("Retry-After"))
	}
	for _, c := range []*client{behind, large} {
		if a := c.Answer().Failed(503, "shut_down"); a.Header.Get("Retry-After") != "1" {
			t.Errorf("the producer is told to retry after %q", a.Header.Get("Retry-After"))
		}
	}
	// The listener stays open.
	r.dial().Get("/healthz").Answer().Failed(503, "shut_down")
	r.dial().Get(here).Answer().Failed(503, "shut_down")
	r.dial().Post(here, "late").Answer().Failed(503, "shut_down")
	uploads[3].send(r.dial(), here).Answer().Failed(503, "shut_down")
	if took := time.Since(began); took > noise {
		t.Errorf("it took %v to send all away", took)
	}

	p.Say(chunk("world") + chunk(""))
	reads(t, body, "world")
	p.Answer().Is(200)
	if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
		t.Errorf("the rest is %q, %v", rest, err)
	}
	wait()
	r.Ended("delivered")
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	const drain = 300 * time.Millisecond
	r := start(t)
	p, body := r.halfway(chunked, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	// One more, whose consumer does not read.
	stuck := r.dial().Request("POST", "/channels/n/stuck", length(1<<30))
	go io.Copy(stuck, io.LimitReader(zeros{}, 1<<30))
	unread := r.dial().Get("/channels/n/stuck").Head().Body
	wait := r.shutDown(drain)
	if rest, err := io.ReadAll(body); err == nil {
		t.Errorf("%q looks whole", rest)
	}
	p.Answer().Failed(503, "shut_down")
	stuck.Answer().Failed(503, "shut_down")
	if n, err := io.Copy(io.Discard, unread); err == nil {
		t.Errorf("%d bytes look whole", n)
	}
	p.Close()
	stuck.Close()
	if took := wait(); took < drain || took > drain+noise {
		t.Errorf("it took %v", took)
	}
	r.Ended("shut_down")
	r.Ended("shut_down")
}

// A shutdown does not wait for an idle connection, for one that has sent nothing, or for a request whose end never
// comes: it would take longer than a platform gives a process to stop.
func TestShutdownDoesNotWaitForTheIdle(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.dial().Get(here+"?wait=0").Answer().Failed(408, "timed_out")
	r.dial()
	r.dial().Say("GET " + here)
	r.dial().Get(here, length(5))
	wait := r.shutDown(time.Hour)
	if took := wait(); took > noise {
		t.Errorf("it took %v", took)
	}
}
