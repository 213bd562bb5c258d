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
	src    Source
	buffer []byte // bytes that have been read
	limit  int    // how far the buffer may grow while the producer waits
	taken  int    // how many bytes of the buffer next has returned
	count  int    // how many bytes of the buffer have been read, including those taken
	end    error  // how the source ended: io.EOF or a failure; nil while more may come

	exchange Exchange // the memory of Request.exchange, guarded like it

	begun     bool                    // the owner knows that the exchange has begun
	handedOut atomic.Bool             // next has returned everything, io.EOF included
	stop      atomic.Pointer[Outcome] // why the rest is to be discarded; nil unless halted
}

// init prepares b for the body of a.
func (b *body) init(a *Arrival) {
	size, limit := firstBuffer, max(a.ReadAhead, 1)
	if a.Length >= 0 && a.Length < firstBuffer {
		size = int(a.Length) + 1 // one more, so that the read after the last byte finds room and returns io.EOF
	}
	b.src, b.limit, b.buffer = a.Source, limit, make([]byte, min(size, limit))
}

// readAhead reads the source once, or waits while the buffer is full. It reports whether it is to be called again: not
// after the end, after the beginning of the exchange, or after halt.
func (b *body) readAhead() (more bool) {
	if b.begun || b.end != nil || b.stop.Load() != nil {
		return false
	}
	if b.count == len(b.buffer) && !b.grow() {
		b.src.Pause()
		return true
	}
	b.read(b.buffer[b.count:])
	return b.end == nil
}

// grow makes a full buffer larger, and reports whether it may be.
func (b *body) grow() bool {
	if len(b.buffer) == b.limit {
		return false
	}
	larger := make([]byte, min(len(b.buffer)*growth, b.limit))
	copy(larger, b.buffer)
	b.buffer = larger
	return true
}

// errProducerHungUp ends a body if its producer has hung up before the end was read.
var errProducerHungUp = errors.New("the producer has hung up")

// read reads the source once, into p, which must be the free part of the buffer. If it reads the end of the body after
// the producer has hung up, it drops the last bytes, so that a body with an announced length does not look whole.
// Before the exchange begins a producer's connection is watched, but bytes of the body that are still in a kernel's
// buffer, or in ours, hide the FIN that follows them. So a producer that has hung up may be matched; this check ends
// its body.
func (b *body) read(p []byte) {
	n, err := b.src.Read(p)
	if err == io.EOF && b.begun && !b.src.Alive() {
		n, err = 0, errProducerHungUp
	}
	b.count += n
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
		if b.count > len(b.buffer)/2 && len(b.buffer) < streamBuffer {
			b.buffer = make([]byte, min(len(b.buffer)*growth, streamBuffer))
		}
		b.taken, b.count = 0, 0
		b.read(b.buffer)
	}
}

// drained reports whether next would have to read the source.
func (b *body) drained() bool { return b.taken == b.count && b.end == nil && b.stop.Load() == nil }

// take returns the bytes that have been read and not been taken.
func (b *body) take() []byte {
	p := b.buffer[b.taken:b.count]
	b.taken = b.count
	if b.end == io.EOF {
		b.handedOut.Store(true)
	}
	return p
}

// halt discards the rest of the body, which ends with why. Only the first call counts. It does not unblock the reader.
func (b *body) halt(why Outcome) { b.stop.CompareAndSwap(nil, &why) }
