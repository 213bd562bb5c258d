package pipe

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// exchangeOnce relays a small message from a producer to a consumer, on one goroutine.
func exchangeOnce(b *Broker) Outcome {
	k := Key{"bench", "mark"}
	p := b.Arrive(Arrival{Key: k, Role: Producer, Wait: Forever, Body: strings.NewReader("hello"), Length: 5, ReadAhead: 64 << 10})
	p.Fill()
	c := b.Arrive(Arrival{Key: k, Role: Consumer, Wait: Forever})
	c.AwaitMatch().Relay(nowhere{})
	o, _ := p.AwaitEnd()
	return o
}

func BenchmarkExchange(b *testing.B) {
	broker := New(Config{NewID: func() string { return "x" }})
	b.ReportAllocs()
	for b.Loop() {
		if o := exchangeOnce(broker); o != Delivered {
			b.Fatal(o)
		}
	}
}

// maxAllocations limits the allocations of one exchange in this package. Raise it only for a reason.
const maxAllocations = 14

func TestAllocationsPerExchange(t *testing.T) {
	broker := New(Config{NewID: func() string { return "x" }})
	if n := testing.AllocsPerRun(100, func() { exchangeOnce(broker) }); n > maxAllocations {
		t.Errorf("an exchange makes %.0f allocations, want at most %d", n, maxAllocations)
	}
}

// BenchmarkBody measures the throughput of a body, from memory to a sink that discards, by the size of the
// source's reads.
func BenchmarkBody(b *testing.B) {
	for _, read := range []int{4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("reads=%dK", read>>10), func(b *testing.B) {
			broker := New(Config{NewID: func() string { return "x" }})
			src := &endless{piece: make([]byte, read), left: int64(b.N) << 20}
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			p := broker.Arrive(Arrival{Role: Producer, Wait: Forever, Body: src, Length: -1, ReadAhead: 64 << 10})
			c := broker.Arrive(Arrival{Role: Consumer, Wait: Forever})
			go p.Fill()
			if o := c.AwaitMatch().Relay(nowhere{}); o != Delivered {
				b.Fatal(o)
			}
		})
	}
}

// endless returns its piece again and again, until left bytes have been read.
type endless struct {
	piece []byte
	left  int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), e.left)], e.piece)
	e.left -= int64(n)
	return n, nil
}

// nowhere is a sink that discards everything and never blocks.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Flush() error                { return nil }
