package pipe

import "time"

// A Recorder receives the broker's events, in the order in which they happen. The broker calls it with its lock held,
// unless a comment says otherwise: the methods must return at once (queue, not write), must not call the
// broker, and must read their arguments only during the call.
type Recorder interface {
	ChannelOpened(*Life)
	ChannelClosed(*Life)
	// RequestUnmatched reports a request that has ended without having been in an exchange.
	RequestUnmatched(*Request)
	// ExchangeMatched reports that an exchange has begun. With Config.Strict no byte is relayed before the
	// Commit is safe.
	ExchangeMatched(*Exchange) Commit
	// ExchangeEnded reports that an exchange has ended, with Exchange.Outcome. If the Commit fails, the record
	// must say Exchange.Outcome.WithoutRecord instead.
	ExchangeEnded(*Exchange) Commit
	// OutcomeDecided reports, once for each exchange, the outcome for the producer. For a delivery Exchange.Settle calls
	// it after the Commit of ExchangeEnded, without the broker's lock. For any other outcome it follows ExchangeEnded
	// at once.
	OutcomeDecided(*Exchange, Outcome)

	// CallEnded reports that a call has ended, after its exchanges. ExchangeMatched has reported its beginning: the
	// exchange of its request has a Call.
	CallEnded(*Call)

	// SubscriptionOpened reports that a subscription was added to its topic.
	SubscriptionOpened(*Subscription)
	// SubscriptionEnded reports that such a subscription has ended, with Subscription.Outcome.
	SubscriptionEnded(*Subscription) Commit
	// PublicationAccepted reports that a message will be sent. With Config.Strict no byte is sent before the Commit is
	// safe.
	PublicationAccepted(*Publication) Commit
	// PublicationEnded reports that a message has been sent to all subscribers. If the Commit fails, the record must say
	// Unrecorded instead of Published.
	PublicationEnded(*Publication) Commit
}

// A Commit is a record that is being written.
type Commit interface {
	// Wait blocks until the record is safe and returns nil, or returns why it is not. The time for which it
	// blocks is bounded.
	Wait() error
	// Then calls f exactly once, with what Wait returns: before it returns if that is known already, otherwise on
	// the goroutine that makes records safe, without any lock of the Recorder. All other records wait until f
	// returns, so it must not block. It may call the Recorder and the broker.
	Then(f func(error))
}

// A Life is the time from a channel's opening to its closing.
type Life struct {
	ID       int64 // counts from 1 in each Broker
	Key      Key
	OpenedAt time.Time

	// Set when the channel closes.
	ClosedAt  time.Time
	Reason    CloseReason
	Exchanges int64 // that have ended in this life, whatever their outcome
	Bytes     int64 // that these have written to consumers
}

// CloseReason is why a channel closed.
type CloseReason string

const (
	ClosedIdle        CloseReason = "idle"        // no request waited and no exchange ran
	ClosedDeleted     CloseReason = "deleted"     // a client deleted it
	ClosedShutDown    CloseReason = "shut_down"   // the server stopped
	ClosedInterrupted CloseReason = "interrupted" // the process died; written at the next start
	notClosed         CloseReason = ""
)

// Discard is a Recorder that keeps nothing.
type Discard struct{}

func (Discard) ChannelOpened(*Life)               {}
func (Discard) ChannelClosed(*Life)               {}
func (Discard) RequestUnmatched(*Request)         {}
func (Discard) ExchangeMatched(*Exchange) Commit  { return Committed{} }
func (Discard) ExchangeEnded(*Exchange) Commit    { return Committed{} }
func (Discard) OutcomeDecided(*Exchange, Outcome) {}
func (Discard) CallEnded(*Call)                   {}

func (Discard) SubscriptionOpened(*Subscription)        {}
func (Discard) SubscriptionEnded(*Subscription) Commit  { return Committed{} }
func (Discard) PublicationAccepted(*Publication) Commit { return Committed{} }
func (Discard) PublicationEnded(*Publication) Commit    { return Committed{} }

// Committed is the Commit of a record that nothing has to wait for.
type Committed struct{}

// Wait returns nil at once.
func (Committed) Wait() error { return nil }

// Then calls f with nil at once.
func (Committed) Then(f func(error)) { f(nil) }
