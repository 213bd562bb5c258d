// Package relay is the relay path: it turns a POST or PUT into a producer and a GET into a consumer of a
// pipe.Broker, moves the body from one connection to the other, and answers both clients. Package httpapi decides
// which requests get here, and who may send them.
//
// # A request on its way
//
//	           Produce                                      Consume
//	              │                                            │ not_a_consumer.go: would this client lose the message?
//	takeover.go   │ take a chunked body over from net/http     │ DropBody: a GET's body means nothing
//	              ▼                                            ▼
//	arrive.go     how long it may wait (wait.go), and whether anything may be relayed now
//	              │                                            │
//	source.go     │ the body, or the first part of a form      │
//	chunk.go      ▼                                            ▼
//	          Broker.Arrive ═══════════ pipe ═══════════▶ Exchange.Relay
//	              │                                            │ sink.go: the response
//	              │                                            │ stall.go: does the client's kernel still acknowledge?
//	              ▼                                            ▼
//	produce.go    AwaitEnd, then reply.Delivered or an error   end in order, or break off
//
// While a request waits, conn.go and watch_linux.go watch its connection, so that a client that hangs up loses its
// place at once. That is independent of net/http, which notices a dead client only in some states.
//
// # Rules
//
//   - A consumer's response starts with the first byte of the body, and a producer's only when the exchange has
//     ended. HTTP clients and proxies lose data, or hang, if a response starts before the request is sent.
//   - Nothing wraps the http.ResponseWriter of a consumer. A wrapper that compresses, counts or recovers would
//     delay bytes, change them, or make half a body look whole.
//   - A body that did not arrive whole never ends like one that did: the last chunk is missing, there are too few
//     bytes, or the connection ends with a reset.
//
// The package uses net/http for heads and responses. A [Request] holds all that the relay path knows of a request,
// so an HTTP/1.1 engine of its own can replace net/http here without touching package pipe or package httpapi.
package relay
