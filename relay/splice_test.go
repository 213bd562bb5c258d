package relay

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"httpipe/pipe"
	"httpipe/relay/http1"
)

// Bodies with a length, of which the kernel moves the most. Other tests of this package have the framing spliced.

func TestSplicedBodies(t *testing.T) {
	message := make([]byte, 5<<20)
	rand.NewChaCha8([32]byte{2}).Read(message)
	for _, size := range []int{readLast, readLast + 64<<10, readLast + 64<<10 + 1, readLast + 100_000, len(message)} {
		for _, version := range []string{"1.1", "1.0"} {
			r := start(t)
			p, c := r.dial(), r.dial()
			// One connection for both messages: nothing of the first is left on it.
			for range 2 {
				p.Post(here, string(message[:size]), "Accept: application/json")
				c.Say("GET " + here + " HTTP/" + version + "\r\nHost: relay\r\nConnection: keep-alive\r\n\r\n")
				a := c.Answer().Is(200)
				if !bytes.Equal([]byte(a.Text), message[:size]) {
					t.Errorf("%d bytes, HTTP/%s: the message is another, of %d bytes", size, version, len(a.Text))
				}
				p.Answer().Is(200)
				if version == "1.0" {
					break
				}
			}
		}
	}
}

// Each byte of a body that is spliced is on its way before the next one comes.
func TestEverySplicedByteComesBeforeTheNextIsSent(t *testing.T) {
	r := start(t)
	p, body := r.halfway(spliced, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	for _, b := range "byte by byte" {
		p.Say(string(b))
		reads(t, body, string(b))
	}
}

// While a body is spliced a deletion ends the exchange, also if the consumer takes nothing.
func TestDeletedWhileTheConsumerTakesNothing(t *testing.T) {
	r := start(t)
	p, body := r.halfway(length(100<<20), "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	for p.Fill(10<<20) > 0 {
	}
	r.dial().Request("DELETE", here).Answer().Is(204)
	p.Answer().Failed(410, "deleted")
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("%d bytes look whole", n)
	}
	r.Ended(pipe.Deleted)
}

// splicer returns a producer with a body of this length, a consumer, and the far ends of their connections.
func splicer(t *testing.T, left int64) (p *producer, from net.Conn, c *consumer, to net.Conn) {
	t.Helper()
	pair := func() (near *Conn, far net.Conn) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if far, err = net.Dial("tcp", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { far.Close(); accepted.Close() })
		near = &Conn{Conn: accepted, engine: newEngine(new(Relay))}
		near.findSocket()
		accepted.SetReadDeadline(time.Now().Add(patience))
		return near, far
	}
	p, c = &producer{Pending: new(Pending)}, new(consumer)
	head := new(pipe.Head)
	head.SetRare(&pipe.RareHead{Answer: new(pipe.AnswerHead)})
	c.exchange = &pipe.Exchange{Producer: &pipe.Request{Arrival: pipe.Arrival{Head: head}}}
	p.conn, from = pair()
	c.conn, to = pair()
	p.body = requestBody{conn: p.conn, left: left}
	p.source.body = &p.body
	return p, from, c, to
}

func TestAvailable(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has splice(2)")
	}
	hello := func(from net.Conn) { io.WriteString(from, "hello") }
	for name, test := range map[string]struct {
		left   int64
		change func(*producer, *consumer)
		send   func(net.Conn)
		want   int64
	}{
		"all that has come": {readLast + 10, nil, hello, 5},
		"up to the last":    {readLast + 3, nil, hello, 3},
		"the last":          {readLast, nil, hello, 0},
		"the end":           {readLast + 10, nil, func(from net.Conn) { from.Close() }, 0},
		"chunked":           {readLast + 10, func(p *producer, _ *consumer) { p.body.chunked = new(http1.ChunkReader) }, hello, 0},
		"a form":            {readLast + 10, func(p *producer, _ *consumer) { p.source.form = new(multipartForm) }, hello, 0},
		"in the URL":        {readLast + 10, func(p *producer, _ *consumer) { p.source.body = strings.NewReader("text") }, hello, 0},
		"read already":      {readLast + 10, func(p *producer, _ *consumer) { p.conn.unread = []byte("x") }, hello, 0},
		"from TLS":          {readLast + 10, func(p *producer, _ *consumer) { p.conn.plain = false }, hello, 0},
		"to TLS":            {readLast + 10, func(_ *producer, c *consumer) { c.conn.plain = false }, hello, 0},
		"to HEAD":           {readLast + 10, func(_ *producer, c *consumer) { c.head, c.exchange.ReplyTo = true, new(pipe.Exchange) }, hello, 0},
		"woken":             {readLast + 10, func(p *producer, _ *consumer) { p.conn.Conn.SetReadDeadline(past) }, hello, 0},
	} {
		p, from, c, to := splicer(t, test.left)
		if test.change != nil {
			test.change(p, c)
		}
		test.send(from)
		n := p.Available(c)
		if n != test.want {
			t.Errorf("%s: %d bytes are available, want %d", name, n, test.want)
		}
		if n == 0 {
			continue
		}
		sent, err := p.Splice(c, n)
		if sent != n || err != nil || p.body.left != test.left-n {
			t.Errorf("%s: Splice = %d, %v, and %d bytes are left", name, sent, err, p.body.left)
		}
		reads(t, to, "hello"[:n])
	}
}

// Go's poller tells once that the client has ended its connection. Available must not wait to be told again.
func TestAvailableAfterThePollerKnowsTheEnd(t *testing.T) {
	p, from, c, _ := splicer(t, 1<<20)
	from.Close()
	c.conn.Conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	c.conn.Conn.Read(make([]byte, 1)) // the poller runs meanwhile
	began := time.Now()
	if n := p.Available(c); n != 0 || time.Since(began) > noise {
		t.Errorf("Available = %d after %v, want 0 at once", n, time.Since(began))
	}
}

// A producer that is woken is not a consumer that has failed.
func TestSpliceIsWoken(t *testing.T) {
	p, from, c, _ := splicer(t, 1<<20)
	io.WriteString(from, strings.Repeat("x", 1000))
	p.conn.Conn.SetReadDeadline(past)
	if n, err := p.Splice(c, 1000); n != 0 || err != nil {
		t.Errorf("Splice = %d, %v, want 0 and no error", n, err)
	}
}
