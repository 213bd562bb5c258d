package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/test/rawhttp"
)

// Requests that wait, and are answered by other goroutines.

// A parked is an Owner that reports what it is told.
type parked struct {
	Pending
	hungUp, resumed chan bool
	resume          func(*parked) // called by Resume; nil: nothing
}

func (p *parked) HungUp() { p.hungUp <- true }

func (p *parked) Resume() {
	if p.resume != nil {
		p.resume(p)
	}
	p.resumed <- true
}

// parking runs a server that parks all requests to channels, and returns its address and what comes in.
func parking(t *testing.T, resume func(*parked)) (addr string, arrivals <-chan *parked, log *bytes.Buffer) {
	come := make(chan *parked, 100)
	log = new(bytes.Buffer)
	serve := func(w http.ResponseWriter, r *Request) {
		OnEngine(w, r, func(w *Response, r *Request) {
			p := &parked{hungUp: make(chan bool, 10), resumed: make(chan bool, 10), resume: resume}
			w.Park(r, &p.Pending, p)
			come <- p
		})
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, NewRequest(r)) })
	relay := New(Config{MaxHeader: 32 << 10, Logger: slog.New(slog.NewTextHandler(log, nil)), Handler: serve}, pipe.New(pipe.Config{}))
	ln := rawhttp.Listen(t)
	others := &http.Server{Handler: BreakOff(handler), ConnContext: ConnContext, ConnState: NoteState}
	go others.Serve(relay.Others())
	go relay.Serve(ln)
	t.Cleanup(func() {
		ln.Close()
		others.Close()
		relay.engine.closeWhere(1000, func(*Conn) bool { return true })
	})
	return ln.Addr().String(), come, log
}

// within returns what comes, and fails the test if nothing does.
func within[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing comes")
		panic("unreachable")
	}
}

// ways are how a request comes to the engine.
var ways = map[string][]string{"engine": nil, "net/http": {"Connection: keep-alive, x-other"}}

// TestPendingIsAnsweredByAnotherGoroutine: request after request on one connection, some of them sent before the last answer.
func TestPendingIsAnsweredByAnotherGoroutine(t *testing.T) {
	for name, headers := range ways {
		t.Run(name, func(t *testing.T) {
			addr, arrivals, _ := parking(t, nil)
			c := rawhttp.Dial(t, addr)
			for i := range 300 {
				c.Get(here, headers...)
				early := i%3 == 0
				if early {
					c.Get(here, headers...)
				}
				for range map[bool]int{false: 1, true: 2}[early] {
					p := within(t, arrivals)
					message := fmt.Sprint("answer ", i)
					go p.Answer(reply.Text(200, "text/plain", message))
					c.Answer().Got(message)
				}
			}
		})
	}
}

func TestPendingHangsUp(t *testing.T) {
	for name, headers := range ways {
		for _, death := range []death{fin, rst} {
			for _, behind := range pipelined {
				t.Run(fmt.Sprintf("%s %s %.3q", name, death.name, behind), func(t *testing.T) {
					addr, arrivals, _ := parking(t, nil)
					c := rawhttp.Dial(t, addr).Get(here, headers...)
					p := within(t, arrivals)
					c.Say(behind)
					if !p.Alive() {
						t.Error("it counts as dead while it lives")
					}
					death.die(c)
					within(t, p.hungUp)
					if p.Alive() {
						t.Error("it counts as alive")
					}
					p.Wake() // although the goroutine that read has ended
					within(t, p.resumed)
					if len(p.hungUp) > 0 {
						t.Error("HungUp was called again")
					}
					p.Abort()
				})
			}
		}
	}
}

