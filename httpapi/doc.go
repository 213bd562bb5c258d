// Package httpapi is the HTTP server around the relay. It decides what a request is for and whether its client may do that,
// passes producers and consumers on to package relay, and answers all other requests itself.
//
// # A request on its way
//
//	the engine of package relay, for a channel
//	  │   net/http, for all else
//	  ▼      ▼
//	Server.ServeHTTP                          server.go
//	               │ takeCredentials          credential.go: out of headers and URL, before anything else sees them
//	               │ router.find              router.go, and the route table in routes.go
//	               │ cors                     cors.go: may a page of another origin do this?
//	               │ limits                   limits.go, rates.go: plain HTTP, requests per minute
//	               ▼
//	             gate.requires                access.go: the token and the permission
//	               │
//	               ├──▶ relay.Produce, relay.Consume
//	               ├──▶ relay.Call, relay.Work, relay.Answer   services.go: which credentials are for the worker
//	               ├──▶ channels              channels.go: lists, HEAD, DELETE
//	               ├──▶ history               history.go: questions about the audit log, by package audit
//	               ├──▶ live                  live.go, view.go: the live view
//	               ├──▶ health                health.go
//	               └──▶ pages                 pages.go: the content of package web
//
// Each of these parts is a type that holds what it needs, and a Server only connects them. A request that is refused
// before it reaches the broker is recorded by refusals.go. All that is known of a request is in its request value; its
// context carries nothing but the connection, since net/http offers no other way; the engine has no context.
//
// The package keeps no state of its own besides rates: what waits and what runs is in the pipe.Broker, and what happened
// is in the store.Log.
package httpapi
