package pipe

import (
	"cmp"
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
	channel            *channel // must not be used after the end, when it may be reused for another life
	carrier            *Request // the one of the two whose goroutine carries out the exchange
	matched            Commit   // of the record of the match
	whole              bool     // the producer's body was whole in memory
	later              bool     // the carrier's goroutine has to be woken first
	started            bool     // the consumer's response is prepared

	Call    *Call     // whose request this is; nil for any other
	ReplyTo *Exchange // the request that this answers; nil for any other

	written atomic.Int64 // bytes of the body written to the consumer

	// Owned by the carrier's goroutine, as started is.
	failed    Outcome     // why nothing more can be written; "" if writing works
	silence   *time.Timer // of listen; nil before the first one
	listening bool        // silence runs

	cause Outcome // why it is being cut, "" if it is not; guarded by Broker.mu

	// Set when it ends, under Broker.mu. Constant once Relay has returned.
	EndedAt time.Time
	Outcome Outcome // as returned by Relay; a delivery without a record is still Delivered here, see Settle
	Bytes   int64   // written to the consumer
	ended   Commit  // of the record of the end
}

// Relay copies the body to the consumer, each piece as soon as it has been read, and returns how the exchange ended. The
// goroutine that has got the exchange from Begun must call it once, and Settle after it. It also reads what Fill has not
// read. It blocks until the exchange has ended, but not for the record of the end.
//
// If it returns Unrecorded, nothing has been written to the sink. If it returns anything but Delivered, the
// caller must make sure that the consumer does not take the body for complete.
func (x *Exchange) Relay() (o Outcome) {
	b, body := x.Producer.broker, x.Producer.body
	o = ProducerLeft // if Source panics
	defer func() {
		x.heard()
		o = b.endExchange(x, cmp.Or(x.failed, o))
	}()
	if !body.drained() {
		x.heard() // a read that was woken and brought nothing is silence
	}
	x.start()
	if !x.whole && !x.Producer.begun && body.end == io.EOF && !x.Producer.Source.Alive() {
		body.taken, body.end = int32(len(body.buffer)), errProducerHungUp // as in body.read, which did not know of the exchange
	}
	x.Producer.begun = true
	for x.failed == "" {
		x.listen()
		if x.splice() {
			continue
		}
		p, err := body.next()
		x.heard()
		last := err == io.EOF
		// When the exchange began, the consumer was connected. If that was earlier than now, it may have left since.
		if last && (!x.whole || x.later || b.config.Strict) && !x.Consumer.Sink.Alive() {
			return ConsumerLeft
		}
		x.write(p, last)
		switch {
		case x.failed != "":
		case last:
			return Delivered
		case err != nil:
			return bodyOutcome(err, ProducerLeft)
		}
	}
	return x.failed
}

// start prepares the consumer's response, before the first byte.
func (x *Exchange) start() {
	if x.started {
		return
	}
	x.started = true
	if x.Producer.broker.config.Strict && x.matched.Wait() != nil {
		x.failed = Unrecorded
		return
	}
	x.Consumer.Sink.Begin(x)
}

// write writes p to the consumer. It sets failed if it cannot.
func (x *Exchange) write(p []byte, last bool) {
	x.failed = ConsumerLeft // if Sink panics
	n, err := x.Consumer.Sink.Write(p, last)
	x.written.Add(int64(n))
	if err == nil {
		x.failed = ""
	}
}

// splice waits for bytes that the source can send to the sink itself, and has it send them. It reports whether there were
// any. If not, the source must be read.
func (x *Exchange) splice() bool {
	s, ok := x.Producer.Source.(Splicer)
	if !ok || !x.Producer.body.drained() {
		return false
	}
	available := s.Available(x.Consumer.Sink)
	if available == 0 {
		return false
	}
	x.heard()
	x.failed = ConsumerLeft // if it panics
	n, err := s.Splice(x.Consumer.Sink, available)
	x.written.Add(n)
	if err == nil {
		x.failed = ""
	}
	return true
}

// writeAhead writes what has been read so far, while the goroutine of the producer is in Read or Pause.
func (x *Exchange) writeAhead() error {
	x.heard()
	x.start()
	if p := x.Producer.body.take(); len(p) > 0 && x.failed == "" {
		x.write(p, false)
	}
	if x.failed != "" {
		return x.failed
	}
	x.listen()
	return nil
}

// listen cuts the exchange if the producer sends nothing for longer than the silence timeout, unless heard is called
// before. Until then, another call does nothing.
func (x *Exchange) listen() {
	limit := x.Producer.broker.config.SilenceTimeout
	if limit <= 0 || x.whole || x.listening {
		return
	}
	x.listening = true
	if x.silence == nil {
		x.silence = time.AfterFunc(limit, func() { x.Cut(Silent) })
	} else {
		x.silence.Reset(limit)
	}
}

// heard ends listen.
func (x *Exchange) heard() {
	if x.listening {
		x.listening = false
		x.silence.Stop()
	}
}

// Cut asks the exchange to end at once with the outcome why. It interrupts the relay, which then ends the
// exchange, unless the last byte has already been written. Only the first Cut counts.
func (x *Exchange) Cut(why Outcome) {
	b := x.Producer.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	x.cutLocked(why)
}

func (x *Exchange) cutLocked(why Outcome) {
	if x.Outcome != "" || x.cause != "" {
		return
	}
	x.cause = why
	x.Producer.body.halt(why)
	if x.carrier == x.Producer {
		x.Producer.Source.Wake()
	}
	x.Consumer.Sink.Interrupt()
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
	b.clock = time.Now()
	defer func() { b.clock = time.Time{} }()
	x.EndedAt, x.Outcome, x.Bytes = b.clock, o, x.written.Load()
	if o != Delivered {
		x.Producer.body.halt(o)
	}
	c := x.channel
	c.Exchanges++
	c.Bytes += x.Bytes
	b.bytesRelayed += x.Bytes
	x.ended = b.recorder.ExchangeEnded(x)
	if o != Delivered { // Settle decides about a delivery
		b.recorder.OutcomeDecided(x, o)
	}
	x.Producer.state, x.Consumer.state = ended, ended
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
		c.release()
	}
	b.closeIfIdleLocked()
	return o
}

// Settle calls the Answer of the producer's Source with the outcome for the producer and, if that is Unrecorded, why
// there is no record. It must be called once, after Relay, and does not block. After a delivery, Answer is called when the
// record is safe, by the goroutine that commits it, and must not block. Otherwise it is called before Settle returns.
func (x *Exchange) Settle() {
	source := x.Producer.Source
	switch x.Outcome {
	case Delivered:
		if _, committed := x.ended.(Committed); committed {
			x.recorded(nil) // a function for Then would be an allocation
		} else {
			x.ended.Then(x.recorded)
		}
	case Unrecorded:
		source.Answer(x, Unrecorded, x.matched.Wait()) // does not block: that Commit has failed already
	default:
		source.Answer(x, x.Outcome, nil)
	}
}

// recorded is called when the record of a delivery is safe, or cannot be.
func (x *Exchange) recorded(err error) {
	outcome := x.Outcome
	if err != nil {
		outcome = outcome.WithoutRecord()
	}
	x.Producer.broker.recorder.OutcomeDecided(x, outcome)
	x.Producer.Source.Answer(x, outcome, err)
}
