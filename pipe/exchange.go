package pipe

import (
	"io"
	"sync/atomic"
	"time"
)

// An Exchange is a producer and a consumer that have been matched.
type Exchange struct {
	// Set when it begins.
	ID                 string
	Key                Key
	Life               int64 // Life.ID of the channel
	Producer, Consumer *Request
	MatchedAt          time.Time
	channel            *channel
	matched            Commit // of the record of the match

	Call    *Call     // whose request this is; nil for any other
	ReplyTo *Exchange // the request that this answers; nil for any other

	written atomic.Int64 // bytes of the body written to the consumer

	cause Outcome // why it is being cut, "" if it is not; guarded by Broker.mu

	// Set when it ends, under Broker.mu. Constant once the producer's wake channel is closed.
	EndedAt time.Time
	Outcome Outcome // as returned by Relay; a delivery without a record is still Delivered here, see AwaitEnd
	Bytes   int64   // written to the consumer
	ended   Commit  // of the record of the end
}

// A Sink is the consumer's connection. Its methods may block until the consumer accepts the data. The
// consumer's Interrupt makes them return.
type Sink interface {
	// Write may be given an empty slice, for an empty body.
	io.Writer
	// Flush sends what Write was given.
	Flush() error
}

// Relay copies the body to the sink, each piece as soon as it has been read, and returns how the exchange
// ended. The consumer's goroutine, which owns the sink, must call it once. It also reads what Fill has not
// read. It blocks until the exchange has ended, but not for the record of the end.
//
// If it returns Unrecorded, nothing has been written to the sink. If it returns anything but Delivered, the
// caller must make sure that the consumer does not take the body for complete.
func (x *Exchange) Relay(sink Sink) (o Outcome) {
	b := x.channel.broker
	defer func() {
		o = b.endExchange(x, o)
		if x.Call != nil && o == Delivered {
			x.decideDelivery()
		}
	}()

	if b.config.Strict && x.matched.Wait() != nil {
		return Unrecorded
	}
	for {
		o = ProducerLeft // if Body panics
		p, err := x.next()
		o = ConsumerLeft // if the sink panics
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

// next returns the bytes to write next, as body.next does. It cuts the exchange if the producer sends nothing
// for longer than the silence timeout.
func (x *Exchange) next() ([]byte, error) {
	if limit := x.channel.broker.config.SilenceTimeout; limit > 0 {
		silence := time.AfterFunc(limit, func() { x.Cut(Silent) })
		defer silence.Stop()
	}
	return x.Producer.body.next()
}

// Cut asks the exchange to end at once with the outcome why. It interrupts the relay, which then ends the
// exchange, unless the last byte has already been written. Only the first Cut counts.
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
	x.Producer.stopBody(why)
	x.Consumer.interrupt()
}

// WasCut reports whether the exchange was cut before it ended, even if the cut came too late to change the
// outcome. If so, the consumer's Interrupt has been called.
func (x *Exchange) WasCut() bool {
	b := x.channel.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	return x.cause != ""
}

// Written returns how many bytes of the body have been written to the consumer so far.
func (x *Exchange) Written() int64 { return x.written.Load() }

// endExchange ends x with the outcome o of its relay, or with the cause of a cut that came in time, and returns
// that outcome. The next exchange on the channel begins here, before any record is committed.
func (b *Broker) endExchange(x *Exchange, o Outcome) Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o != Delivered && x.cause != "" {
		o = x.cause
	}
	x.EndedAt, x.Outcome, x.Bytes = time.Now(), o, x.written.Load()
	if o != Delivered {
		x.Producer.stopBody(o)
	}
	c := x.channel
	c.Exchanges++
	c.Bytes += x.Bytes
	b.bytesRelayed += x.Bytes
	x.ended = b.recorder.ExchangeEnded(x)
	if o != Delivered { // awaitRecord decides about a delivery
		b.recorder.OutcomeDecided(x, o)
	}
	x.Producer.state, x.Consumer.state = ended, ended
	close(x.Producer.wake)
	c.running = nil
	b.running.remove(x.Producer)
	switch {
	case x.Call != nil:
		x.Call.requestEndedLocked(o)
	case c.call != nil:
		c.call.answerEndedLocked(o)
	case c.Reason == notClosed:
		c.advanceLocked()
	default:
		b.recorder.ChannelClosed(&c.Life)
	}
	b.closeIfIdleLocked()
	return o
}

// decideDelivery decides the outcome of a request to a service that was delivered. Nobody is told of it, so nobody waits for
// its record.
func (x *Exchange) decideDelivery() {
	x.ended.Then(func(err error) {
		o := Delivered
		if err != nil {
			o = o.WithoutRecord()
		}
		x.channel.broker.recorder.OutcomeDecided(x, o)
	})
}

// awaitRecord returns the outcome to tell the producer of an exchange that has ended and, if that is Unrecorded,
// why there is no record. After a delivery it blocks until the record is safe.
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
