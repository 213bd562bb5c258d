package client

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"

	"httpipe/reply"
)

const (
	// DefaultRound is shorter than the 60 s after which proxies usually cut a silent connection.
	DefaultRound = 50 * time.Second
	// DefaultRetries makes a transfer survive a restart of the relay: the pauses take half a minute in all.
	DefaultRetries = 5
	// Forever as Client.Wait is a wait without a limit, and as Client.Retries no limit to the number of attempts.
	Forever = -1
)

// A Client sends to relays and receives from them. Its methods may be called at the same time; its fields must not
// change meanwhile.
type Client struct {
	Token   string        // sent as Authorization: Bearer; empty: none
	Agent   string        // User-Agent
	Round   time.Duration // longest wait of one request
	Wait    time.Duration // longest wait of a transfer for its partner, or Forever; 0: only for a partner that waits already
	Retries int           // how many failures in a row to retry after, or Forever

	// Waiting only limits how long Receive waits: when it is done, Receive cancels a request that waits, and finishes a
	// message that has begun to arrive.
	Waiting context.Context

	// Notice, if it is not nil, is called when a transfer is tried again.
	Notice func(Retry)

	transport http.RoundTripper
	pace      pace
}

// A Retry describes a failed attempt and the next one.
type Retry struct {
	Failure *Failure
	Pause   time.Duration // until the next attempt
}

// New returns a client with the default round and number of retries, which waits without a limit. agent is its
// User-Agent.
func New(agent string) *Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true // a body with Content-Encoding: gzip is handed on as it came
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	t.MaxIdleConnsPerHost = 64
	return &Client{Agent: agent, Round: DefaultRound, Wait: Forever, Retries: DefaultRetries,
		Waiting: context.Background(), transport: t, pace: defaultPace}
}

// request returns a request of the client.
func (c *Client) request(ctx context.Context, method, url string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.Agent)
	// A consumer's 408, 410, 429 and 503 have a text only in JSON.
	req.Header.Set("Accept", "application/json, */*")
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	return req, nil
}

// isExchange reports whether a response with the status 200 comes from a relay.
func isExchange(h http.Header) bool { return h.Get(reply.HeaderExchange) != "" }

// do sends a request and returns the response if its status is 200 and fromRelay knows it, or else a *Failure. The caller
// closes the response's body. do follows no redirect, because that would send the token and the body to another server.
func (c *Client) do(req *http.Request, fromRelay func(http.Header) bool) (*http.Response, error) {
	begun := false
	trace := &httptrace.ClientTrace{WroteHeaders: func() { begun = true }}
	resp, err := c.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		return nil, noAnswer(req.Context(), err, begun)
	}
	if resp.StatusCode == http.StatusOK && fromRelay(resp.Header) {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, failureOf(resp)
}

// A Look says how many clients wait on a channel.
type Look struct{ Producers, Consumers int }

// Look asks how many clients wait on a channel, without taking a message. A channel that does not exist has none.
func (c *Client) Look(ctx context.Context, channel Address) (Look, error) {
	req, err := c.request(ctx, http.MethodHead, channel.url())
	if err != nil {
		return Look{}, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return Look{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound && resp.Header.Get(reply.HeaderError) != "" {
		return Look{}, nil
	}
	producers, err := strconv.Atoi(resp.Header.Get(reply.HeaderProducers))
	if err != nil {
		return Look{}, fmt.Errorf("HEAD %s: %s", channel, resp.Status)
	}
	consumers, err := strconv.Atoi(resp.Header.Get(reply.HeaderConsumers))
	return Look{producers, consumers}, err
}

// firstLine returns the first line of a text, without spaces around it.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}
