package pipe

import (
	"io"
	"sync/atomic"
	"time"
)

// An Exchange is a producer and a consumer that have met.
type Exchange struct {
	// Set when it begins.
	ID                 string
	Key                Key
	Life               int64
	Producer, Consumer *Request
	MatchedAt          time.Time
	channel            *channel
	matched            Commit

	written atomic.Int64 // bytes of the body written to the consumer

	cause Outcome // why it is to be cut, "" if it is not; guarded by Broker.mu

	// Set when it ends, under Broker.mu; constant once the producer has been woken.
	EndedAt time.Time
	Outcome Outcome
	Bytes   int64
	ended   Commit
}

// A Sink is the consumer's connection. Its methods may block for as long as the consumer takes; the
// consumer's Interrupt makes them return.
type Sink interface {
	// Write may be given no bytes, as for an empty body.
	io.Writer
	// Flush sends on what Write has been given.
	Flush() error
}

// Relay sends the body to the consumer, byte by byte as it comes, and returns how the exchange ended.
// The consumer must call it, once, from the goroutine that owns the sink; what was not read ahead of the
// body is read there too. It blocks until the exchange is over, but not for the record of its end.
//
// Nothing has been written to the sink if it returns Unrecorded. If it returns anything but Delivered,
// the consumer must be made to see that the body is not whole.
func (x *Exchange) Relay(sink Sink) (o Outcome) {
	b := x.channel.broker
	defer func() { o = b.end(x, o) }()

	if b.config.Strict && x.matched.Wait() != nil {
		return Unrecorded
	}
	for {
		o = ProducerLeft // also if the source panics
		p, err := x.next()
		o = ConsumerLeft // also if the sink panics
		last := err == io.EOF
		if last && !x.Consumer.alive() {
			return ConsumerLeft
		}
		n, failed := sink.Write(p)
		x.written.Add(int64(n))
		if failed == nil {
			failed = sink.Flush()
		}
		switch {
		case failed != nil:
			return ConsumerLeft
		case last:
			return Delivered
		case err != nil:
			return bodyOutcome(err, ProducerLeft)
		}
	}
}

// next returns what is to be written next, as body.next does. A producer that sends nothing for too long
// is cut off.
func (x *Exchange) next() ([]byte, error) {
	if limit := x.channel.broker.config.SilenceTimeout; limit > 0 {
		silence := time.AfterFunc(limit, func() { x.Cut(Silent) })
		defer silence.Stop()
	}
	return x.Producer.body.next()
}

// Cut asks for the exchange to end at once, for the reason why. The relay, which it interrupts, ends
// it, unless the last byte has been written by then. Only the first Cut counts.
func (x *Exchange) Cut(why Outcome) {
	b := x.channel.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	x.cutLocked(why)
}

func (x *Exchange) cutLocked(why Outcome) {
	if x.Outcome != "" || x.cause != "" {
		return
	}
	x.cause = why
	x.Producer.abandon(why)
	x.Consumer.interrupt()
}

// WasCut reports whether a cut came, be it too late: if so the consumer's Interrupt has been called.
func (x *Exchange) WasCut() bool {
	b := x.channel.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	return x.cause != ""
}

// Written returns how many bytes of the body have been written to the consumer so far.
func (x *Exchange) Written() int64 { return x.written.Load() }

// awaitRecord returns the outcome that the producer of an ended exchange is told, and the error of the record if
// that is Unrecorded. After a delivery it blocks until the record is safe.
func (x *Exchange) awaitRecord() (Outcome, error) {
	switch x.Outcome {
	case Delivered:
		outcome, cause := x.Outcome, error(nil)
		if err := x.ended.Wait(); err != nil {
			outcome, cause = x.Outcome.WithoutRecord(), err
		}
		x.channel.broker.recorder.OutcomeDecided(x, outcome)
		return outcome, cause
	case Unrecorded:
		return Unrecorded, x.matched.Wait() // has failed already, so it does not block
	}
	return x.Outcome, nil
}
