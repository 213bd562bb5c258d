package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"httpipe/access"
	"httpipe/nodes"
	"httpipe/reply"
)

const (
	// nodePatience is how long the other nodes have to answer a question.
	nodePatience = 3 * time.Second
	// maxNodeAnswer is the size of the largest answer of a node, in bytes: a list of more than 100,000 names.
	maxNodeAnswer = 32 << 20
)

// noAnswer is logged when a node does not answer.
const noAnswer = "a node did not answer a question about all nodes"

// others asks the other nodes what this one was asked: lists, the deletion of a namespace, receipts. It asks all of them at
// once, with the credential of the client, so each node grants the client what it would grant it directly. A question
// says that it comes from a node, so that the other node does not ask further nodes.
type others struct {
	member   *nodes.Member // nil: there are no other nodes
	guard    *access.Guard
	clients  *clients
	client   *http.Client
	patience time.Duration // nodePatience, unless a test changes it
	logger   *slog.Logger
}

func newOthers(config *Config, clients *clients) *others {
	return &others{
		member:  config.Nodes,
		guard:   config.Guard,
		clients: clients,
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: nodePatience}).DialContext,
				TLSHandshakeTimeout:    nodePatience,
				MaxResponseHeaderBytes: 64 << 10,
				MaxIdleConnsPerHost:    8,
				MaxConnsPerHost:        64,
				IdleConnTimeout:        idleTimeout / 2, // before the other node closes them
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		patience: nodePatience,
		logger:   config.Logger,
	}
}

// A nodeAnswer is what another node has answered: 200 or 204 with a body, or 404. Of any other answer, and of none, it has
// an error.
type nodeAnswer struct {
	node   nodes.Node
	status int
	body   []byte
	err    error
}

// asked returns the nodes that must be asked what r asks: none if r itself comes from a node.
func (o *others) asked(r *request) []nodes.Node {
	if o.member == nil || fromNode(r) {
		return nil
	}
	return o.member.Others()
}

// fromNode reports whether r comes from another node.
func fromNode(r *request) bool { return r.Header.Get(reply.HeaderScope) == reply.ScopeNode }

// ask asks all nodes in parallel, and returns a channel that receives one answer of each, within the patience. When ctx
// is done, those that have not answered yet fail.
func (o *others) ask(ctx context.Context, r *request, method string, asked []nodes.Node) <-chan nodeAnswer {
	answers := make(chan nodeAnswer, len(asked))
	for _, node := range asked {
		question, err := o.question(ctx, r, method, node)
		if err != nil {
			answers <- nodeAnswer{node: node, err: err}
			continue
		}
		go func() {
			a := o.send(question, node)
			if a.err != nil && ctx.Err() == nil {
				o.logger.Warn(noAnswer, "node", node.Name, "url", node.URL, "path", question.URL.Path, "error", a.err)
			}
			answers <- a
		}()
	}
	return answers
}

// question returns the question of r for a node. It copies what it uses of r, which may end before the question.
func (o *others) question(ctx context.Context, r *request, method string, node nodes.Node) (*http.Request, error) {
	question, err := http.NewRequestWithContext(ctx, method, node.URL+r.Path, nil)
	if err != nil {
		return nil, err
	}
	question.Header.Set("User-Agent", "httpipe-node")
	question.Header["Idempotency-Key"] = nil // not sent; net/http repeats even a DELETE if the node has closed a kept connection
	question.Header.Set(reply.HeaderScope, reply.ScopeNode)
	if c := &r.credentials; c.count == 1 && !o.guard.Open() {
		question.Header.Set("Authorization", "Bearer "+c.last)
	}
	if o.clients.header != "" { // limits and records on the other node are for the client
		question.Header.Set(o.clients.header, o.clients.addr(r))
	}
	return question, nil
}

