package pipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"
)

// How bytes are buffered and relayed.

// pattern returns n bytes without repetition, so that a test notices lost or swapped bytes.
func pattern(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// of makes r the producer's body.
func of(r io.Reader) option { return func(p *peer) { p.src.reader = r } }

func TestBodies(t *testing.T) {
	readers := map[string]func([]byte) io.Reader{
		"plain":         func(b []byte) io.Reader { return bytes.NewReader(b) },
		"end with data": func(b []byte) io.Reader { return iotest.DataErrReader(bytes.NewReader(b)) },
		"halves":        func(b []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(b)) },
		"byte by byte":  func(b []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(b)) },
	}
	sizes := []int{0, 1, 5, firstBuffer - 1, firstBuffer, firstBuffer + 1, 64 << 10, streamBuffer + 1, 3*streamBuffer + 12345}
	for name, reader := range readers {
		for _, size := range sizes {
			if name == "byte by byte" && size > 2*firstBuffer {
				continue // slow, and covers nothing more
			}
			body := pattern(size)
			for _, length := range []int64{-1, int64(size), 0, 3} { // the last two are wrong for most sizes
				t.Run(fmt.Sprintf("%s/%d announced as %d", name, size, length), func(t *testing.T) {
					inWorld(t, Config{}, func(w *world) {
						p := w.produce("p", of(reader(body)), func(p *peer) { p.arrival.Length = length })
						c := w.consume("c")
						p.ends(Delivered)
						c.got(string(body))
					})
				})
			}
		}
	}
}

func TestEachByteIsFlushedBeforeTheNextIsAwaited(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p"), w.consume("c")
		for i := range 10 {
			p.sends(string(rune('0' + i)))
			c.got("0123456789"[:i+1])
		}
		p.finishes()
		p.ends(Delivered)
	})
}

// Bytes that arrive while the consumer is busy go out in one write, whatever the number of reads.
func TestBufferedBytesShareAWrite(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p", firstBytes("a"), firstBytes("b"), firstBytes("c"))
		c := w.consume("c")
		c.got("abc")
		if c.sink.writes != 1 {
			t.Errorf("%d writes, want 1", c.sink.writes)
		}
		p.finishes()
	})
}

func TestReadAhead(t *testing.T) {
	for _, ahead := range []int{-1, 0, 1, 100, firstBuffer, 64 << 10, 2 * streamBuffer} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				body := pattern(4 * streamBuffer)
				p := w.produce("p", whole(string(body)), readAhead(ahead))
				if got, want := p.src.read.Load(), int64(max(ahead, 1)); got != want {
					t.Errorf("read %d bytes ahead, want %d", got, want)
				}
				c := w.consume("c")
				p.ends(Delivered)
				c.got(string(body))
			})
		})
	}
}

// A slow consumer slows the producer down; the buffer does not grow with the body.
func TestBackpressure(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		body := pattern(16 * streamBuffer)
		p, c := w.produce("p", whole(string(body))), w.held("c")
		// The bytes read ahead are being written.
		if got := p.src.read.Load(); got != 64<<10 {
			t.Errorf("read %d bytes while the consumer accepted none, want 64 KiB", got)
		}
		w.after(time.Hour)
		c.is(running)
		c.releases()
		p.ends(Delivered)
		c.got(string(body))
		if got := cap(p.request.body.buffer); got > streamBuffer {
			t.Errorf("the buffer has grown to %d bytes, want at most streamBuffer", got)
		}
	})
}

// A producer gets its answer even if fill waits for room.
func TestEndWithAFullBuffer(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p", readAhead(1), firstBytes("xy"))
		w.deletes(home, true)
		p.ends(Deleted)
	})
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", whole(string(pattern(4*streamBuffer)))), w.held("c")
		c.leaves()
		p.ends(ConsumerLeft)
	})
}

func TestSmallMessagesStaySmall(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		hello := w.produce("hello", whole("hello"), func(p *peer) { p.arrival.Length = 5 })
		chunked := w.produce("chunked", whole("hello"))
		if got := cap(hello.request.body.buffer); got != 6 {
			t.Errorf("a buffer of %d bytes for hello, want 6", got)
		}
		if got := cap(chunked.request.body.buffer); got != firstBuffer {
			t.Errorf("a buffer of %d bytes for a chunked hello, want firstBuffer", got)
		}
	})
}