// TestPendingWake: Resume is called for each Wake, on the connection's goroutine, whatever the client has sent behind.
func TestPendingWake(t *testing.T) {
	for _, behind := range append(pipelined, strings.Repeat("x", 3*maxHeld)) {
		addr, arrivals, _ := parking(t, nil)
		c := rawhttp.Dial(t, addr).Get(here)
		p := within(t, arrivals)
		c.Say(behind)
		for range 20 {
			p.Wake()
			within(t, p.resumed)
		}
		p.Answer(reply.Text(200, "text/plain", "at last"))
		c.Answer().Got("at last")
		p.Wake()
		select {
		case <-p.resumed:
			t.Error("Resume was called after the end")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestPendingIsOver: what comes after the end does not touch the next request on the connection.
func TestPendingIsOver(t *testing.T) {
	addr, arrivals, _ := parking(t, nil)
	c := rawhttp.Dial(t, addr)
	for range 100 {
		c.Get(here)
		p := within(t, arrivals)
		p.Interrupt() // and the cut comes too late
		p.conn.clearDeadlines()
		p.Answer(reply.Text(200, "text/plain", "first"))
		c.Answer().Got("first")
		c.Get(here)
		next := within(t, arrivals)
		p.Interrupt()
		p.Wake()
		p.Abort()
		if n, err := p.TrySend([]byte("intruder"), true); n > 0 || err == nil {
			t.Errorf("%d bytes were sent, %v", n, err)
		}
		p.Finish()
		next.Answer(reply.Text(200, "text/plain", "second"))
		c.Answer().Got("second")
	}
}

// TestPendingAnswerDoesNotBlock: a client that takes nothing does not hold up the goroutine that answers.
func TestPendingAnswerDoesNotBlock(t *testing.T) {
	addr, arrivals, _ := parking(t, nil)
	c := rawhttp.Dial(t, addr).Get(here)
	p := within(t, arrivals)
	message := strings.Repeat("x", 20<<20) // more than the kernels hold
	began := time.Now()
	p.Answer(reply.Text(200, "text/plain", message))
	if took := time.Since(began); took > noise {
		t.Errorf("it took %v", took)
	}
	c.Answer().Got(message)
	c.Get(here)
	within(t, arrivals).Answer(reply.Text(200, "text/plain", "next"))
	c.Answer().Got("next")
}

// TestPendingOwnerPanics: the connection is closed, and HungUp is called.
func TestPendingOwnerPanics(t *testing.T) {
	addr, arrivals, log := parking(t, func(*parked) { panic("a bug") })
	c := rawhttp.Dial(t, addr).Get(here)
	p := within(t, arrivals)
	p.Wake()
	within(t, p.hungUp)
	if rest, _ := io.ReadAll(c.In); len(rest) > 0 {
		t.Errorf("the client gets %q", rest)
	}
	if !strings.Contains(log.String(), "a bug") {
		t.Errorf("the log is %q", log)
	}
}

// TestPendingHammer: many requests on many connections, with clients that hang up at any time. Each request ends, and no
// answer reaches another.
func TestPendingHammer(t *testing.T) {
	addr, arrivals, _ := parking(t, nil)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for n := 0; n < 200; {
				c := rawhttp.Connect(t, addr)
				for range 1 + n%5 {
					path := fmt.Sprintf("/channels/n/%d.%d", i, n)
					n++
					if n%7 == 0 {
						c.Get(path).Get(path).Close()
						break
					}
					c.Get(path).Answer().Got("answer")
				}
				c.Close()
			}
		})
	}
	done := make(chan bool)
	go func() {
		clients.Wait()
		close(done)
	}()
	for n := 0; ; n++ {
		select {
		case p := <-arrivals:
			if n%3 == 0 {
				p.Wake()
			}
			go p.Answer(reply.Text(200, "text/plain", "answer"))
		case <-done:
			return
		}
	}
}

// A connection that is about to be broken off is not closed in order by the goroutine that reads it, which a client can wake
// at that moment by sending something: over TLS a body without its end would look whole.
func TestOneGoroutineCloses(t *testing.T) {
	c := &Conn{closed: true}
	if got := c.wait(); got != handedOver {
		t.Errorf("after more bytes: %v, want %v", got, handedOver)
	}
	if got := c.hungUp(); got != handedOver {
		t.Errorf("after a hang-up: %v, want %v", got, handedOver)
	}
}

// A few bytes that were to be written when the owner was interrupted do not end the interruption.
func TestInterruptionLasts(t *testing.T) {
	server, client := net.Pipe()
	go io.Copy(io.Discard, client)
	c := &Conn{Conn: server}
	p := &Pending{conn: c}
	c.pending = p
	p.Interrupt()
	c.sendContinue()
	if n, err := p.Send([]byte("more"), false); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Send returned %d, %v; want 0, %v", n, err, os.ErrDeadlineExceeded)
	}
}

// If the end of a response cannot be sent behind a whole body, the connection is not reset: the body is still on its way.
func TestDeliveredBodyIsNotReset(t *testing.T) {
	server, client := net.Pipe()
	client.Close()
	c := new(consumer)
	c.conn = &Conn{Conn: server, engine: newEngine(new(Relay))}
	c.conn.pending = &c.Pending
	c.resets, c.unsent = true, "0\r\n\r\n"
	c.end(nil, pipe.Delivered)
	if c.resets || c.complete || !c.conn.closed {
		t.Errorf("resets %v, complete %v, closed %v; want false, false, true", c.resets, c.complete, c.conn.closed)
	}
}
