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
	query, err := url.ParseQuery(r.Query)
	if err != nil {
		panic(err) // the wait was read from it
	}
	wrong := func(text string) *reply.Error {
		return &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadRequest, Text: text}
	}
	switch {
	case len(query["method"]) > 1 || !strings.EqualFold(query.Get("method"), http.MethodPost):
		return wrong("method in the query of a GET must be post, once: ?method=post&body=hello sends hello")
	case len(query["body"]) > 1:
		return wrong("body is given more than once in the query of a GET with method=post")
	}
	text := query.Get("body")
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
