package pipe

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	firstBuffer  = 4 << 10   // a small message costs no more memory than this
	streamBuffer = 512 << 10 // where throughput stops rising with the size of reads and writes
	growth       = 4         // how much larger a buffer gets when it is too small

	// probeEvery is how often a producer whose body waits outside a full buffer is asked whether it
	// still lives. It leaves a second of the five within which a dead one must be noticed.
	probeEvery = 4 * time.Second
)

// A body is what a producer sends, on its way through. While the producer waits, its own goroutine
// reads ahead (fill). Once the exchange runs that one finishes the read it is in and steps aside, and
// the relay's goroutine, which writes to the consumer, reads as well (next): a stream costs no
// hand-over between goroutines. So the source is read by one at a time, first the one, then the other.
//
// A signal channel holds at most one token, and whoever takes it looks again, so that no change is
// missed and none is waited for twice.
type body struct {
	src   io.Reader   // read by fill until it has stepped aside, then by next
	alive func() bool // the producer's Alive
	probe func()      // called by fill while the buffer is full; nil for a client that must not be asked
	asks  int         // how often probe may still be called; owned by fill

	room chan struct{} // signalled when fill may go on: the exchange began, or the body was stopped; never closed
	data chan struct{} // signalled when next may go on: bytes or an end came, or fill returned; never closed

	mu      sync.Mutex // guards all below; taken after Broker.mu, never before it
	buffer  []byte     // what is read; replaced by whoever reads the source
	limit   int        // what the buffer may grow to while the producer waits
	taken   int        // how much of the buffer next has handed out
	count   int        // how much of it has been read, the taken included
	flowing bool       // the exchange has begun
	aside   bool       // fill has stepped aside
	end     error      // why nothing more comes: io.EOF or a failure; nil while more may come
	whole   bool       // next has handed out all of it, io.EOF included
	stop    error      // why nothing of it is wanted any more; nil while it is
}

func newBody(a *Arrival) *body {
	size, limit := firstBuffer, max(a.ReadAhead, 1)
	if a.Length >= 0 && a.Length < firstBuffer {
		size = int(a.Length) + 1 // one more, so that an unannounced end can be read as well
	}
	return &body{
		src:    a.Body,
		alive:  a.alive,
		probe:  a.Probe,
		asks:   a.MaxProbes,
		room:   make(chan struct{}, 1),
		data:   make(chan struct{}, 1),
		buffer: make([]byte, min(size, limit)),
		limit:  limit,
	}
}

// fill reads the source until it ends or fails, until the exchange has begun, or until halt. It blocks
// in the source's Read, and while the buffer is full. It calls ready once, without the lock, when the
// first byte or the end of an empty body is in hand.
func (b *body) fill(ready func()) {
	defer b.quit()
	for {
		space := b.space()
		if space == nil {
			return
		}
		n, err := b.read(space)
		b.filled(n, err)
		if n > 0 && err == nil || err == io.EOF {
			ready()
			ready = func() {}
		}
		if err != nil {
			return
		}
	}
}

// errHungUp is how a body ends whose producer had hung up before the end was read.
var errHungUp = errors.New("the producer has hung up")

// read reads the source once. If the end comes from a producer that has hung up meanwhile, the last bytes
// are lost: with them a body of an announced length would look whole.
func (b *body) read(p []byte) (n int, err error) {
	n, err = b.src.Read(p)
	if err == io.EOF && b.posthumous() {
		return 0, errHungUp
	}
	return n, err
}

// posthumous reports whether the end of the body was read after the producer had hung up. While a producer
// waits its connection is watched, but what its kernel and ours hold of the body hides the FIN behind it:
// a producer that died then can be matched, and only here is it found out.
func (b *body) posthumous() bool {
	b.mu.Lock()
	flowing := b.flowing
	b.mu.Unlock()
	return flowing && !b.alive()
}

// space returns the free part of the buffer that fill may read into, waiting for one, or nil if it is
// to return.
func (b *body) space() []byte {
	for {
		space, full := b.freePart()
		if !full {
			return space
		}
		if b.probe == nil || b.asks == 0 {
			<-b.room
			continue
		}
		select {
		case <-b.room:
		case <-time.After(probeEvery):
			b.asks--
			b.probe()
		}
	}
}

// freePart is space without the wait.
func (b *body) freePart() (space []byte, full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.flowing || b.stop != nil {
		b.aside = b.stop == nil
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

// filled takes note that n more bytes are in the buffer, and of err.
func (b *body) filled(n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count += n
	b.end = err
	signal(b.data)
}

// quit takes note that fill returns. Unless it has stepped aside nothing more is read, be it that the
// source panicked.
func (b *body) quit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end == nil && !b.aside {
		b.end = ProducerLeft
	}
	signal(b.data)
}

// next returns the bytes in hand, or else reads some. It blocks until there are some. They are the
// caller's until it calls next again. The error comes with the last of them: io.EOF, the source's
// failure, or, at once and without any bytes, the one given to halt.
func (b *body) next() ([]byte, error) {
	for {
		p, aside, err := b.take()
		switch {
		case len(p) > 0 || err != nil:
			return p, err
		case !aside:
			<-b.data
			continue
		}
		n, err := b.read(p[:cap(p)])
		b.filled(n, err)
	}
}

// take returns the bytes in hand and how the source ended, if it has. If there is nothing at all, and fill
// has stepped aside, it returns an empty slice of a buffer that the caller may read into.
func (b *body) take() (p []byte, aside bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		return nil, false, b.stop
	}
	p = b.buffer[b.taken:b.count]
	b.taken = b.count
	b.whole = b.end == io.EOF
	if len(p) > 0 || b.end != nil || !b.aside {
		return p, false, b.end
	}
	if b.count > len(b.buffer)/2 && len(b.buffer) < streamBuffer {
		b.buffer = make([]byte, min(len(b.buffer)*growth, streamBuffer))
	}
	b.taken, b.count = 0, 0
	return b.buffer[:0], true, nil
}

// flow lets fill step aside, since the exchange has begun.
func (b *body) flow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flowing = true
	signal(b.room)
}

// halt makes fill and next return, next with why, and what is in hand void. It reports whether the source
// still had more to give, in which case somebody may be blocked reading it. Only the first halt counts.
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

// handedOut reports whether next has handed out all of the body, io.EOF included.
func (b *body) handedOut() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whole
}

// signal leaves a token in c unless one is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
