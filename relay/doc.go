// Package relay is the relay path: it turns a POST or PUT into a producer and a GET into a consumer of a
// pipe.Broker, moves the body from one connection to the other, and answers both clients. Package httpapi decides
// which requests are allowed, and answers those that neither produce nor consume.
//
// # A connection on its way
//
//	           engine.go: accept
//	              │
//	              ▼               another path, or not plain HTTP
//	serve.go   read a head ─────────────────────────────────────────▶ handOver ──▶ http.Server
//	              │    ▲                                                               │
//	              │    │                       a request that produces or consumes     │
//	              │    └───────────────────────────── OnEngine ◀───────────────────────┘
//	              ▼
//	          Config.Handler (package httpapi), then Produce or Consume
//
// Each connection has one goroutine, which reads a head with package http1, serves the request, writes the response
// (response.go), and goes on with the next. While a connection is idle it holds no buffer (raw_unix.go). A request for
// net/http takes its connection along, with the bytes that were read. If such a connection later carries a request that
// produces or consumes, the engine takes it back. So there is one relay, and net/http does what it is good at.
//
// # A request on its way
//
//	           Produce                                      Consume
//	              │                                            │ not_a_consumer.go: would this client lose the message?
//	              │                                            │ DropBody: a GET's body means nothing
//	              ▼                                            ▼
//	arrive.go     how long it may wait (wait.go), and whether anything may be relayed now
//	              │                                            │
//	source.go     │ the body, or the first part of a form      │
//	requestbody.go▼                                            ▼
//	pending.go    Response.Park: the handler will not answer the request
//	              │                                            │
//	              ▼                                            ▼
//	          Broker.Arrive ═══════════ pipe ═══════════▶ carryOut: Exchange.Relay
//	              │                                            │ sink.go: the response
//	              │                                            │ splice.go: the kernel moves the body, if it can
//	              │                                            │ stall.go: does the client's kernel still acknowledge?
//	              ▼                                            ▼
//	produce.go    producer.Answer, after the commit           end in order, or break off
//
// # Reading and writing
//
// A connection's goroutine reads it. It is in Read while the connection is idle, and while its request waits or is answered
// (parked.go): so it sees at once that the client hangs up. It keeps the bytes of a next request, up to a limit; beyond
// that it reads no more, and only waits for the hang-up, where the system reports it (socket_linux.go).
//
// A response is written by the goroutine that has something to write. A message that is whole in memory is written to its
// consumer by the goroutine of whichever request came later, and a stream by the goroutine of the producer, which has to
// read anyway. The producer's 200 is written by the goroutine that commits the record, or without a log by the one that
// has carried out the exchange. So a request that waits costs no goroutine a wake-up before its client has sent the next.
// The right to write passes from one to the next under one lock: see Pending. What cannot be written at once and must not
// block is written by a goroutine of its own.
//
// A connection's goroutine does the rest: Pending.Wake has it answer a request that ended without an exchange, and carry
// out an exchange that began when neither of its requests had just come.
//
// A connection need not be TCP. Over TLS nothing is written without the chance to block, and reads take one byte first, so
// that a connection that waits has no buffer.
//
// Requests that net/http has read and requests that the engine has read become the same type, [Request]. Its Header holds
// the fields in one array, as package http1 found them, and every rule looks them up there.
//
// # System calls
//
// A small exchange takes two reads, two writes, and one look at both connections when it begins. A goroutine also tries to read
// before it waits, and often finds nothing. That read cannot be left out: when a read begins, Go's poller forgets what has
// arrived since the last one, so the goroutine would wait for bytes that are already there. All of these calls are made
// without telling Go's scheduler (now_linux.go), since none of them blocks.
//
// # Stacks
//
// A connection's goroutine serves its requests on its own stack. Go doubles a stack that is full, and its garbage collector halves
// a stack of which most is unused, such as that of a goroutine that waits. Without a log a small exchange fits into a stack of 4 KB,
// which the collector leaves as it is; TestStackOfAnExchange in package httpapi measures that. With 8 KB an idle connection would
// take 3.7 KB more, and the stacks would have to grow again after each collection. So a function that needs much of the stack, such
// as one that makes a pipe.Arrival, returns before an exchange is carried out.
//
// # Services
//
// A call (service.go) is a producer and a consumer in one pending request: its request is read as any producer's, and
// the answer is written to it as to any consumer. Only the heads differ. A worker's response carries the head of the
// caller's request (headers.go). The caller's response carries the status and the headers that the worker sets, except
// for those that only this server may set (answer_head.go).
//
// # Topics
//
// A publisher (publish.go) reads its body whole, and its goroutine then writes the message to all subscribers. A
// subscriber (subscribe.go) is a pending request that gets one message, or a stream of them as server-sent events, JSON
// lines or raw bytes (form.go). Three goroutines may write to it; they take turns by its writeLock. A timer sends
// comments to idle streams (streams.go).
//
// # Rules
//
//   - A consumer's response starts with the first byte of the body, and a producer's only when the exchange has
//     ended. HTTP clients and proxies lose data, or hang, if a response starts before the request is sent.
//   - Nothing wraps the response of a consumer. A wrapper that compresses, counts or recovers would delay bytes, change
//     them, or make half a body look whole.
//   - A body that did not arrive whole never ends like one that did: the last chunk is missing, there are too few
//     bytes, or the connection ends with a reset.
//   - A connection is idle, as far as the engine knows, before the engine looks whether it is stopping: otherwise a
//     shutdown could miss it.
package relay
