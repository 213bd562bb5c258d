package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"httpipe/pipe"
	"httpipe/relay"
)

// A request is an HTTP request with its client, its credentials and its route. The goroutine that handles it owns it.
type request struct {
	*relay.Request
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

// requests are used again and again: no handler keeps one.
var requests = sync.Pool{New: func() any { return new(request) }}

// newRequest takes the credentials out of r and returns the request. release takes it back.
func newRequest(r *relay.Request) *request {
	request := requests.Get().(*request)
	request.credentials, request.Request = takeCredentials(r), r
	return request
}

func (r *request) release() {
	*r = request{}
	requests.Put(r)
}

// role returns the role that the request would have on a channel, or NoRole.
func (r *request) role() pipe.Role {
	switch {
	case r.Key.Channel == "":
		return pipe.NoRole
	case r.Target != "":
		return pipe.Producer
	case r.Method == http.MethodPost, r.Method == http.MethodPut, r.Posts:
		return pipe.Producer
	case r.Method == http.MethodGet:
		return pipe.Consumer
	}
	return pipe.NoRole
}
