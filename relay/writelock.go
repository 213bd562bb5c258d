package relay

import (
	"sync"

	"httpipe/pipe"
)

// A writeLock is the right to write to a subscriber. Three goroutines take it: the one that sends a message, until all
// of the message is written; that of the connection, while it opens the stream; and the timer of streams, for a
// comment.
type writeLock struct {
	mine bool // the goroutine that sends a message has, or waits for, the lock; owned by that goroutine

	mu    sync.Mutex // guards the rest
	busy  bool
	freed chan struct{} // closed when busy becomes false; nil if no goroutine waits
	ended pipe.Outcome  // of the subscription; "" until it has ended; afterwards try fails
}

// try takes the lock if it is free.
func (l *writeLock) try() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy || l.ended != "" {
		return false
	}
	l.busy = true
	return true
}

// await takes the lock, and blocks until it is free. A goroutine that has it already, from an earlier try, keeps it.
func (l *writeLock) await() {
	for !l.mine {
		l.mu.Lock()
		if !l.busy {
			l.busy, l.mine = true, true
			l.mu.Unlock()
			return
		}
		if l.freed == nil {
			l.freed = make(chan struct{})
		}
		freed := l.freed
		l.mu.Unlock()
		<-freed
	}
}

// end gives the lock back. If the subscription has ended meanwhile, it returns the outcome, and the caller ends the
// response.
func (l *writeLock) end() pipe.Outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
	if l.freed != nil {
		close(l.freed)
		l.freed = nil
	}
	return l.ended
}

// over notes that the subscription has ended. It reports whether the caller ends the response; otherwise the goroutine that
// has the lock does. The goroutine that sends a message calls it while it has the lock, if the message was not sent whole.
func (l *writeLock) over(o pipe.Outcome) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = o
	return !l.busy || l.mine
}
