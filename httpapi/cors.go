package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"httpipe/reply"
)

// What pages of other origins may do (CORS). This is our own because gorilla/handlers' CORS knows neither routes nor an
// answer with the headers that were asked for, but one list of methods and one of headers for everything.

// forAnyPage are the methods of routes that "*" opens. The others are for pages of origins that are named: a page of any
// site can reach a relay in its visitor's own network, and is not to see or delete there what it did not make itself.
var forAnyPage = map[string][]string{
	routeChannel: {"POST", "PUT", "GET"},
	routeReceipt: {"GET"},
	routeHealth:  {"GET"},
	routeOpenAPI: {"GET"},
}

// exposed are the headers of responses that pages may read, beside those that they always may.
var exposed = strings.Join([]string{reply.HeaderExchange, reply.HeaderError, reply.HeaderProducers, reply.HeaderConsumers,
	"Content-Disposition", "Content-Encoding", "Retry-After"}, ", ")

// never are the headers that no page may send: cookies, which are not used here, and those that are for one connection
// (RFC 9110, 7.6.1).
var never = []string{"cookie", "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// cross lets the page that sent r, if one of another origin did, read the response, and reports whether it may. A route that
// is not there is for nobody.
func (s *Server) cross(w http.ResponseWriter, r *http.Request, route string) bool {
	origins := s.config.CORSOrigins
	if len(origins) != 1 || origins[0] != "*" {
		w.Header().Add("Vary", "Origin")
	}
	origin, method := r.Header.Get("Origin"), r.Method
	if wanted := preflightMethod(r); wanted != "" {
		method = wanted
	}
	switch {
	case origin == "":
		return false
	case slices.Contains(origins, "*") && slices.Contains(forAnyPage[route], method):
		origin = "*"
	case origin == "*" || !slices.Contains(origins, origin) || s.routes[route] == nil:
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", exposed)
	return true
}

// preflightMethod returns what a page wants to do, "" if r is no preflight.
func preflightMethod(r *http.Request) string {
	if r.Method != http.MethodOptions {
		return ""
	}
	return r.Header.Get("Access-Control-Request-Method")
}

// preflight answers a preflight whose page may do what it asks for, with the headers that it asks for, and reports whether
// r is one.
func preflight(w http.ResponseWriter, r *http.Request) bool {
	method := preflightMethod(r)
	if method == "" {
		return false
	}
	var headers []string
	for _, line := range r.Header["Access-Control-Request-Headers"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(never, strings.ToLower(name)) {
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
