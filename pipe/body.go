package pipe

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	firstRing = 4 << 10   // a small message costs no more memory than this
	relayRing = 512 << 10 // where throughput stops rising with the size of reads and writes
	growth    = 4         // how much larger a ring gets when the producer fills it

	// probeEvery is how often a producer whose body waits outside a full ring is asked whether it
	// still lives.
	probeEvery = time.Second
)

// A body is what a producer sends, on its way through: a ring of bytes between the goroutine that
// reads them from the source (fill) and the one that relays them (next). While the producer waits the
// ring is its read-ahead; while the exchange runs it lets reading and writing overlap. It grows only
// when it is full, so a small message stays small and a fast stream gets large reads.
//
// fill and next hold different parts of the ring while they read and write it without the lock; the
// lock guards only which part is whose. A signal channel holds at most one token, and whoever takes
// it looks again, so that no change is missed and none is waited for twice.
type body struct {
	src   io.Reader   // read by fill alone
	alive func() bool // the producer's Alive
	probe func()      // called by fill while the ring is full; nil for a client that must not be asked

	room chan struct{} // signalled when fill may go on: room was made, or the body was stopped; never closed
	data chan struct{} // signalled when next may go on: bytes or an end came, or it was stopped; never closed

	mu      sync.Mutex // guards all below; taken after Broker.mu, never before it
	ring    []byte     // storage; replaced by fill alone
	limit   int        // what the ring may grow to
	flowing bool       // the exchange has begun
	start   int        // where in the ring the held bytes begin
	held    int        // bytes handed out by next and not yet returned to the ring
	count   int        // bytes in hand, which follow the held ones
	end     error      // why nothing more comes: io.EOF or a failure; nil while more may come
	whole   bool       // next has handed out all of it, io.EOF included
	stop    error      // why nothing of it is wanted any more; nil while it is
}

func newBody(a *Arrival) *body {
	size, limit := firstRing, max(a.ReadAhead, 1)
	if a.Length >= 0 && a.Length < firstRing {
		size = int(a.Length) + 1 // one more, so that an unannounced end can be read as well
	}
	return &body{
		src:   a.Body,
		alive: a.alive,
		probe: a.Probe,
		room:  make(chan struct{}, 1),
		data:  make(chan struct{}, 1),
		ring:  make([]byte, min(size, limit)),
		limit: limit,
	}
}

// fill reads the source until it ends or fails, or until halt. It blocks in the source's Read, and while
// the ring is full. It calls ready once, without the lock, when the first byte or the end of an empty
// body is in hand.
func (b *body) fill(ready func()) {
	defer b.quit()
	for {
		space, err := b.space()
		if err != nil {
			return
		}
		n, err := b.src.Read(space)
		if err == io.EOF && b.posthumous() {
			n, err = 0, errHungUp // with its last bytes a body of an announced length would look whole
		}
		if b.filled(n, err) && (err == nil || err == io.EOF) {
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

// posthumous reports whether the end of the body was read after the producer had hung up. While a producer
// waits its connection is watched, but what its kernel and ours hold of the body hides the FIN behind it:
// a producer that died then can be matched, and only here is it found out.
func (b *body) posthumous() bool {
	b.mu.Lock()
	flowing := b.flowing
	b.mu.Unlock()
	return flowing && !b.alive()
}

// space returns the free part of the ring that the next read may fill, waiting for one.
func (b *body) space() ([]byte, error) {
	for {
		space, err := b.freePart()
		if space != nil || err != nil {
			return space, err
		}
		if b.probe == nil {
			<-b.room
			continue
		}
		select {
		case <-b.room:
		case <-time.After(probeEvery):
			b.probe()
		}
	}
}

// freePart is space without the wait: nil if the ring is full.
func (b *body) freePart() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		return nil, b.stop
	}
	used := b.held + b.count
	if used == 0 {
		b.start = 0
	}
	if used == len(b.ring) {
		if len(b.ring) >= b.limit {
			return nil, nil
		}
		b.grow()
		used = b.count
	}
	from := (b.start + used) % len(b.ring)
	return b.ring[from:min(from+len(b.ring)-used, len(b.ring))], nil
}

// grow moves the bytes in hand to a larger ring. Those that next has handed out stay where they are,
// and the old storage with them, until the relay is done with it.
func (b *body) grow() {
	larger := make([]byte, min(len(b.ring)*growth, b.limit))
	from := (b.start + b.held) % len(b.ring)
	n := copy(larger, b.ring[from:min(from+b.count, len(b.ring))])
	copy(larger[n:], b.ring[:b.count-n])
	b.ring, b.start, b.held = larger, 0, 0
}

// filled takes note of n more bytes and of err, and reports whether that is any news.
func (b *body) filled(n int, err error) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count += n
	b.end = err
	signal(b.data)
	return n > 0 || err != nil
}

// quit takes note that nothing more is read, be it that the source panicked.
func (b *body) quit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end == nil {
		b.end = ProducerLeft
		signal(b.data)
	}
}

// next returns the bytes in hand, waiting for the first of them, and whether more are there already.
// They are the caller's to read until it calls next again. The error comes with the last of them:
// io.EOF, the source's failure, Silent if nothing came for as long as silence (0: any time), or, at
// once and without any bytes, the one given to halt.
func (b *body) next(silence time.Duration) (p []byte, more bool, err error) {
	var expired <-chan time.Time
	for {
		p, more, err = b.take()
		if p != nil || err != nil {
			return p, more, err
		}
		if silence > 0 && expired == nil {
			timer := time.NewTimer(silence)
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case <-b.data:
		case <-expired:
			return nil, false, Silent
		}
	}
}

// take is next without the wait: nothing at all if nothing is in hand.
func (b *body) take() (p []byte, more bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held > 0 {
		b.start = (b.start + b.held) % len(b.ring)
		b.held = 0
		signal(b.room)
	}
	if b.stop != nil {
		return nil, false, b.stop
	}
	if b.count > 0 {
		p = b.ring[b.start:min(b.start+b.count, len(b.ring))]
		b.held = len(p)
		b.count -= len(p)
	}
	if b.count > 0 {
		return p, true, nil
	}
	b.whole = b.end == io.EOF
	return p, false, b.end
}

// flow lets the ring grow to what a running exchange may use.
func (b *body) flow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flowing = true
	b.limit = max(b.limit, relayRing)
	signal(b.room)
}

// halt makes fill and next return why, and what is in hand void. It reports whether the source still
// had more to give, in which case somebody may be blocked reading it. Only the first halt counts.
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
