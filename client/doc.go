// Package client is the client side of a relay: it sends and receives messages on channels and topics, and answers the
// calls of a service. It continues where a request ends early: when a proxy cuts a silent connection, or the relay
// restarts, stops answering or refuses a request.
//
// # How a transfer gets through
//
//	Send, Receive, Subscribe ──▶ repeat ──▶ one request after the other, of Send and Receive with ?wait=ROUND
//	                               │            │
//	                               │            └─▶ guard cuts a request when the relay does not answer any more
//	                               └─▶ a Failure says whether to try again, and when
//
// A transfer waits in rounds that are shorter than the time limits of proxies: a request whose wait is over is followed
// by the next one. After any other failure that can pass, the transfer is tried again after a pause, up to Client.Retries
// times in a row. So messages are delivered at least once: of a message that is sent again, the consumer may have got the
// first copy as well.
//
// # What is never done
//
// A body that cannot be read again is not sent again: see [Replay]. A body that did not arrive whole is never handed on
// as whole: reading it ends with a [Failure], not with io.EOF. A response that does not come from a relay is no success.
package client
