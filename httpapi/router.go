package httpapi

import (
	"cmp"
	"net/http"
	"strings"

	"httpipe/pipe"
	"httpipe/reply"
)

// A route is an entry of the route table: a path and what can be done with it.
type route struct {
	// pattern is the path. It may end with parameters, such as {id}, which stand for one segment of a path; {name...}
	// stands for all that is left. {namespace} and {channel} are the names of the request's Key; {topic} and {service}
	// are other names for {channel}. {target...} stands for all that is left with its slashes, the first included; it
	// may be missing.
	pattern string
	methods methods
	any     handler    // answers the methods that are not in methods, except CONNECT and TRACE; nil: none
	shape   pipe.Shape // of what the Key names
	anyPage []string   // the methods that a page of any origin may use if --cors-origin is "*"
	health  bool       // no rate limit, and no --require-https
}

// handler returns the handler of r, or nil if the route does not have its method. A preflight has none: the server
// answers it.
func (e *route) handler(r *request) handler {
	if h, ok := e.methods[r.Method]; ok {
		return h
	}
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace || r.Header.Get("Origin") != "" && preflightMethod(r) != "" {
		return nil
	}
	return e.any
}

// allow returns the value of the header Allow.
func (e *route) allow() string {
	if e.any != nil {
		return "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
	}
	return e.methods.allow()
}

// A router finds the route of a path.
type router struct {
	fixed   map[string]*route // by path
	dynamic []dynamicRoute    // in the order of the table
}

// maxParameters is the largest number of parameters in a pattern.
const maxParameters = 3

// A dynamicRoute is a route whose pattern has parameters.
type dynamicRoute struct {
	*route
	prefix string   // the path before the first parameter
	names  []string // the parameters
	rest   bool     // the last one takes all that is left
	target bool     // the last one is {target...}
}

func newRouter(table []route) *router {
	t := &router{fixed: make(map[string]*route)}
	for i := range table {
		entry := &table[i]
		prefix, parameters, found := strings.Cut(entry.pattern, "{")
		if !found {
			t.fixed[entry.pattern] = entry
			continue
		}
		d := dynamicRoute{route: entry, prefix: prefix}
		for name := range strings.SplitSeq(parameters, "/") {
			name, d.rest = strings.CutSuffix(strings.Trim(name, "{}"), "...")
			d.names = append(d.names, name)
		}
		d.target = d.names[len(d.names)-1] == "target"
		t.dynamic = append(t.dynamic, d)
	}
	return t
}

// find returns the route of r, and sets what the path names. One trailing slash is ignored. If a name is not valid, it
// returns the route that valid names have, and an error.
func (t *router) find(r *request) (*route, *reply.Error) {
	// The path is as the client wrote it. net/http's mux would clean it and redirect: a client that follows a redirect turns a
	// POST into a GET, a producer into a consumer.
	raw := r.Path
	path := raw
	if trimmed := strings.TrimSuffix(path, "/"); path != "/" && trimmed != "/" {
		path = trimmed
	}
	if entry := t.fixed[path]; entry != nil {
		return entry, nil
	}
	for i := range t.dynamic {
		d := &t.dynamic[i]
		own := path
		if d.target {
			own = raw
		}
		if values, ok := d.match(own); ok {
			r.Shape, r.Posts = d.shape, r.Posts && d.shape != pipe.Service
			return d.route, d.set(r, values)
		}
	}
	return nil, &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound,
		Text: "nothing is here; channels are at /channels/{namespace}/{channel}, topics at /topics/{namespace}/{topic}, " +
			"services at /services/{namespace}/{service}, and a manual is at /"}
}

// match returns the parameters of a path, and whether it has the form of the pattern.
func (d *dynamicRoute) match(path string) (values [maxParameters]string, ok bool) {
	left, ok := strings.CutPrefix(path, d.prefix)
	if !ok {
		return values, false
	}
	last := len(d.names) - 1
	for i := range last {
		if values[i], left, ok = strings.Cut(left, "/"); !ok {
			return values, d.target && i == last-1
		}
	}
	if d.target {
		left = "/" + left
	}
	values[last] = left
	return values, d.rest || !strings.Contains(left, "/")
}

// set gives the parameters to the request, and returns an error if a name is not valid.
func (d *dynamicRoute) set(r *request, values [maxParameters]string) *reply.Error {
	for i, name := range d.names {
		var err error
		switch name {
		case "namespace":
			r.Key.Namespace, err = values[i], pipe.CheckName(name, values[i])
		case "channel", "topic", "service":
			r.Key.Channel, err = values[i], pipe.CheckName(name, values[i])
		case "target":
			r.Target = cmp.Or(values[i], "/")
		default:
			r.parameter = values[i]
		}
		if err != nil {
			return &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadName, Text: err.Error()}
		}
	}
	return nil
}
