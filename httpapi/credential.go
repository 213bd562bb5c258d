package httpapi

import (
	"encoding/base64"
	"net/url"
	"strings"

	"httpipe/access"
	"httpipe/relay"
)

// credentials are those that a client has sent.
type credentials struct {
	count int    // how many were sent
	last  string // the last one; "" if it cannot be read
	inURL bool   // one was sent as ?token=

	authorization []string // the values of that header
	query         string   // the query as it was sent; "" without a token in it

	bearer *access.Bearer // the holder; nil until the gate has accepted them
}

// subject returns the name of the token, or "" if it is not known or there is none.
func (c *credentials) subject() string {
	if c.bearer == nil {
		return ""
	}
	return c.bearer.Name
}

// takeCredentials removes the credentials from r, so that nothing else sees them, and returns them.
func takeCredentials(r *relay.Request) (c credentials) {
	for header := range r.Header.Values("Authorization") {
		c.authorization = append(c.authorization, header)
		c.add(headerCredential(header))
	}
	r.Header.Delete("Authorization")
	if query, tokens := cutTokens(r.Query); len(tokens) > 0 {
		c.inURL, c.query = true, r.Query
		for _, token := range tokens {
			c.add(token)
		}
		r.Query = query
	}
	return c
}

func (c *credentials) add(credential string) {
	c.count++
	c.last = credential
}

// headerCredential returns the credential in an Authorization header: the token of Bearer, or the password of Basic, with
// any user.
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

// cutTokens returns a query without its tokens, and the tokens. A + in a token stays a +: no credential contains a blank,
// but a secret in base64 can contain a +.
func cutTokens(query string) (rest string, tokens []string) {
	rest = cutTokensIf(query, func(token string) bool {
		tokens = append(tokens, token)
		return true
	})
	return rest, tokens
}

// cutTokensIf returns a query without the tokens that ours accepts, and otherwise as it is.
func cutTokensIf(query string, ours func(token string) bool) (rest string) {
	if query == "" {
		return ""
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
		if !ours(token) {
			others = append(others, pair)
		}
	}
	return strings.Join(others, "&")
}
