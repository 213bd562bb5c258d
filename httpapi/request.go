package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"httpipe/pipe"
	"httpipe/relay"
)

// A request is what the server knows of an HTTP request. It is owned by the goroutine that handles the request.
type request struct {
	relay.Request
	credentials credentials
	parameter   string // what the path has in place of a pattern's {id} or {file}
}

// A handler answers a request.
type handler func(w http.ResponseWriter, r *request)

// methods are the handlers of a route, by method.
type methods map[string]handler

// allow returns the value of the header Allow.
func (m methods) allow() string {
	return strings.Join(append(slices.Sorted(maps.Keys(m)), http.MethodOptions), ", ")
}

// newRequest takes the credentials out of r and returns the request.
func newRequest(w http.ResponseWriter, r *http.Request) *request {
	return &request{credentials: takeCredentials(r), Request: relay.NewRequest(w, r)}
}

// role returns the role that the request would have on a channel, or "" if it has none.
func (r *request) role() pipe.Role {
	switch {
	case r.Key.Channel == "":
		return ""
	case r.Target != "":
		return pipe.Producer
	case r.Method == http.MethodPost, r.Method == http.MethodPut, r.Posts:
		return pipe.Producer
	case r.Method == http.MethodGet:
		return pipe.Consumer
	}
	return ""
}

// rawPath returns the path as the client wrote it. net/http's own is unescaped, and its mux would clean
// it and redirect: a client that follows a redirect turns a POST into a GET, a producer into a consumer.
func (r *request) rawPath() string {
	path := r.RequestURI
	if !strings.HasPrefix(path, "/") {
		path = r.URL.EscapedPath() // the absolute form that is sent to proxies
	}
	path, _, _ = strings.Cut(path, "?")
	return path
}
