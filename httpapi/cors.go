package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"httpipe/reply"
)

// cors decides what pages of other origins may do. It is our own code because the CORS of gorilla/handlers has one list of
// methods and one of headers for all routes, and cannot allow the headers that a page asks for.
//
// "*" opens only the routes that have anyPage. A page of any site can reach a relay in its visitor's network, and must not
// see or delete channels there that it did not make itself.
type cors struct {
	origins []string // whose pages may use the API; "*" is any
}

// exposed are the response headers that pages may read, in addition to those that browsers always let them read.
var exposed = strings.Join([]string{reply.HeaderExchange, reply.HeaderError, reply.HeaderProducers, reply.HeaderConsumers,
	reply.HeaderSubscribers, reply.HeaderDelivered,
	"Content-Disposition", "Content-Encoding", "Retry-After"}, ", ")

// forbiddenHeaders are the headers that no page may send: cookies, which the API does not use, and those that are for one
// connection (RFC 9110, 7.6.1).
var forbiddenHeaders = []string{"cookie", "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// allow lets the page that sent r read the response if it may use the route, and reports whether it may. entry is nil for
// a path without a route, which no page may use.
func (c *cors) allow(w http.ResponseWriter, r *request, entry *route) bool {
	if len(c.origins) != 1 || c.origins[0] != "*" {
		w.Header().Add("Vary", "Origin")
	}
	origin, method := r.Header.Get("Origin"), r.Method
	if wanted := preflightMethod(r); wanted != "" {
		method = wanted
	}
	switch {
	case origin == "" || entry == nil:
		return false
	case slices.Contains(c.origins, "*") && (entry.any != nil || slices.Contains(entry.anyPage, method)):
		origin = "*"
	case origin == "*" || !slices.Contains(c.origins, origin):
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", exposed)
	return true
}

// forbids reports whether a browser sends r for a page whose origin may do nothing. Without CORS such a page cannot
// read the response, but it would send or take a message all the same. forbids goes by headers that browsers set and
// pages cannot change, as net/http.CrossOriginProtection does, which allows every GET. Other clients send no such
// headers. A link is not forbidden, because its visitor sees the message.
func (c *cors) forbids(r *request) bool {
	h := &r.Header
	origin := h.Get("Origin")
	if slices.Contains(c.origins, "*") || origin != "" && slices.Contains(c.origins, origin) {
		return false
	}
	switch h.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "": // plain HTTP or an old browser. Behind a proxy with TLS only the schemes differ.
		_, host, _ := strings.Cut(origin, "://")
		return origin != "" && !strings.EqualFold(host, r.Host)
	}
	return r.Method != http.MethodGet || r.Posts || h.Get("Sec-Fetch-Mode") != "navigate" || h.Get("Sec-Fetch-Dest") != "document"
}

// preflightMethod returns the method that a page asks for, or "" if r is not a preflight.
func preflightMethod(r *request) string {
	if r.Method != http.MethodOptions {
		return ""
	}
	return r.Header.Get("Access-Control-Request-Method")
}

// preflight answers r if it is a preflight, allows the headers that the page asks for, and reports whether it has answered.
func preflight(w http.ResponseWriter, r *request) bool {
	method := preflightMethod(r)
	if method == "" {
		return false
	}
	var headers []string
	for line := range r.Header.Values("Access-Control-Request-Headers") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(forbiddenHeaders, strings.ToLower(name)) {
				headers = append(headers, name)
			}
		}
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", method)
	if len(headers) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
