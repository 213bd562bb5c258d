package relay

import (
	"io"
	"net"
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

// A match looks at both clients at once, and sees that one has hung up, also behind bytes that were not read.
func TestBothAlive(t *testing.T) {
	waits := func(net.Conn) {}
	sends := func(c net.Conn) { io.WriteString(c, "x") }
	leaves := func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }
	sendsAndLeaves := func(c net.Conn) { sends(c); leaves(c) }
	resets := func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }
	floods := func(c net.Conn) { io.WriteString(c, strings.Repeat("x", 2*maxHeld)) }
	for name, test := range map[string]struct {
		producer, consumer func(net.Conn)
		half               bool // the producer's body is not whole
		source, sink       bool // want
	}{
		"both wait":                               {waits, waits, false, true, true},
		"both pipeline":                           {sends, sends, false, true, true},
		"the producer leaves":                     {leaves, waits, false, false, true},
		"the consumer leaves":                     {waits, leaves, false, true, false},
		"the producer pipelines and leaves":       {sendsAndLeaves, sends, false, false, true},
		"the consumer pipelines and leaves":       {sends, sendsAndLeaves, false, true, false},
		"both reset":                              {resets, resets, false, false, false},
		"so much that an end could not be seen":   {floods, floods, false, false, false},
		"so much, of which some may be the body":  {floods, waits, true, true, true},
		"the producer leaves in the middle of it": {sendsAndLeaves, waits, true, false, true},
	} {
		p, from, c, to := splicer(t, 0)
		p.source.whole.Store(!test.half)
		if source, sink := p.BothAlive(c); !source || !sink {
			t.Errorf("%s: %v, %v before it", name, source, sink)
		}
		test.producer(from)
		test.consumer(to)
		rawhttp.Eventually(t, patience, name, func() bool {
			source, sink := p.BothAlive(c)
			return source == test.source && sink == test.sink
		})
	}
}
