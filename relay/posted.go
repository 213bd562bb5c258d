package relay

import (
	"net/http"
	"net/url"
	"strings"

	"httpipe/pipe"
	"httpipe/reply"
)

// A client that can only open an address produces with GET …?method=post&body=text.

const advisePosted = "the client prefetches, previews, embeds or resumes this address, and such a GET must not send a message; open the address itself"

// setPosted makes the text in the URL of r the body of a, or returns the error for the client.
func (s *source) setPosted(r *Request, a *pipe.Arrival) *reply.Error {
	method, body := r.parameter("method"), r.parameter("body")
	wrong := func(text string) *reply.Error {
		return &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadRequest, Text: text}
	}
	switch {
	case len(method) != 1 || !strings.EqualFold(method[0], http.MethodPost):
		return wrong("method in the query of a GET must be post, once: ?method=post&body=hello sends hello")
	case len(body) > 1:
		return wrong("body is given more than once in the query of a GET with method=post")
	}
	text := strings.Join(body, "") // "" without one
	s.head.ContentType = "text/plain; charset=utf-8"
	s.body, a.Length = strings.NewReader(text), int64(len(text))
	return nil
}

// posts reports whether a request is one that produces the text in its URL.
func posts(method, query string) bool {
	return method == http.MethodGet && hasParameter(query, "method")
}

// hasParameter reports whether a query has a parameter of that name, with any value or none.
func hasParameter(rawQuery, name string) bool {
	if rawQuery == "" {
		return false
	}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if key == name {
			return true
		}
		if unescaped, err := url.QueryUnescape(key); err == nil && unescaped == name {
			return true
		}
	}
	return false
}

// parameter returns the values of a parameter in the query, or none if there is no such parameter.
func (r *Request) parameter(name string) []string {
	if !hasParameter(r.Query, name) {
		return nil
	}
	query, _ := url.ParseQuery(r.Query) // one that cannot be parsed does not get past Relay.wait
	return query[name]
}

// withoutParameter returns a query without the parameters of that name, and otherwise as it was sent.
func withoutParameter(rawQuery, name string) string {
	if !hasParameter(rawQuery, name) {
		return rawQuery
	}
	var kept []string
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if !hasParameter(pair, name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
