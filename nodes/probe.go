package nodes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	probeInterval = 500 * time.Millisecond // also how long an answer may take
	failuresToGo  = 2                      // this many failed probes in a row mean that the owner is gone
)

// HealthPath is the path of a node's health, before the name of the owner whose slots are asked for. The owner answers 200
// while it serves, and 404 while it drains. A node that stands in for it answers 200 while it serves the owner's slots.
const HealthPath = "/healthz/nodes/"

// HeaderNode names the node that answers a request to HealthPath, or a question of another node.
const HeaderNode = "Httpipe-Node"

// An owner is a node that this one stands in for.
type owner struct {
	node Node
	gone atomic.Bool // it does not serve: its probes fail, or it is draining

	failures int // in a row; owned by the goroutine in watch
}

// A finding is the result of a probe.
type finding int

const (
	failed finding = iota
	serving
	draining
)

// watch probes o until ctx is done.
func (m *Member) watch(ctx context.Context, o *owner) {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSHandshakeTimeout: probeInterval},
		Timeout:       probeInterval,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		found, err := probe(ctx, client, o.node)
		if ctx.Err() != nil {
			return
		}
		m.note(o, found, err)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// probe asks a node for its health. An answer of any other server at its address is a failure.
func probe(ctx context.Context, client *http.Client, n Node) (finding, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+HealthPath+n.Name, nil)
	if err != nil {
		return failed, err
	}
	response, err := client.Do(request)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		if err = wrapped.Err; wrapped.Timeout() {
			err = fmt.Errorf("no answer within %v", client.Timeout)
		}
	}
	if err != nil {
		return failed, err
	}
	response.Body.Close()
	switch named := response.Header.Get(HeaderNode) == n.Name; {
	case named && response.StatusCode == http.StatusOK:
		return serving, nil
	case named && response.StatusCode == http.StatusNotFound:
		return draining, nil
	case !named:
		return failed, wrongNode(n, response.Header.Get(HeaderNode))
	}
	return failed, errors.New("its health is " + response.Status)
}

// note updates o after a probe.
func (m *Member) note(o *owner, found finding, err error) {
	log := m.logger.With(slog.String("owner", o.node.Name), slog.String("url", o.node.URL))
	switch found {
	case serving:
		o.failures = 0
		if o.gone.Swap(false) {
			log.Info("a node serves its slots again; requests that wait here for them are sent there")
			m.notify()
		}
	case draining:
		o.failures = 0
		if !o.gone.Swap(true) {
			log.Info("a node is draining; this node serves its slots")
		}
	case failed:
		if o.failures++; o.failures >= failuresToGo && !o.gone.Swap(true) {
			log.Warn("a node does not answer; this node serves its slots", slog.Any("error", err))
		}
	}
}

// notify calls the function that Run was given.
func (m *Member) notify() {
	m.mu.Lock()
	changed := m.changed
	m.mu.Unlock()
	changed()
}

// wrongNode returns the error of a probe that another server answered. name is the node that it claims to be, or "".
func wrongNode(asked Node, name string) error {
	if name == "" {
		return fmt.Errorf("%s is not a node of httpipe; correct the address in the table, or start it with --nodes and --node %s", asked.URL, asked.Name)
	}
	return fmt.Errorf("%s is the node %s; correct the address in the table", asked.URL, name)
}
