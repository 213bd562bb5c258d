package httpapi

import (
	"net/http"
	"slices"

	"httpipe/access"
	"httpipe/pipe"
	"httpipe/relay"
	"httpipe/store"
)

// routes returns the route table, the only list of paths: the router, the header Allow and CORS use it, and a test compares
// openapi.json with it. Every route also answers OPTIONS.
func (s *Server) routes() []route {
	may, named := s.gate.requires, s.others.named
	return []route{
		{pattern: "/channels/{namespace}/{channel...}", anyPage: []string{"POST", "PUT", "GET"}, methods: methods{
			"POST":   may(access.Produce, s.relayed(s.relay.Produce)),
			"PUT":    may(access.Produce, s.relayed(s.relay.Produce)),
			"GET":    posting(may(access.Produce, s.relayed(s.relay.Produce)), may(access.Consume, s.relayed(s.relay.Consume))),
			"HEAD":   may(access.Look, s.channels.look),
			"DELETE": may(access.Delete, s.channels.delete),
		}},
		{pattern: "/channels/{namespace}", methods: withDelete(named(may(access.Delete, s.channels.deleteNamespace)),
			get(named(may(access.Look, compressed(s.channels.list)))))},
		// This shadows the list of a namespace that is called namespaces, and nothing else of it.
		{pattern: "/channels/namespaces", methods: withDelete(named(ofNamespace("namespaces", may(access.Delete, s.channels.deleteNamespace))),
			get(named(may(access.Look, compressed(s.channels.namespaces)))))},
		{pattern: "/topics/{namespace}/{topic...}", shape: pipe.Topic, anyPage: []string{"POST", "PUT", "GET"}, methods: methods{
			"POST":   may(access.Produce, s.relayed(s.relay.Publish)),
			"PUT":    may(access.Produce, s.relayed(s.relay.Publish)),
			"GET":    posting(may(access.Produce, s.relayed(s.relay.Publish)), may(access.Consume, s.relayed(s.relay.Subscribe))),
			"HEAD":   may(access.Look, s.topics.look),
			"DELETE": may(access.Delete, s.topics.delete),
		}},
		{pattern: "/services/{namespace}/{service}/{target...}", shape: pipe.Service, any: s.gate.calls(s.relayed(s.relay.Call))},
		{pattern: "/work/{namespace}/{service}", shape: pipe.Service, anyPage: []string{"GET"}, methods: methods{
			"GET":    may(access.Consume, s.relayed(s.relay.Work)),
			"HEAD":   may(access.Look, s.channels.look),
			"DELETE": may(access.Delete, s.channels.delete),
		}},
		{pattern: "/work/{namespace}/{service}/{id}", shape: pipe.Service, anyPage: []string{"POST", "PUT"}, methods: methods{
			"POST": may(access.Consume, s.relayed(s.relay.Answer)),
			"PUT":  may(access.Consume, s.relayed(s.relay.Answer)),
		}},
		{pattern: "/state", methods: get(named(may(access.Look, compressed(s.channels.state))))},

		{pattern: "/exchanges/{id}", anyPage: []string{"GET"}, methods: get(named(s.history.showReceipt))},
		{pattern: "/audit/exchanges/{id}", methods: get(s.history.show(store.Exchanges))},
		{pattern: "/audit/requests/{id}", methods: get(s.history.show(store.Requests))},
		{pattern: "/audit/calls/{id}", methods: get(s.history.show(store.Calls))},
		{pattern: "/audit/publications/{id}", methods: get(s.history.show(store.Publications))},
		{pattern: "/audit/subscriptions/{id}", methods: get(s.history.show(store.Subscriptions))},
		{pattern: "/audit/exchanges", methods: get(compressed(s.history.asks(store.Exchanges, paging, s.history.list)))},
		{pattern: "/audit/requests", methods: get(compressed(s.history.asks(store.Requests, paging, s.history.list)))},
		{pattern: "/audit/channels", methods: get(compressed(s.history.asks(store.Channels, paging, s.history.list)))},
		{pattern: "/audit/calls", methods: get(compressed(s.history.asks(store.Calls, paging, s.history.list)))},
		{pattern: "/audit/publications", methods: get(compressed(s.history.asks(store.Publications, paging, s.history.list)))},
		{pattern: "/audit/subscriptions", methods: get(compressed(s.history.asks(store.Subscriptions, paging, s.history.list)))},
		{pattern: "/audit/summary", methods: get(compressed(s.history.asks(store.Exchanges, []string{"within"}, s.history.summarize)))},
		{pattern: "/audit/live", methods: methods{"GET": may(access.Audit, s.live.serve)}},

		{pattern: "/healthz", anyPage: []string{"GET"}, health: true, methods: get(s.health.show)},
		{pattern: "/healthz/nodes/{node}", health: true, methods: get(s.member.show)},
		{pattern: "/openapi.json", anyPage: []string{"GET"}, methods: get(compressed(showOpenAPI))},
		{pattern: "/", methods: get(compressed(showHome))},
		{pattern: "/audit", methods: get(compressed(showAuditPage))},
		{pattern: "/assets/{file...}", methods: get(compressed(showAsset))},
	}
}

// paging are the parameters of a list, besides its filters.
var paging = []string{"limit", "cursor"}

// get returns methods that answer GET and HEAD with h. net/http drops the body of the response to a HEAD.
func get(h handler) methods { return methods{"GET": h, "HEAD": h} }

// withDelete adds a handler for DELETE.
func withDelete(h handler, m methods) methods {
	m["DELETE"] = h
	return m
}

// ofNamespace returns h for a path that names a namespace without a parameter.
func ofNamespace(name string, h handler) handler {
	return func(w http.ResponseWriter, r *request) {
		r.Key = pipe.Key{Namespace: name}
		h(w, r)
	}
}

// posting returns a handler that passes a GET that produces on to produce, and any other to consume.
func posting(produce, consume handler) handler {
	return func(w http.ResponseWriter, r *request) {
		if r.Posts {
			produce(w, r)
			return
		}
		consume(w, r)
	}
}

// relayed returns a handler that passes requests on to the relay, with their client and credentials.
func (s *Server) relayed(h func(w http.ResponseWriter, r *relay.Request)) handler {
	return func(w http.ResponseWriter, r *request) {
		r.Client = s.clients.of(r)
		r.Group = group(r.Client.Addr)
		r.TokenInURL = r.credentials.inURL
		r.ReplyID = r.parameter
		if r.Shape == pipe.Channel && s.gate.foreign(r) {
			r.ForeignAuthorization = slices.Clone(r.credentials.authorization)
		}
		h(w, r.Request)
	}
}
