package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"httpipe/pipe"
	"httpipe/reply"
)

// A handler answers a request whose path named key, in as far as it did.
type handler func(w http.ResponseWriter, r *http.Request, key pipe.Key)

// methods is what can be done with a path.
type methods map[string]handler

func (m methods) allow() string {
	return strings.Join(append(slices.Sorted(maps.Keys(m)), http.MethodOptions), ", ")
}

// rawPath returns the path as the client wrote it. net/http's own is unescaped, and its mux would clean
// it and redirect, which makes a consumer of a producer that follows.
func rawPath(r *http.Request) string {
	path := r.RequestURI
	if !strings.HasPrefix(path, "/") {
		path = r.URL.EscapedPath() // the absolute form that is sent to proxies
	}
	path, _, _ = strings.Cut(path, "?")
	return path
}

// find returns the methods of the route that path takes, and the names in it. One trailing slash is
// ignored.
func (s *Server) find(path string) (methods, pipe.Key, *reply.Error) {
	var key pipe.Key
	if path == routeHome {
		return s.routes[routeHome], key, nil
	}
	path = strings.TrimSuffix(path, "/")
	switch path {
	case routeHealth, routeLive, routeOpenAPI, routeState, routeAuditPage, routeAuditList, routeAuditRequests, routeAuditChannels, routeAuditSummary:
		return s.routes[path], key, nil
	}
	if strings.HasPrefix(path, assets) {
		return s.routes[routeAsset], key, nil
	}
	for _, route := range []string{routeReceipt, routeAudit} {
		if id, ok := strings.CutPrefix(path, strings.TrimSuffix(route, "{id}")); ok && id != "" && !strings.Contains(id, "/") {
			return s.routes[route], key, nil
		}
	}
	names, ok := strings.CutPrefix(path, "/channels/")
	if !ok {
		return nil, key, &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound,
			Text: "nothing is here; channels are at " + routeChannel + ", and a manual is at " + routeHome}
	}
	var inner bool
	key.Namespace, key.Channel, inner = strings.Cut(names, "/")
	err := pipe.CheckName("namespace", key.Namespace)
	if err == nil && inner {
		err = pipe.CheckName("channel", key.Channel)
	}
	switch {
	case err != nil:
		return nil, key, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadName, Text: err.Error()}
	case inner:
		return s.routes[routeChannel], key, nil
	case path == routeNamespaces:
		return s.routes[routeNamespaces], key, nil
	}
	return s.routes[routeNamespace], key, nil
}
