// Package pipe is the core of httpipe: it matches producers with consumers, relays each producer's body
// to its consumer, and decides how the exchange ended. It knows neither HTTP nor SQL.
//
// # Terms
//
// A [Key] names a channel. A [Request] arrives at a channel in one of two roles: a producer has a body to
// send, a consumer is to receive one. A producer and a consumer that have been matched are an [Exchange].
// A channel exists from the first request that waits on it until no request waits and no exchange runs on
// it; that span is a [Life]. An unused channel takes no memory: its structure is reused for the next life of any
// channel. A [Broker] holds all channels and reports to a [Recorder] what happens on them. An [Outcome], one of a closed
// list, says how a request or an exchange ended.
//
// # States of a request
//
//	          Arrive              exchange begins             Relay returns
//	request ──────────▶ waiting ──────────────────▶ running ───────────────┐
//	                       │                                               │
//	                       │ Left, TimedOut, Deleted,                      │ Delivered, ConsumerLeft, ProducerLeft,
//	                       │ Silent, TooLarge, ShutDown,                   │ Stalled, Silent, TooLarge, Deleted,
//	                       ▼ ProducerLeft                                  ▼ ShutDown, Unrecorded
//	                 ended, unmatched                               ended, with its exchange
//
// A request that the broker does not admit ends in Arrive: as TimedOut if it does not want to wait and
// would have to, as Refused if it exceeds a limit (limits.go), as ShutDown while the broker stops or if it does not serve
// the name (giveup.go).
//
// An exchange begins when no other runs on the channel, the first producer in the queue is ready (its first
// byte, or the end of an empty body, has been read), a consumer waits, and neither client has hung up.
// Until then both requests keep their places, and either can end without costing the other its place.
//
// An exchange begins once and ends once. Only the goroutine in [Exchange.Relay] decides how it ends, so
// there is one answer if the last byte is written at the moment of a cut (by a deletion, a stall, a
// shutdown). A deleted life leaves the broker at once, but its exchange may take a moment to end while
// the next life of the channel has already opened.
//
// # From a cause to an answer
//
// An outcome travels in one direction:
//
//	cause    the last byte is written, the body or the sink fails, Leave or Cut is called
//	  │
//	  ▼
//	end      Relay returns: Exchange.Outcome is set, and the next exchange may begin
//	  │
//	  ▼
//	record   Recorder.ExchangeEnded queues the row and returns its Commit
//	  │
//	  ▼
//	answer   after a delivery, when the Commit calls back; if it has failed, Outcome.WithoutRecord says Unrecorded
//	  │
//	  ├────▶ Recorder.OutcomeDecided: the metric
//	  └────▶ Source.Answer: the producer's status and the server's log line
//
// The row says the same as the answer, because the Recorder queues it with both outcomes and the audit log
// writes the second if the Commit fails. An outcome other than Delivered is decided at the end and does
// not wait for its record. The consumer never waits for a record, except for that of the match with
// Config.Strict. A request that ends unmatched has a shorter way: RequestUnmatched records and counts it,
// then Peer.Wake has the goroutine that serves it look at it.
//
// # Carrying out an exchange
//
// Nothing in this package waits for a match or an end. The goroutine that serves a request, that of its connection, calls
// [Broker.Arrive] and, for a producer, [Request.Fill], and after each Wake of the connection it looks at the request:
//
//	Begun is not nil   the goroutine carries the exchange out: Relay, then Settle
//	Unmatched          it answers the client with Outcome
//	neither            the request waits, or is another goroutine's business
//
// One goroutine owns a body at a time (body.go), and carries out its exchange:
//
//   - The consumer's, if the exchange begins in its Arrive and the body is whole in memory. The producer's sleeps on.
//   - The producer's in all other cases. It is woken, unless the exchange begins in its own Arrive or Fill. If it is in
//     Read or Pause of its Source, it calls [Request.CatchUp], which writes what has been read so far. So no byte waits
//     for the next one, and reading never changes hands.
//
// A Source that is a [Splicer] sends the most of a long body to the Sink itself, without a copy in this process. Relay only
// waits for the bytes, counts them, and reads and writes the last of them.
//
// # Topics
//
// A topic is where one publisher reaches all subscribers. Its core is topic.go, subscription.go, publication.go and
// fanout.go. A [Publication] holds a message whole in memory (message.go). A [Subscription] is a client that receives the
// messages of a topic in their order, or, with Once, one of them. A [Subscriber] is its connection.
//
//	             Read            Publish                    it is first in the queue         all connections are done
//	publication ─────▶ waiting ───────────────▶ accepted ───────────────────────▶ being sent ─────────────────────▶ ended
//	             │        │ enough subscribers?                                   pass, then finish                  Published,
//	             ▼        ▼ TimedOut, Left, Deleted, ShutDown, Refused                                               Unrecorded
//	      TooLarge, Refused, ProducerLeft
//
//	              Subscribe               a pass reaches it                     it has taken the message
//	subscription ──────────▶ subscribed ────────────────────▶ receiving ──────────────────────────────▶ subscribed,
//	                             │                                │                                     or ended (Delivered)
//	                             ▼                                ▼
//	                    ended: Left, TimedOut,           ended: Left, Stalled,
//	                    Deleted, ShutDown                Deleted, ShutDown; the message must not look whole
//
// A message is accepted when its last byte is in hand and enough clients are subscribed. It goes to the subscriptions that
// exist at that moment, even if its publisher leaves. A topic sends one message at a time, in the order in which they were
// accepted.
//
// The goroutine in [Publication.Publish] sends: a pass offers the message to each connection, which takes what it can
// without blocking. The connections that have not taken all of it get a goroutine each, which blocks. A watch cuts those
// that acknowledge nothing for Config.MessageTimeout, or are not done after six times that. While a message is written to a
// subscription its state is receiving, and only the sender ends it: a hang-up, a timeout or a deletion notes its cause and
// interrupts the write. So a subscription ends between two messages, or its last message is visibly cut.
//
// # Services
//
// A service is a channel on which exchanges run side by side, and each message gets an answer. A caller is its producer,
// a worker its consumer; what they exchange is a request. The match makes a [Call], which ends with the answer:
//
//	              the worker takes it         delivered                an answer is ready
//	caller waits ────────────────────▶ request ────────▶ caller waits ──────────────────▶ answer
//	     │                                │              for its answer                     │
//	     │ as any producer                │ a failure,        │ Left, Unanswered,            │ Answered, Left,
//	     ▼                                ▼ a cut             ▼ Deleted, ShutDown            ▼ a failure, a cut
//	ended, unmatched                    the call ends    the call ends                  the call ends
//
// The answer is an exchange too, on a channel that only the call knows: its producer is the request that [Broker.Answer]
// admits by the call's reply id, its consumer the caller, which arrives there when its request has been delivered. An
// answer that comes earlier waits there. A second one is refused while the first waits or runs, and after it.
//
// A call keeps its service in existence, runs on during a shutdown until that cuts, and is cut with its service. If the
// request could not be recorded, its call runs on: the worker has it.
//
// # Invariants
//
//   - Requests of one role on one channel begin their exchanges in the order in which they arrived.
//   - At most one exchange runs in a life, but for services.
//   - Every channel in the broker has a waiting request or a running exchange.
//   - No producer and consumer that could begin an exchange are left waiting.
//   - One queue holds the waiting requests of all channels in order of arrival, and one the running
//     exchanges of all channels in the order in which they began, so that a [Snapshot] need not visit
//     every channel.
//   - A call has at most one answer that waits or runs, and its caller waits for it exactly while its request has been
//     delivered and no answer has begun. A caller gets at most one answer, its own.
//   - Every request ends once: unmatched, or with its exchange.
//   - The subscriptions of a topic are listed in the order of their arrival, and their ids and those of the topic's
//     publications ascend together.
//   - A subscription takes every message of its topic from its first to its last, whole and in their order.
//   - At most one message of a topic is being sent, and no subscription receives when none is.
//   - A publication waits only while there are not enough subscribers for it.
//   - Every topic in the broker has a subscription, or a publication that waits or has not ended.
//
// The method check states them in code; the tests call it after every step.
//
// # Locking
//
// One mutex, Broker.mu, guards every queue and every state in this package, and nothing blocks while it is
// held. A body has no lock, because one goroutine at a time owns it. The broker calls the Recorder, the methods of Peer,
// and Interrupt of a Sink and a Subscriber, with Broker.mu held. So the Recorder sees events in their true order, and an
// exchange begins with two clients that are still connected. These functions must return at once and must not call the
// broker. What happens in one call of the broker, such as an arrival, the opening of its channel and a match, happens at
// one time: Broker.clock.
package pipe
