package httpapi

import (
	"httpipe/audit"
	"httpipe/metrics"
	"httpipe/pipe"
	"httpipe/reply"
)

// refusals records requests that are refused before they reach the broker, in the audit log and in the metrics.
type refusals struct {
	audit   *audit.Recorder  // nil without a log
	metrics *metrics.Metrics // nil: nothing is counted
	clients *clients
}

// record records that r was refused. role is NoRole if the request neither produces nor consumes.
func (f *refusals) record(r *request, key pipe.Key, role pipe.Role, reason string) {
	f.metrics.CountRefused(role)
	if f.audit == nil {
		return
	}
	client := f.clients.of(r)
	f.audit.RecordRefusal(r.Shape, key, role, reason, client, group(client.Addr))
}

// refuse records the refusal of r, if r produces or consumes, and returns the error for its client. reason is the option that
// caused the refusal, or the error's code.
func (f *refusals) refuse(r *request, reason string, e reply.Error) *reply.Error {
	role := r.role()
	if role != pipe.NoRole {
		f.record(r, r.Key, role, reason)
	}
	return e.To(role)
}
