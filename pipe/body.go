package pipe

import (
	"errors"
	"io"
	"sync/atomic"
)

const (
	firstBuffer  = 4 << 10   // keeps small messages small in memory
	streamBuffer = 512 << 10 // larger reads and writes give no more throughput
	growth       = 4         // the factor by which a full buffer grows
)

// A body holds the bytes that a producer has sent and its consumer has not been given yet. One goroutine at a time
// owns it: first the producer's, which reads ahead; then the one that carries out the exchange, which is the
// producer's as well, unless the body is whole by then. Only halt and the atomic fields are for all goroutines.
type body struct {
	of     *Request // whose body this is
	buffer []byte   // bytes that have been read; its capacity is the size of the buffer
	end    error    // how the source ended: io.EOF or a failure; nil while more may come

	taken     int32                   // how many bytes of the buffer next has returned
	handedOut atomic.Bool             // next has returned everything, io.EOF included
	stop      atomic.Pointer[Outcome] // why the rest is to be discarded; nil unless halted
}

// init prepares b as the body of a request.
func (b *body) init(of *Request) {
	b.of = of
	size := firstBuffer
	if of.Length >= 0 && of.Length < firstBuffer {
		size = int(of.Length) + 1 // one more, so that the read after the last byte finds room and returns io.EOF
	}
	b.buffer = make([]byte, 0, min(size, b.limit()))
}

// limit returns how far the buffer may grow while the producer waits.
func (b *body) limit() int { return max(int(b.of.ReadAhead), 1) }

// readAhead reads the source once, or waits while the buffer is full. It reports whether it is to be called again: not
// after the end, after the beginning of the exchange, or after halt.
func (b *body) readAhead() (more bool) {
	if b.of.begun || b.end != nil || b.stop.Load() != nil {
		return false
	}
	if len(b.buffer) == cap(b.buffer) && !b.grow() {
		b.of.Source.Pause()
		return true
	}
	b.read()
	return b.end == nil
}

// grow makes a full buffer larger, and reports whether it may be.
func (b *body) grow() bool {
	limit := b.limit()
	if cap(b.buffer) == limit {
		return false
	}
	larger := make([]byte, len(b.buffer), min(cap(b.buffer)*growth, limit))
	copy(larger, b.buffer)
	b.buffer = larger
	return true
}

// errProducerHungUp ends a body if its producer has hung up before the end was read.
var errProducerHungUp = errors.New("the producer has hung up")

// read reads the source once, into the free part of the buffer. If it reads the end of the body after the producer has
// hung up, it drops the last bytes, so that a body with an announced length does not look whole.
// Before the exchange begins a producer's connection is watched, but bytes of the body that are still in a kernel's
// buffer, or in ours, hide the FIN that follows them. So a producer that has hung up may be matched; this check ends
// its body.
func (b *body) read() {
	n, err := b.of.Source.Read(b.buffer[len(b.buffer):cap(b.buffer)])
	if err == io.EOF && b.of.begun && !b.of.Source.Alive() {
		n, err = 0, errProducerHungUp
	}
	b.buffer = b.buffer[:len(b.buffer)+n]
	b.end = err
}

// next returns the bytes that have been read, or reads more. It blocks until there are some. The caller may use the
// slice until it calls next again. With the last bytes comes the error: io.EOF or the source's failure. After halt it
// returns the error of that, without bytes.
func (b *body) next() ([]byte, error) {
	for {
		if why := b.stop.Load(); why != nil {
			return nil, *why
		}
		if p := b.take(); len(p) > 0 || b.end != nil {
			return p, b.end
		}
		if size := cap(b.buffer); len(b.buffer) > size/2 && size < streamBuffer {
			b.buffer = make([]byte, 0, min(size*growth, streamBuffer))
		}
		b.taken, b.buffer = 0, b.buffer[:0]
		b.read()
	}
}

// drained reports whether next would have to read the source.
func (b *body) drained() bool {
	return int(b.taken) == len(b.buffer) && b.end == nil && b.stop.Load() == nil
}

// take returns the bytes that have been read and not been taken.
func (b *body) take() []byte {
	p := b.buffer[b.taken:]
	b.taken = int32(len(b.buffer))
	if b.end == io.EOF {
		b.handedOut.Store(true)
	}
	return p
}

// halt discards the rest of the body, which ends with why. Only the first call counts. It does not unblock the reader.
func (b *body) halt(why Outcome) { b.stop.CompareAndSwap(nil, &why) }
