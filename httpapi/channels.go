package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"httpipe/pipe"
	"httpipe/reply"
)

// channels lists and counts the clients of channels and services that exist now, and deletes these.
type channels struct {
	broker *pipe.Broker
	gate   *gate
	others *others
}

// incomplete is the consequence for a list if a node does not answer.
const incomplete = "the list would not be complete"

// look answers with the numbers of requests that wait on a channel or a service. It takes no message.
func (c *channels) look(w http.ResponseWriter, r *request) {
	look := c.broker.Look
	if r.Shape == pipe.Service {
		look = c.broker.LookService
	}
	producers, consumers, exists := look(r.Key)
	if !exists {
		r.Fail(w, nothingAt(r.Shape, r.Key))
		return
	}
	w.Header().Set(reply.HeaderProducers, strconv.Itoa(producers))
	w.Header().Set(reply.HeaderConsumers, strconv.Itoa(consumers))
}

// delete deletes a channel or a service.
func (c *channels) delete(w http.ResponseWriter, r *request) {
	remove := c.broker.Delete
	if r.Shape == pipe.Service {
		remove = c.broker.DeleteService
	}
	if !remove(r.Key) {
		r.Fail(w, nothingAt(r.Shape, r.Key))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// deleteNamespace deletes all channels of a namespace.
func (c *channels) deleteNamespace(w http.ResponseWriter, r *request) {
	existed := c.broker.DeleteNamespace(r.Key.Namespace)
	elsewhere := func([]byte) error { existed = true; return nil }
	if !c.others.all(w, r, "on all other nodes the namespace is deleted", elsewhere) {
		return
	}
	if !existed {
		r.Fail(w, noNamespace(r.Key))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// state lists the channels that the client may see, by namespace.
func (c *channels) state(w http.ResponseWriter, r *request) {
	state := c.broker.State()
	for namespace, channels := range state {
		state[namespace] = c.gate.visible(r, namespace, channels)
	}
	maps.DeleteFunc(state, func(_ string, channels []string) bool { return len(channels) == 0 })
	add := func(body []byte) error {
		var more map[string][]string
		err := json.Unmarshal(body, &more)
		for namespace, channels := range more {
			state[namespace] = union(state[namespace], channels)
		}
		return err
	}
	if !c.others.all(w, r, incomplete, add) {
		return
	}
	reply.JSON(http.StatusOK, state).Write(w)
}

// namespaces lists the namespaces in which the client may see a channel.
func (c *channels) namespaces(w http.ResponseWriter, r *request) {
	namespaces := slices.DeleteFunc(c.broker.Namespaces(), func(namespace string) bool {
		return len(c.gate.visible(r, namespace, c.broker.Channels(namespace))) == 0
	})
	if !c.others.all(w, r, incomplete, addNames(&namespaces)) {
		return
	}
	reply.JSON(http.StatusOK, namespaces).Write(w)
}

// list lists the channels of a namespace that the client may see.
func (c *channels) list(w http.ResponseWriter, r *request) {
	channels := c.gate.visible(r, r.Key.Namespace, c.broker.Channels(r.Key.Namespace))
	if !c.others.all(w, r, incomplete, addNames(&channels)) {
		return
	}
	if len(channels) == 0 {
		r.Fail(w, noNamespace(r.Key))
		return
	}
	reply.JSON(http.StatusOK, channels).Write(w)
}

func nothingAt(shape pipe.Shape, key pipe.Key) *reply.Error {
	return &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound,
		Text: fmt.Sprintf("there is no %s %s now; a %s exists while it is in use", shape, key, shape)}
}

func noNamespace(key pipe.Key) *reply.Error {
	return &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound,
		Text: "there is no namespace " + key.Namespace + " now; a namespace exists while one of its channels is in use"}
}
