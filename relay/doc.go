// Package relay is the relay path: it turns a POST or PUT into a producer and a GET into a consumer of a
// pipe.Broker, moves the body from one connection to the other, and answers both clients. Package httpapi decides
// who may send a request, and answers those that do not produce or consume.
//
// # A connection on its way
//
//	           engine.go: accept
//	              │
//	              ▼               not a channel's, or not plain HTTP
//	serve.go   read a head ─────────────────────────────────────────▶ handOver ──▶ http.Server
//	              │    ▲                                                               │
//	              │    │                       a request that produces or consumes     │
//	              │    └───────────────────────────── onEngine ◀───────────────────────┘
//	              ▼
//	          Config.Handler (package httpapi), then Produce or Consume
//
// Each connection has one goroutine, which reads a head with package http1, serves the request, writes the response
// (response.go), and goes on with the next. While a connection is idle it holds no buffer (idle_unix.go). A request for
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
//	          Broker.Arrive ═══════════ pipe ═══════════▶ Exchange.Relay
//	              │                                            │ sink.go: the response
//	              │                                            │ splice.go: the kernel moves the body, if it can
//	              │                                            │ stall.go: does the client's kernel still acknowledge?
//	              ▼                                            ▼
//	produce.go    AwaitEnd, then reply.Delivered or an error   end in order, or break off
//
// While a request waits, its goroutine does not read the connection. A watcher (watch_linux.go) sees that a client
// hangs up, and its request loses its place at once, whatever the client has sent behind it. Other systems have
// onReadError instead.
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
