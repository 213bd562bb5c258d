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

// find returns the route that path takes, and the names in it. One trailing slash is ignored. Names that cannot be are
// a failure on the route that others take.
func find(path string) (route string, key pipe.Key, f *reply.Error) {
	if path == routeHome {
		return routeHome, key, nil
	}
	path = strings.TrimSuffix(path, "/")
	switch path {
	case routeHealth, routeLive, routeOpenAPI, routeState, routeAuditPage, routeAuditList, routeAuditRequests, routeAuditChannels, routeAuditSummary:
		return path, key, nil
	}
	if strings.HasPrefix(path, assets) {
		return routeAsset, key, nil
	}
	for _, route := range []string{routeReceipt, routeAudit} {
		if id, ok := strings.CutPrefix(path, strings.TrimSuffix(route, "{id}")); ok && id != "" && !strings.Contains(id, "/") {
			return route, key, nil
		}
	}
	names, ok := strings.CutPrefix(path, "/channels/")
	if !ok {
		return "", key, &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound,
			Text: "nothing is here; channels are at " + routeChannel + ", and a manual is at " + routeHome}
	}
	var inner bool
	key.Namespace, key.Channel, inner = strings.Cut(names, "/")
	route = routeNamespace
	switch {
	case inner:
		route = routeChannel
	case path == routeNamespaces:
		route = routeNamespaces
	}
	err := pipe.CheckName("namespace", key.Namespace)
	if err == nil && inner {
		err = pipe.CheckName("channel", key.Channel)
	}
	if err != nil {
		return route, key, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadName, Text: err.Error()}
	}
	return route, key, nil
}
