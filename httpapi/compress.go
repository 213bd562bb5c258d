package httpapi

import (
	"net/http"

	"github.com/gorilla/handlers"

	"httpipe/reply"
)

// compressed returns h with its response compressed for clients that accept gzip and do not prefer the plain form. It is
// for the server's own responses, never for a relayed body. It does not offer deflate: gorilla sends raw DEFLATE data,
// but the name means the zlib format (RFC 9110 8.4.1.2).
func compressed(h handler) handler {
	return func(w http.ResponseWriter, r *request) {
		inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { h(w, r) })
		encodings, wanted := r.Header.Joined("Accept-Encoding"), make(http.Header)
		if gzip := reply.Quality(encodings, "gzip", "x-gzip"); gzip > 0 && gzip >= reply.Quality(encodings, "identity") {
			wanted.Set("Accept-Encoding", "gzip")
		}
		handlers.CompressHandler(inner).ServeHTTP(w, &http.Request{Header: wanted})
	}
}
