package reply

import (
	"iter"
	"mime"
	"slices"
	"strconv"
	"strings"
)

// The headers that are httpipe's own. HeaderExchange is on each response that belongs to an exchange, HeaderError
// on each error.
const (
	HeaderExchange  = "Httpipe-Exchange"
	HeaderError     = "Httpipe-Error"
	HeaderProducers = "Httpipe-Producers"
	HeaderConsumers = "Httpipe-Consumers"

	// On the answer to a publisher.
	HeaderSubscribers = "Httpipe-Subscribers"
	HeaderDelivered   = "Httpipe-Delivered"
)

// The headers in which a balancer says which nodes have the slot of a request, by its own table.
const (
	HeaderOwner   = "Httpipe-Owner"
	HeaderStandIn = "Httpipe-Stand-In"
)

// HeaderScope is on a question that a node asks another one. With ScopeNode the other one answers for itself alone.
const (
	HeaderScope = "Httpipe-Scope"
	ScopeNode   = "node"
)

// The headers of services, besides those below.
const (
	HeaderTarget = "Httpipe-Target" // the path below the service that the caller asked for, with its query
	HeaderReply  = "Httpipe-Reply"  // where the worker sends its answer
	HeaderStatus = "Httpipe-Status" // of the answer that the caller gets
	HeaderToken  = "Httpipe-Token"  // a credential of the caller, when Authorization is for the worker
)

// The headers of a response that carries the head of the producer's request.
const (
	HeaderMethod  = "Httpipe-Method"
	HeaderQuery   = "Httpipe-Query"
	HeaderOmitted = "Httpipe-Headers-Omitted" // how many headers of the request were left out to keep the response small
	HeaderPrefix  = "Httpipe-Header-"         // goes before the name of each header of the request
)

// weights yields each media type or coding that a list such as Accept or Accept-Encoding names, with its weight (RFC 9110
// 12.4.2), in the client's order.
func weights(list string) iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		for item := range strings.SplitSeq(list, ",") {
			name, params, err := mime.ParseMediaType(item)
			if err != nil {
				continue
			}
			weight := 1.0
			if q, given := params["q"]; given {
				if w, err := strconv.ParseFloat(q, 64); err == nil {
					weight = w
				}
			}
			if !yield(name, weight) {
				return
			}
		}
	}
}

// Quality returns the highest weight that a list such as Accept gives to one of the names: 0 if it names none, or refuses
// each. A wildcard does not count, because every curl sends one.
func Quality(list string, names ...string) (highest float64) {
	if list == "" || list == "*/*" {
		return 0
	}
	for name, weight := range weights(list) {
		if slices.Contains(names, name) {
			highest = max(highest, weight)
		}
	}
	return highest
}

// Negotiate returns the first of the offered media types that an Accept header names, in the client's order, or the media
// type otherwise if it names none.
func Negotiate(accept string, otherwise string, offered ...string) string {
	for name, weight := range weights(accept) {
		if weight > 0 && slices.Contains(offered, name) {
			return name
		}
	}
	return otherwise
}

// WantsJSON reports whether an Accept header asks for JSON.
func WantsJSON(accept string) bool { return Quality(accept, "application/json", problemType) > 0 }

// WantsHTML reports whether an Accept header asks for a page.
func WantsHTML(accept string) bool { return Quality(accept, "text/html") > 0 }
