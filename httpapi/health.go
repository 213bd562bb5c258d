package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/store"
)

var errReadOnly = errors.New("this server only shows an audit log, and relays nothing (--audit=read-only)")

// health says whether the server can relay.
type health struct {
	broker     *pipe.Broker
	log        *store.Log // nil without an audit log
	bestEffort bool
	readOnly   bool // nothing is relayed
}

// unavailable returns why the server may not relay: unless the log is off or best-effort, nothing is relayed without a
// record.
func (h *health) unavailable() error {
	if h.readOnly {
		return errReadOnly
	}
	if h.log == nil || h.bestEffort {
		return nil
	}
	return h.log.Err()
}

// refusal returns the error for requests that would be relayed, or nil if they may be. A server that only shows a log does not
// ask clients to try again.
func (h *health) refusal() *reply.Error {
	switch err := h.unavailable(); err {
	case nil:
		return nil
	case errReadOnly:
		return &reply.Error{Status: http.StatusServiceUnavailable, Code: reply.CodeAuditUnavailable, Text: err.Error()}
	}
	return &reply.Error{Status: http.StatusServiceUnavailable, Code: reply.CodeAuditUnavailable, RetryAfter: 1,
		Text: "the audit log cannot be written, and nothing is relayed without a record"}
}

// show answers 200 while the server serves, and otherwise says why it does not.
func (h *health) show(w http.ResponseWriter, r *request) {
	switch err := h.unavailable(); {
	case h.broker.Stopping():
		r.Fail(w, reply.ForOutcome(pipe.ShutDown, pipe.Producer))
	case err != nil:
		r.Fail(w, &reply.Error{Status: http.StatusServiceUnavailable, Code: reply.CodeAuditUnavailable, Text: err.Error()})
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ok")
	}
}
