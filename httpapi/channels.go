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
	namespaces := s.broker.Namespaces()
	if s.config.Guard != nil {
		namespaces = slices.DeleteFunc(namespaces, func(namespace string) bool {
			return len(visible(r, namespace, s.broker.Channels(namespace))) == 0
		})
	}
	reply.JSON(http.StatusOK, namespaces).Write(w)
}

func (s *Server) listChannels(w http.ResponseWriter, r *http.Request, key pipe.Key) {
	channels := visible(r, key.Namespace, s.broker.Channels(key.Namespace))
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

// compressed lets the JSON that the server itself makes be compressed for clients that ask for it.
func compressed(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, key pipe.Key) {
		inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h(w, r, key) })
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
