package relay

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"httpipe/relay/http1"
	"httpipe/test/rawhttp"
)

// A client has acknowledged all that was sent to it, or not: that tells one that does not read from a server that is slow.
func TestAcknowledged(t *testing.T) {
	s := start(t)
	client := s.dial().Get(topicHere, "Accept: text/event-stream")
	client.Head()
	one := s.commented(1)
	rawhttp.Eventually(t, patience, "the stream is idle", one.lock.try)
	defer one.unlock()
	rawhttp.Eventually(t, patience, "all is acknowledged", func() bool {
		n, all, ok := one.conn.acknowledged()
		return n > 0 && all && ok
	})
	go one.conn.Conn.Write(make([]byte, 32<<20)) // more than the kernels take
	rawhttp.Eventually(t, patience, "something is not acknowledged", func() bool {
		_, all, ok := one.conn.acknowledged()
		return !all && ok
	})
}

// TestInterimIsWhole: a client that does not read gets no interim response, but never a part of one, which the next response
// would follow.
func TestInterimIsWhole(t *testing.T) {
	s := start(t)
	parked := make(chan *insistent, 1)
	s.own = func(w http.ResponseWriter, r *Request) {
		OnEngine(w, r, func(w *Response, r *Request) {
			o := new(insistent)
			w.Park(r, &o.Pending, o)
			parked <- o
		})
	}
	client := s.dial().Get("/channels/n/own")
	o := <-parked
	const more = 100_000 // than the kernels take
	for range more {
		o.conn.sendInterim(processingBytes)
	}
	o.Abort()
	got, err := io.ReadAll(client.In)
	n := strings.Count(string(got), http1.Processing)
	if err != nil || n == 0 || n == more || len(got) != n*len(http1.Processing) {
		t.Errorf("%d bytes, %d whole responses of %d bytes, %v", len(got), n, len(http1.Processing), err)
	}
}
