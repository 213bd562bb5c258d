package pipe

import "time"

// A Recorder is told what happens, in the order in which it happens. It is called under the broker's
// lock: its methods return at once (they queue, they do not write), must not call the broker, and read
// their arguments only during the call.
type Recorder interface {
	ChannelOpened(*Life)
	ChannelClosed(*Life)
	// RequestGone tells of a request that ended without having been in an exchange.
	RequestGone(*Request)
	// ExchangeMatched tells that an exchange has begun. With Config.Strict no byte is relayed before
	// its Commit is safe.
	ExchangeMatched(*Exchange) Commit
	// ExchangeEnded tells how the exchange ended. A producer learns of a delivery only after its
	// Commit is safe. If the Commit fails, the outcome is Exchange.Outcome.WithoutRecord.
	ExchangeEnded(*Exchange) Commit
	// OutcomeDecided tells the outcome of an ended exchange once it cannot change any more: for a delivery
	// after its Commit, when the producer is about to be answered; this call comes without the broker's
	// lock. For any other outcome it comes with the lock, right after ExchangeEnded.
	OutcomeDecided(*Exchange, Outcome)
}

// A Commit is a record on its way to where it is safe.
type Commit interface {
	// Wait blocks until the record is safe, or returns why it is not. It blocks for a bounded time.
	Wait() error
}

// A Life is the time for which a channel existed.
type Life struct {
	ID       int64 // counts from 1 in each Broker
	Key      Key
	OpenedAt time.Time

	// Set when it has closed.
	ClosedAt  time.Time
	Reason    Reason
	Exchanges int64 // that ended in this life, however they ended
	Bytes     int64 // that they wrote to consumers
}

// Reason is why a channel closed.
type Reason string

const (
	Idle             Reason = "idle"        // nobody waited and nothing ran
	ChannelDeleted   Reason = "deleted"     // somebody deleted it
	BrokerShutDown   Reason = "shut_down"   // the server stopped
	LifeInterrupted  Reason = "interrupted" // the process died; written at the next start
	reasonStillAlive Reason = ""
)

// Discard is a Recorder that keeps nothing.
type Discard struct{}

func (Discard) ChannelOpened(*Life)               {}
func (Discard) ChannelClosed(*Life)               {}
func (Discard) RequestGone(*Request)              {}
func (Discard) ExchangeMatched(*Exchange) Commit  { return Safe{} }
func (Discard) ExchangeEnded(*Exchange) Commit    { return Safe{} }
func (Discard) OutcomeDecided(*Exchange, Outcome) {}

// Safe is the Commit of a record that needs no waiting for.
type Safe struct{}

// Wait returns nil at once.
func (Safe) Wait() error { return nil }
