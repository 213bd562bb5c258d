// Package pipe is the rendezvous core of httpipe: it decides who meets whom, hands one side's
// bytes to the other, and says truthfully how that ended. It knows neither HTTP nor SQL.
//
// # Nouns
//
// A channel is named by a [Key]. A [Request] arrives at it in one of two roles: a producer brings
// a body, a consumer wants one. A producer and a consumer that meet are an [Exchange]. A channel
// exists from the first request that waits on it until nobody waits and nothing runs on it; that
// span is a [Life]. Channels that nobody uses therefore cost nothing. A [Broker] holds them all, and
// tells a [Recorder] what happens. How a request or an exchange ended is an [Outcome], one of a
// closed list.
//
// # States
//
//	          Arrive                    begins                      Relay returns
//	request ──────────▶ waiting ────────────────────▶ running ─────────────────────▶ over
//	                       │                             │
//	                       │ Left, TimedOut, Deleted,    │ Delivered, ConsumerLeft, ProducerLeft,
//	                       │ Silent, TooLarge, ShutDown, │ Stalled, Silent, TooLarge, Deleted,
//	                       ▼ ProducerLeft                ▼ ShutDown, Unrecorded
//	                     over (told as "gone")         over (told as "ended")
//
// A request that is not let in is over on arrival: TimedOut if it would not wait, Refused by a limit,
// ShutDown while the broker stops.
//
// An exchange begins when nothing runs on the channel, the first producer in the queue is ready (its
// first byte, or the end of an empty body, is in hand), there is a first consumer, and neither has
// hung up. Until then both keep their places, and either may leave without costing the other its own.
// It begins and ends exactly once; the goroutine in [Exchange.Relay] alone decides how, so that a cut
// (a deletion, a stall, a shutdown) and a last byte that was written in the same instant have one
// answer. A life that was deleted is gone from the broker at once, though its exchange may unwind for
// a moment longer beside the next life.
//
// # Invariants
//
//   - Requests of one role on one channel begin in the order in which they arrived.
//   - At most one exchange runs in a life.
//   - No channel is kept that has neither a waiter nor an exchange.
//   - No two that could begin are left waiting.
//   - All that wait stand in one queue in the order of their arrival, all that run in another in the order of
//     their beginning, whatever their channels, so that a [Snapshot] need not visit those.
//   - Every request ends once: gone unmatched, or with its exchange. Its Settled channel is closed once.
//
// The method check states them in code; the tests call it after every step.
//
// # Locking
//
// One mutex, Broker.mu, guards every queue and state in this package, and nothing blocks under it.
// A body has a mutex of its own, which is taken last, so that bytes flow without the broker's. Under
// Broker.mu the broker calls the Recorder and the Arrival's Alive and Interrupt, which is what gives
// a Recorder events in their true order, and a beginning exchange two sides that were there: these
// must return at once and must not call back.
package pipe
