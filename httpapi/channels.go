package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/gorilla/handlers"

	"httpipe/pipe"
)

// Headers of ours. Httpipe-Exchange is on everything that belongs to an exchange, Httpipe-Error on every
// error.
const (
	headerExchange  = "Httpipe-Exchange"
	headerError     = "Httpipe-Error"
	headerProducers = "Httpipe-Producers"
	headerConsumers = "Httpipe-Consumers"
)

// look tells who waits on a channel and takes nothing.
func (s *Server) look(w http.ResponseWriter, r *http.Request, key pipe.Key) {
	producers, consumers, exists := s.broker.Look(key)
	if !exists {
		fail(w, r, noChannel(key))
		return
	}
	w.Header().Set(headerProducers, strconv.Itoa(producers))
	w.Header().Set(headerConsumers, strconv.Itoa(consumers))
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
	writeJSON(w, http.StatusOK, s.visibleState(r))
}

func (s *Server) listNamespaces(w http.ResponseWriter, r *http.Request, _ pipe.Key) {
	namespaces := slices.DeleteFunc(s.broker.Namespaces(), func(namespace string) bool {
		return len(s.visible(r, namespace, s.broker.Channels(namespace))) == 0
	})
	writeJSON(w, http.StatusOK, namespaces)
}

func (s *Server) listChannels(w http.ResponseWriter, r *http.Request, key pipe.Key) {
	channels := s.visible(r, key.Namespace, s.broker.Channels(key.Namespace))
	if len(channels) == 0 {
		fail(w, r, noNamespace(key))
		return
	}
	writeJSON(w, http.StatusOK, channels)
}

// ofAll gives h no name: that in the path is not a namespace's.
func ofAll(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, _ pipe.Key) { h(w, r, pipe.Key{}) }
}

// health answers 200 while the server serves, and otherwise says why it does not.
func (s *Server) health(w http.ResponseWriter, r *http.Request, _ pipe.Key) {
	switch err := s.unavailable(); {
	case s.broker.Stopping():
		fail(w, r, ending(pipe.ShutDown, pipe.Producer))
	case err != nil:
		fail(w, r, &failure{status: http.StatusServiceUnavailable, code: codeAuditUnavailable,
			text: err.Error()})
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

func writeJSON(w http.ResponseWriter, status int, v any) {
	writeJSONAs(w, "application/json", status, v)
}

func writeJSONAs(w http.ResponseWriter, contentType string, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps, slices and structs of strings and numbers always marshal
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	writeWhole(w, status, string(body)+"\n")
}

// writeWhole answers with a body of a known length. A client that is gone misses nothing.
func writeWhole(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func noChannel(key pipe.Key) *failure {
	return &failure{status: http.StatusNotFound, code: codeNotFound,
		text: "there is no channel " + key.String() + " now; one exists while somebody waits on it"}
}

func noNamespace(key pipe.Key) *failure {
	return &failure{status: http.StatusNotFound, code: codeNotFound,
		text: "there is no namespace " + key.Namespace + " now; one exists while somebody waits on a channel of it"}
}
