package httpapi

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"httpipe/access"
)

// A visitor is who sent a request with credentials, as far as these tell. Owned by the request's handler.
type visitor struct {
	credentials int    // how many came, at least one
	credential  string // the last of them; "" if it cannot be read
	inURL       bool   // one came as ?token=

	bearer *access.Bearer // nil until judged, and if nobody's
}

type visitorKey struct{}

// visitorOf returns who sent r, or nil if it came without credentials.
func visitorOf(r *http.Request) *visitor {
	v, _ := r.Context().Value(visitorKey{}).(*visitor)
	return v
}

// subject returns whose token r had, "" if it is not known or had none.
func subject(r *http.Request) string {
	if v := visitorOf(r); v != nil && v.bearer != nil {
		return v.bearer.Name
	}
	return ""
}

// announce takes the credentials out of r, before anything else sees it, and returns r with its visitor if there were any.
func announce(r *http.Request) *http.Request {
	v := &visitor{}
	for _, header := range r.Header["Authorization"] {
		v.present(headerCredential(header))
	}
	delete(r.Header, "Authorization")
	if query, tokens := cutTokens(r.URL.RawQuery); len(tokens) > 0 {
		v.inURL = true
		for _, token := range tokens {
			v.present(token)
		}
		r.URL.RawQuery = query
		path, _, _ := strings.Cut(r.RequestURI, "?")
		r.RequestURI = path + "?" + query
	}
	if v.credentials == 0 {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), visitorKey{}, v))
}

func (v *visitor) present(credential string) {
	v.credentials++
	v.credential = credential
}

// headerCredential returns what an Authorization header has: a Bearer's token, or Basic's password with any user.
func headerCredential(header string) string {
	scheme, value, _ := strings.Cut(header, " ")
	value = strings.TrimLeft(value, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return value
	case strings.EqualFold(scheme, "Basic"):
		decoded, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return ""
		}
		_, password, _ := strings.Cut(string(decoded), ":")
		return password
	}
	return ""
}

// cutTokens returns a query without its tokens, and these. A + in one is a +: no credential has blanks, and a secret
// in base64 that somebody pastes has the other.
func cutTokens(query string) (rest string, tokens []string) {
	if query == "" {
		return "", nil
	}
	var others []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err != nil || name != "token" {
			others = append(others, pair)
			continue
		}
		token, err := url.PathUnescape(value)
		if err != nil {
			token = ""
		}
		tokens = append(tokens, token)
	}
	return strings.Join(others, "&"), tokens
}
