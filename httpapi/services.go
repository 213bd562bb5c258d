package httpapi

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"httpipe/access"
	"httpipe/reply"
)

// newReplyID returns 128 random bits as 32 hexadecimal digits.
func newReplyID() string {
	id := uuid.New() // 122 random bits
	more := uuid.New()
	id[6], id[8] = more[0], more[1] // in place of the version and the variant
	return hex.EncodeToString(id[:])
}

// calls returns h for a caller. A caller's credential can be for this server or for the worker. One that this server
// verifies is used and removed, and so is Httpipe-Token; any other is passed on to the worker.
func (g *gate) calls(h handler) handler {
	return func(w http.ResponseWriter, r *request) {
		foreign := g.sortCredentials(r)
		if foreign != "" && r.credentials.count == 0 && !suffices(g.guard.Anonymous(), access.Produce, r.Key) {
			r.credentials.add(foreign) // the call needs a token, so the error must say what is wrong with this one
		}
		if g.permits(w, r, access.Produce, r.Key) {
			h(w, r)
		}
	}
}

// sortCredentials keeps in the credentials of r those that are for this server, and adds the others to the request's head
// and target. It returns one of the others, or "".
func (g *gate) sortCredentials(r *request) (foreign string) {
	sent := r.credentials
	c := credentials{}
	ours := func(credential string) bool {
		_, err := g.guard.Authenticate(credential, time.Now())
		if err == nil || errors.Is(err, access.Expired) || errors.Is(err, access.NotYetValid) {
			c.add(credential)
			return true
		}
		foreign = credential
		return false
	}
	for _, header := range sent.authorization {
		if !ours(headerCredential(header)) {
			r.ForeignAuthorization = append(r.ForeignAuthorization, strings.Clone(header))
		}
	}
	query := r.Query
	if sent.inURL {
		query = cutTokensIf(sent.query, ours)
		c.inURL = len(query) < len(sent.query)
	}
	for token := range r.Header.Values(reply.HeaderToken) {
		c.add(token)
	}
	if query != "" || !sent.inURL && r.EmptyQuery {
		r.Target += "?" + query
	}
	r.credentials = c
	return foreign
}