// send sends a question and reads the answer.
func (o *others) send(question *http.Request, node nodes.Node) nodeAnswer {
	ctx, cancel := context.WithTimeoutCause(question.Context(), o.patience, fmt.Errorf("no answer within %v", o.patience))
	defer cancel()
	a := nodeAnswer{node: node}
	code := ""
	response, err := o.client.Do(question.WithContext(ctx))
	if err == nil {
		defer response.Body.Close()
		a.status, code = response.StatusCode, response.Header.Get(reply.HeaderError)
		a.body, err = io.ReadAll(io.LimitReader(response.Body, maxNodeAnswer+1))
	}
	switch {
	case ctx.Err() != nil:
		a.err = context.Cause(ctx)
	case err != nil:
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the URL, which the log has
		}
		a.err = err
	case response.Header.Get(nodes.HeaderNode) != node.Name:
		a.err = fmt.Errorf("it answers as node %q: correct the address in the table, or start it with --node %s", response.Header.Get(nodes.HeaderNode), node.Name)
	case len(a.body) > maxNodeAnswer:
		a.err = fmt.Errorf("its answer has more than %d bytes", maxNodeAnswer)
	case a.status == http.StatusOK, a.status == http.StatusNoContent, a.status == http.StatusNotFound && code == reply.CodeNotFound:
	default:
		a.err = errors.New("it answers " + strings.TrimSpace(response.Status+" "+code))
	}
	return a
}

// all asks the other nodes what r asks, calls found with the body of each answer that is not a 404, and reports whether all
// have answered. If not, it has answered r with an error that names those that have not. consequence says what that means.
func (o *others) all(w http.ResponseWriter, r *request, consequence string, found func(body []byte) error) bool {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	asked := o.asked(r)
	answers := o.ask(r.Context(), r, method, asked)
	var silent []string
	for range asked {
		a := <-answers
		if a.err == nil && a.status != http.StatusNotFound {
			a.err = found(a.body)
		}
		if a.err != nil {
			silent = append(silent, a.node.Name)
		}
	}
	if len(silent) > 0 {
		r.Refuse(w, unreachable(silent, consequence))
	}
	return len(silent) == 0
}

// first asks the other nodes what r asks, and returns the body of the first answer that is not a 404. Otherwise it returns the
// error if some nodes did not answer.
func (o *others) first(r *request) (body []byte, e *reply.Error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	asked := o.asked(r)
	answers := o.ask(ctx, r, http.MethodGet, asked)
	var silent []string
	for range asked {
		switch a := <-answers; {
		case a.err != nil:
			silent = append(silent, a.node.Name)
		case a.status != http.StatusNotFound:
			return a.body, nil
		}
	}
	if len(silent) > 0 {
		return nil, unreachable(silent, "it is not on record on the others")
	}
	return nil, nil
}

// unreachable returns the error that names the nodes that did not answer.
func unreachable(silent []string, consequence string) *reply.Error {
	slices.Sort(silent)
	which := "the node "
	if len(silent) > 1 {
		which = "the nodes "
	}
	return &reply.Error{Status: http.StatusBadGateway, Code: reply.CodeNodeUnreachable,
		Text: "no answer from " + which + strings.Join(silent, ", ") + "; " + consequence}
}

// named returns h with the name of this node in its answers to other nodes.
func (o *others) named(h handler) handler {
	return func(w http.ResponseWriter, r *request) {
		if o.member != nil && fromNode(r) {
			w.Header().Set(nodes.HeaderNode, o.member.Name())
		}
		h(w, r)
	}
}

// addNames returns a function for all that adds the names of another node's list to names.
func addNames(names *[]string) func(body []byte) error {
	return func(body []byte) error {
		var more []string
		if err := json.Unmarshal(body, &more); err != nil {
			return err
		}
		*names = union(*names, more)
		return nil
	}
}

// union returns the names of two lists, sorted, each once. The same name can be on two nodes while it changes its owner.
func union(a, b []string) []string {
	all := append(append([]string{}, a...), b...) // not nil, which is null in JSON
	slices.Sort(all)
	return slices.Compact(all)
}
