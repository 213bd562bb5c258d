package pipe

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	firstBuffer  = 4 << 10   // keeps small messages small in memory
	streamBuffer = 512 << 10 // larger reads and writes give no more throughput
	growth       = 4         // the factor by which a full buffer grows

	// probeEvery is the time between two calls of Arrival.Probe. A dead client must be noticed within 5 s, which
	// leaves one second for the probe and its effect.
	probeEvery = 4 * time.Second
)

// A body holds the bytes that a producer has sent and its consumer has not been given yet.
//
// While the producer waits, the goroutine in fill reads ahead. When the exchange begins, fill finishes the read
// that it is in and hands the source over to the relay's goroutine, which from then on reads (in next) what it
// writes to the consumer. So a stream passes no data between goroutines, and only one goroutine reads the
// source at any time.
//
// The signal channels hold at most one token. A goroutine that receives it examines the state again, so no
// change is missed and no signal is counted twice.
type body struct {
	src    io.Reader   // read by fill until it has handed over, then by next
	alive  func() bool // the producer's Alive
	probe  func()      // the producer's Probe; may be nil
	probes int         // how many more times probe may be called; owned by fill

	room chan struct{} // signals fill: the exchange has begun, or the body was halted; never closed
	data chan struct{} // signals next: there are bytes or an end, or fill has returned; never closed

	mu         sync.Mutex // guards everything below; locked after Broker.mu, never before it
	buffer     []byte     // bytes read; replaced by the goroutine that reads the source
	limit      int        // how far the buffer may grow while the producer waits
	taken      int        // how many bytes of the buffer next has returned
	count      int        // how many bytes of the buffer have been read, including those taken
	begun      bool       // the exchange has begun
	handedOver bool       // fill has returned so that next reads the source
	end        error      // how the source ended: io.EOF or a failure; nil while more may come
	whole      bool       // next has returned everything, io.EOF included
	stop       error      // why the rest is to be discarded; nil unless halted
}

func newBody(a *Arrival) *body {
	size, limit := firstBuffer, max(a.ReadAhead, 1)
	if a.Length >= 0 && a.Length < firstBuffer {
		size = int(a.Length) + 1 // one more, so that the read after the last byte finds room and returns io.EOF
	}
	return &body{
		src:    a.Body,
		alive:  a.alive,
		probe:  a.Probe,
		probes: a.MaxProbes,
		room:   make(chan struct{}, 1),
		data:   make(chan struct{}, 1),
		buffer: make([]byte, min(size, limit)),
		limit:  limit,
	}
}

// fill reads the source until it ends or fails, the exchange begins, or halt is called. It blocks in the
// source's Read and while the buffer is full. It calls ready once, without the lock, when it has read the first
// byte or the end of an empty body.
func (b *body) fill(ready func()) {
	defer b.fillReturned()
	for {
		space := b.awaitSpace()
		if space == nil {
			return
		}
		n, err := b.read(space)
		b.add(n, err)
		if n > 0 && err == nil || err == io.EOF {
			ready()
			ready = func() {}
		}
		if err != nil {
			return
		}
	}
}

// errProducerHungUp ends a body if its producer has hung up before the end was read.
var errProducerHungUp = errors.New("the producer has hung up")

// read reads the source once. If it reads the end of the body after the producer has hung up, it drops the last
// bytes, so that a body with an announced length does not look whole.
func (b *body) read(p []byte) (n int, err error) {
	n, err = b.src.Read(p)
	if err == io.EOF && b.readAfterHangUp() {
		return 0, errProducerHungUp
	}
	return n, err
}

// readAfterHangUp reports whether the producer has hung up, once its exchange has begun. Before that its
// connection is watched, but bytes of the body that are still in a kernel's buffer or in ours hide the FIN that
// follows them. So a dead producer may be matched, and this check finds out.
func (b *body) readAfterHangUp() bool {
	b.mu.Lock()
	begun := b.begun
	b.mu.Unlock()
	return begun && !b.alive()
}

// awaitSpace returns the free part of the buffer for fill to read into. It blocks while there is none. It returns
// nil if fill must return.
func (b *body) awaitSpace() []byte {
	for {
		space, full := b.space()
		if !full {
			return space
		}
		if b.probe == nil || b.probes == 0 {
			<-b.room
			continue
		}
		select {
		case <-b.room:
		case <-time.After(probeEvery):
			b.probes--
			b.probe()
		}
	}
}

// space is awaitSpace without blocking: full tells the caller to wait.
func (b *body) space() (space []byte, full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.begun || b.stop != nil {
		b.handedOver = b.stop == nil
		return nil, false
	}
	if b.count == len(b.buffer) {
		if len(b.buffer) == b.limit {
			return nil, true
		}
		larger := make([]byte, min(len(b.buffer)*growth, b.limit))
		copy(larger, b.buffer)
		b.buffer = larger
	}
	return b.buffer[b.count:], false
}

// add notes the result of a read: n more bytes are in the buffer, and err is how the source ended, or nil.
func (b *body) add(n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count += n
	b.end = err
	signal(b.data)
}

// fillReturned notes that fill returns. Unless it has handed over, nothing more will be read, for example because
// the source has panicked.
func (b *body) fillReturned() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end == nil && !b.handedOver {
		b.end = ProducerLeft
	}
	signal(b.data)
}

// next returns the bytes that have been read, or reads more. It blocks until there are some. The caller may use
// the slice until it calls next again. With the last bytes comes the error: io.EOF or the source's failure. After
// halt it returns the error of that at once, without bytes.
func (b *body) next() ([]byte, error) {
	for {
		p, handedOver, err := b.take()
		switch {
		case len(p) > 0 || err != nil:
			return p, err
		case !handedOver:
			<-b.data
			continue
		}
		n, err := b.read(p[:cap(p)])
		b.add(n, err)
	}
}

// take returns the bytes that have been read and how the source ended, if it has. If there are none and fill has
// handed over, it returns an empty slice of a buffer that the caller may read into.
func (b *body) take() (p []byte, handedOver bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		return nil, false, b.stop
	}
	p = b.buffer[b.taken:b.count]
	b.taken = b.count
	b.whole = b.end == io.EOF
	if len(p) > 0 || b.end != nil || !b.handedOver {
		return p, false, b.end
	}
	if b.count > len(b.buffer)/2 && len(b.buffer) < streamBuffer {
		b.buffer = make([]byte, min(len(b.buffer)*growth, streamBuffer))
	}
	b.taken, b.count = 0, 0
	return b.buffer[:0], true, nil
}

// begin makes fill hand over to next, because the exchange has begun.
func (b *body) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = true
	signal(b.room)
}

// halt discards the rest of the body. It makes fill return, and next return the error why. It reports whether the
// source had not ended yet, in which case a goroutine may be blocked reading it. Only the first call counts.
func (b *body) halt(why error) (reading bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop == nil {
		b.stop = why
		signal(b.room)
		signal(b.data)
	}
	return b.end == nil
}

// ended returns how the source ended: nil while more may come, io.EOF after a whole body.
func (b *body) ended() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.end
}

// handedOut reports whether next has returned all of the body, io.EOF included.
func (b *body) handedOut() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whole
}

// signal puts a token into c, unless there is one already.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
