package pipe

import (
	"fmt"
	"io"
	"testing"
)

// exchangeOnce relays a small message from a producer that waits to a consumer.
func exchangeOnce(b *Broker) (outcome Outcome) {
	k := Key{"bench", "mark"}
	hello := &memory{message: "hello", outcome: &outcome}
	b.Arrive(Arrival{Key: k, Role: Producer, Wait: Forever, Source: hello, InHand: true, Length: 5, ReadAhead: 64 << 10})
	x := b.Arrive(Arrival{Key: k, Role: Consumer, Wait: Forever, Sink: nowhere{}}).Begun()
	x.Relay()
	x.Settle()
	return outcome
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

// maxAllocations limits the allocations of one exchange in this package. Raise it only for a reason. One is for the Exchange,
// which begins at the match: a producer that waits should not keep memory for it.
const maxAllocations = 8

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
			var outcome Outcome
			src := &endless{memory{outcome: &outcome}, make([]byte, read), int64(b.N) << 20}
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			broker.Arrive(Arrival{Role: Consumer, Wait: Forever, Sink: nowhere{}})
			p := broker.Arrive(Arrival{Role: Producer, Wait: Forever, Source: src, Length: -1, ReadAhead: 64 << 10})
			p.Fill()
			x := p.Begun()
			x.Relay()
			if x.Settle(); outcome != Delivered {
				b.Fatal(outcome)
			}
		})
	}
}

// memory is a Source that does not block.
type memory struct {
	message string
	outcome *Outcome // set by Answer
}

func (m *memory) Read(p []byte) (int, error)             { return copy(p, m.message), io.EOF }
func (m *memory) Alive() bool                            { return true }
func (m *memory) BothAlive(Sink) (bool, bool)            { return true, true }
func (m *memory) Wake()                                  {}
func (m *memory) Pause()                                 {}
func (m *memory) Answer(_ *Exchange, o Outcome, _ error) { *m.outcome = o }

// endless returns its piece again and again, until left bytes have been read.
type endless struct {
	memory
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

// nowhere is a Sink that discards everything and never blocks.
type nowhere struct{}

func (nowhere) Begin(*Exchange)                     {}
func (nowhere) Write(p []byte, _ bool) (int, error) { return len(p), nil }
func (nowhere) Alive() bool                         { return true }
func (nowhere) Wake()                               {}
func (nowhere) Interrupt()                          {}
