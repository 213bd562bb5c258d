package client

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"httpipe/reply"
)

// Method returns the method of a caller's request.
func (m *Incoming) Method() string { return m.Header.Get(reply.HeaderMethod) }

// Target returns the path below the service and the query of a caller's request, as they were sent.
func (m *Incoming) Target() string { return m.Header.Get(reply.HeaderTarget) }

// SentHeader returns the headers of the producer's or the caller's own request, as far as the relay passes them on.
func (m *Incoming) SentHeader() http.Header {
	sent := http.Header{}
	for name, values := range m.Header {
		if own, ok := strings.CutPrefix(name, reply.HeaderPrefix); ok {
			sent[http.CanonicalHeaderKey(own)] = slices.Clone(values)
		}
	}
	return sent
}

// An Answer is what a worker sends to a caller.
type Answer struct {
	Status int // 200 to 599
	Header http.Header
	Length int64 // of Body; -1: not known
	Body   io.Reader
}

// described are the headers of an answer that its request has too; all others have reply.HeaderPrefix.
var described = []string{"Content-Type", "Content-Disposition", "Content-Encoding", "Content-Language"}

// Answer sends an answer to the caller of a request that was received from a service. It tries once: a call does not
// outlive its connection. The error is a *Failure, or that of reading the body.
func (c *Client) Answer(ctx context.Context, service Address, m *Incoming, a Answer) error {
	ctx, touch, stop := c.guard(ctx, service)
	defer stop()
	body := &source{body: io.NopCloser(a.Body), left: a.Length, touch: touch}
	req, err := c.request(ctx, http.MethodPost, service.base+m.Header.Get(reply.HeaderReply))
	if err != nil {
		return err
	}
	req.Body, req.ContentLength = body, a.Length
	if a.Length == 0 {
		req.Body = http.NoBody
	}
	for name, values := range a.Header {
		if name == "Content-Length" {
			continue
		}
		if !slices.Contains(described, name) {
			name = reply.HeaderPrefix + name
		}
		req.Header[name] = values
	}
	req.Header.Set(reply.HeaderStatus, strconv.Itoa(a.Status))
	resp, err := c.do(req, isExchange)
	if failed := body.failure(); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