// The exchange begins in Arrive, before Fill could be told of it.
func TestBodyInHandIsLargerThanTheReadAhead(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.consume("c")
		p := w.produce("p", whole("abc"), readAhead(2), func(p *peer) { p.arrival.InHand = true })
		p.ends(Delivered)
		c.ends(Delivered)
		c.got("abc")
	})
}

// While the buffer is full, the producer's goroutine is in Pause, and goes on when it is woken.
func TestPause(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p", readAhead(10), firstBytes("123456789"))
		if p.src.pauses.Load() > 0 {
			t.Error("Pause was called though there is room")
		}
		p.sends("0")
		p.sends("more")
		for range 3 { // waking it for nothing changes nothing
			p.src.Wake()
			w.settle()
		}
		if got := p.src.pauses.Load(); got != 4 {
			t.Errorf("Pause was called %d times, want 4", got)
		}
		c := w.consume("c")
		c.got("1234567890more")
		p.finishes()
		p.ends(Delivered)
	})
}

// A read that returns neither bytes nor an error does not make the producer ready.
func TestEmptyReads(t *testing.T) {
	inWorld(t, Config{SilenceTimeout: limit}, func(w *world) {
		p, c := w.produce("p", firstBytes("")), w.consume("c")
		p.is(waiting)
		w.after(limit - 1)
		p.sends("")
		p.is(waiting)
		p.sends("x")
		c.is(running)
		w.after(limit - 1)
		p.sends("")
		c.is(running)
		w.after(1)
		p.ends(Silent)
	})
}

// Fill finishes the read that it is in when the exchange begins, and its bytes are relayed. Then the relay reads,
// with a growing buffer.
func TestRelayTakesOverReading(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p, c := w.produce("p", firstBytes("a")), w.consume("c")
		c.got("a")
		p.sends("b")
		c.got("ab")
		body := pattern(3 * streamBuffer)
		p.sends(string(body))
		c.got("ab" + string(body))
		if got := cap(p.request.body.buffer); got != streamBuffer {
			t.Errorf("the buffer has %d bytes, want streamBuffer", got)
		}
		p.finishes()
		p.ends(Delivered)
	})
}

// A source that panics while the relay reads it counts as the producer's failure.
func TestSourcePanicsInTheRelay(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		p := w.produce("p", readAhead(1), firstBytes("x"), func(p *peer) { p.src.panics = true })
		p.src.send(nil, errors.New("boom"))
		c := w.consume("c")
		p.ends(ProducerLeft)
		c.got("x")
	})
}

// The bytes that come out of a body are those that went in, whatever the sizes of reads and whenever the exchange begins.
func TestBytesInAndOut(t *testing.T) {
	seed := seedOf(t)
	for i := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, i))
		want := pattern(rng.IntN(20000))
		src := newSource(newLine())
		src.reader = &choppy{rest: want, rng: rand.New(rand.NewPCG(seed, i+1e6))}
		b := new(body)
		b.init(&Request{Arrival: Arrival{Source: src, Length: rng.Int64N(100) - 1, ReadAhead: 1 + rng.Int32N(50)}})
		for range rng.IntN(20) {
			if len(b.buffer) < b.limit() {
				b.readAhead()
			}
		}
		got, err := drain(b)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("seed %d, body %d: %d bytes came out (%v) of %d: %s, want %s", seed, i, len(got), err, len(want), brief(got), brief(want))
		}
	}
}

// drain takes all of b.
func drain(b *body) (got []byte, err error) {
	for {
		p, err := b.next()
		got = append(got, p...)
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

// choppy returns its bytes in pieces of random size, and io.EOF with the last of them or after it.
type choppy struct {
	rest []byte
	rng  *rand.Rand
}

func (c *choppy) Read(p []byte) (int, error) {
	n := copy(p[:c.rng.IntN(len(p)+1)], c.rest)
	c.rest = c.rest[n:]
	if len(c.rest) == 0 && c.rng.IntN(2) == 0 {
		return n, io.EOF
	}
	return n, nil
}
