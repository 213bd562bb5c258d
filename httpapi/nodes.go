package httpapi

import (
	"fmt"
	"net/http"

	"httpipe/nodes"
	"httpipe/reply"
)

// A member is this server as one of several nodes.
type member struct {
	*nodes.Member // nil: it is the only one
	health        *health
	refusals      *refusals
}

// misdirected returns the refusal of a request to a name that this node does not serve now, or whose slot has other nodes in
// the table of the balancer that sent it. It returns nil for a request that names nothing.
func (m *member) misdirected(r *request) *reply.Error {
	if r.Key.Channel == "" {
		return nil
	}
	slot := m.Table().Of(r.Key.Namespace, r.Key.Channel)
	owner, standIn := r.Header.Joined(reply.HeaderOwner), r.Header.Joined(reply.HeaderStandIn)
	if owner != "" && owner != slot.Owner || standIn != "" && standIn != slot.StandIn {
		return m.refuse(r, fmt.Sprintf("the balancer has another table than node %s: for %s it has the nodes %s and %s instead of %s and %s; give both the same table",
			m.Name(), r.Key, owner, standIn, slot.Owner, slot.StandIn))
	}
	if m.Serves(r.Key.Namespace, r.Key.Channel) {
		return nil
	}
	return m.refuse(r, fmt.Sprintf("node %s does not serve %s; its owner is node %s", m.Name(), r.Key, slot.Owner))
}

func (m *member) refuse(r *request, text string) *reply.Error {
	return m.refusals.refuse(r, reply.CodeMisdirected, reply.Error{Status: http.StatusMisdirectedRequest, Code: reply.CodeMisdirected, Text: text})
}

// show answers whether this node serves the slots of the node in the path. A node that is draining answers 404, on which
// HAProxy sends no new requests and lets those that run end (http-check disable-on-404).
func (m *member) show(w http.ResponseWriter, r *request) {
	if m.Member == nil {
		r.Fail(w, &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "this server is not one of several nodes (--nodes)"})
		return
	}
	w.Header().Set(nodes.HeaderNode, m.Name())
	switch {
	case m.health.broker.Stopping():
		r.Fail(w, &reply.Error{Status: http.StatusNotFound, Code: reply.CodeNotFound, Text: "node " + m.Name() + " is draining"})
	case !m.ServesFor(r.parameter):
		r.Fail(w, &reply.Error{Status: http.StatusServiceUnavailable, Code: reply.CodeMisdirected,
			Text: "node " + m.Name() + " does not serve the slots of " + r.parameter + " now"})
	default:
		m.health.show(w, r)
	}
}
