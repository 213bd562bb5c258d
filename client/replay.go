package client

import (
	"errors"
	"io"
	"os"
	"sync"
)

// ErrSpent is the error of opening a body that cannot be read from its beginning any more.
var ErrSpent = errors.New("the input is a stream, and too much of it was read to send it again; send a file instead")

// replayLimit is how much of a stream is kept. It is more than the buffers on the way to a relay usually hold, so a stream
// that waits for its consumer can be sent again.
const replayLimit = 8 << 20

// A Replay makes a stream, such as a pipe, readable from its beginning again, as long as at most 8 MiB of it were read. It
// reads at most one buffer ahead of its reader.
type Replay struct {
	source io.Reader

	mu      sync.Mutex // guards the rest
	changed *sync.Cond // signals every change of the rest
	start   int64      // where kept begins in the stream; more than 0: the stream is spent
	kept    []byte
	err     error         // that ends the stream, after kept
	reading bool          // a goroutine reads from source, into buffer, which is its own meanwhile
	buffer  []byte        // for fill
	reader  *replayReader // the latest; the others are closed
}

// NewReplay returns a Replay of a stream. Only the Replay may read from the stream.
func NewReplay(source io.Reader) *Replay {
	r := &Replay{source: source, buffer: make([]byte, 64<<10)}
	r.changed = sync.NewCond(&r.mu)
	return r
}

// Open returns a reader from the beginning of the stream. It closes the one before. The error is ErrSpent.
func (r *Replay) Open() (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.start > 0 {
		return nil, ErrSpent
	}
	r.reader = &replayReader{replay: r}
	r.changed.Broadcast()
	return r.reader, nil
}

// fill reads from the source once. At the end of the source, or at its error, err is set.
func (r *Replay) fill() {
	n, err := r.source.Read(r.buffer)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, r.buffer[:n]...)
	r.err = err
	r.reading = false
	r.changed.Broadcast()
}

// A replayReader reads a Replay from its beginning.
type replayReader struct {
	replay   *Replay
	position int64
}

// Read waits until the stream has more. It fails once the reader is closed.
func (p *replayReader) Read(into []byte) (int, error) {
	r := p.replay
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.reader != p {
			return 0, os.ErrClosed
		}
		switch rest := r.kept[p.position-r.start:]; {
		case len(rest) > 0:
			n := copy(into, rest)
			p.position += int64(n)
			if r.start > 0 || len(r.kept) > replayLimit {
				r.kept = append(r.kept[:0], rest[n:]...)
				r.start = p.position
			}
			return n, nil
		case r.err != nil:
			return 0, r.err
		}
		if !r.reading {
			r.reading = true
			go r.fill()
		}
		r.changed.Wait()
	}
}

// Close makes Read fail, also one that waits.
func (p *replayReader) Close() error {
	r := p.replay
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reader == p {
		r.reader = nil
	}
	r.changed.Broadcast()
	return nil
}
