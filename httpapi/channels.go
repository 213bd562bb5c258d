package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/gorilla/handlers"

	"httpipe/pipe"
	"httpipe/reply"
)

// look tells who waits on a channel and takes nothing.
func (s *Server) look(w http.ResponseWriter, r *http.Request, key pipe.Key) {
	producers, consumers, exists := s.broker.Look(key)
	if !exists {
		fail(w, r, noChannel(key))
		return
	}
	w.Header().Set(reply.HeaderProducers, strconv.Itoa(producers))
	w.Header().Set(reply.HeaderConsumers, strconv.Itoa(consumers))
}

func (s *Server) deleteChannel(w http.ResponseWriter, r *http.Request, key pipe.Key) {
	if !s.broker.Delete(key) {
		fail(w, r, noChannel(key))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) deleteNamespace(w http.ResponseWriter, r *http.Request, key pipe.Key) {
	if !s.broker.DeleteNamespace(key.Namespace) {
		fail(w, r, noNamespace(key))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) state(w http.ResponseWriter, r *http.Request, _ pipe.Key) {
	reply.JSON(http.StatusOK, s.visibleState(r)).Write(w)
}

func (s *Server) listNamespaces(w http.ResponseWriter, r *http.Request, _ pipe.Key) {
	namespaces := slices.DeleteFunc(s.broker.Namespaces(), func(namespace string) bool {
		return len(s.visible(r, namespace, s.broker.Channels(namespace))) == 0
	})
	reply.JSON(http.StatusOK, namespaces).Write(w)
}

func (s *Server) listChannels(w http.ResponseWriter, r *http.Request, key pipe.Key) {
	channels := s.visible(r, key.Namespace, s.broker.Channels(key.Namespace))
	if len(channels) == 0 {
		fail(w, r, noNamespace(key))
		return
	}
	reply.JSON(http.StatusOK, channels).Write(w)
}

// ofAll gives h no name: that in the path is not a namespace's.
func ofAll(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, _ pipe.Key) { h(w, r, pipe.Key{}) }
}

// health answers 200 while the server serves, and otherwise says why it does not.
func (s *Server) health(w http.ResponseWriter, r *http.Request, _ pipe.Key) {
	switch err := s.unavailable(); {
	case s.broker.Stopping():
		fail(w, r, reply.ForOutcome(pipe.ShutDown, pipe.Producer))
	case err != nil:
		fail(w, r, &reply.Error{Status: http.StatusServiceUnavailable, Code: reply.CodeAuditUnavailable,
			Text: err.Error()})
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ok")
	}
}

// unavailable returns why the server may not relay: no record, no service.
func (s *Server) unavailable() error {
	if s.config.Log == nil || s.config.BestEffort {
		return nil
	}
	return s.config.Log.Err()
}

// compressed lets what the server itself says be compressed for clients that accept gzip, and like nothing
// better. Not deflate: gorilla sends raw DEFLATE data, and the name means the zlib format (RFC 9110 8.4.1.2).
func compressed(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, key pipe.Key) {
		inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h(w, r, key) })
		encodings := r.Header["Accept-Encoding"]
		if gzip := reply.Quality(encodings, "gzip", "x-gzip"); gzip > 0 && gzip >= reply.Quality(encodings, "identity") {
			r.Header.Set("Accept-Encoding", "gzip")
		} else {
			r.Header.Del("Accept-Encoding")
		}
		handlers.CompressHandler(inner).ServeHTTP(w, r)
	}
}

func noChannel(key pipe.Key) *reply.Error {
	return &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound,
		Text: "there is no channel " + key.String() + " now; one exists while somebody waits on it"}
}

func noNamespace(key pipe.Key) *reply.Error {
	return &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound,
		Text: "there is no namespace " + key.Namespace + " now; one exists while somebody waits on a channel of it"}
}
