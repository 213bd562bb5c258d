// Package httpapi is the HTTP server around the relay. It routes each request, checks the permission of its client, passes
// the requests of channels, topics and services that carry messages on to package relay, and answers all others itself.
//
// # A request on its way
//
//	the engine of package relay, for channels, topics and services
//	  │   net/http, for all other paths: Server.ServeHTTP
//	  ▼      ▼
//	Server.serve                              server.go
//	               │ takeCredentials          credential.go: out of headers and URL, before anything else sees them
//	               │ router.find              router.go, and the route table in routes.go
//	               │ cors                     cors.go: may a page of another origin do this?
//	               │ member                   nodes.go: does this one of several nodes serve the name?
//	               │ limits                   limits.go, rates.go: plain HTTP, requests per minute
//	               ▼
//	             gate.requires                access.go: the token and the permission
//	               │
//	               ├──▶ relay.Produce, relay.Consume
//	               ├──▶ relay.Call, relay.Work, relay.Answer   services.go: which credentials are for the worker
//	               ├──▶ relay.Publish, relay.Subscribe
//	               ├──▶ channels, topics      channels.go, topics.go: lists, HEAD, DELETE
//	               ├──▶ history               history.go: questions about the audit log, by package audit
//	               ├──▶ live                  live.go, view.go: the live view
//	               ├──▶ health                health.go; nodes.go for HAProxy and the other nodes
//	               └──▶ pages                 pages.go, compress.go: the content of package web
//
// Lists and receipts hold for all nodes: others.go asks the other ones.
//
// Each of these parts is a type that holds what it needs, and a Server only connects them. A request that is refused
// before it reaches the broker is recorded by refusals.go. The request value holds everything about a request. net/http
// offers no way but a context to carry the connection, which relay.NewRequest takes from there.
//
// The package keeps no state of its own besides rates: the pipe.Broker has the waiting and running requests, and the
// store.Log has the past.
package httpapi
