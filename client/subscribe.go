package client

import (
	"bufio"
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// An Event is an element of a subscription: a message of a topic, or a gap, where messages were missed.
type Event struct {
	ID     string // of the publication; of a gap, that of the newest missed one, if it is known
	Body   []byte
	Missed string // not empty: how many publications were missed since the last event, or "unknown"; there is no Body
}

// Subscribe subscribes to a topic, and calls take with each message, in the topic's order. When the connection breaks
// it subscribes again; if messages were missed, the next Event says how many. after is the id of the publication after
// which to begin, or empty. Subscribe returns when ctx is done, after a failure that does not pass, or with the error
// of take.
func (c *Client) Subscribe(ctx context.Context, topic Address, after string, take func(Event) error) error {
	return c.repeat(ctx, func(ctx context.Context, _ time.Duration) error {
		return c.subscribeOnce(ctx, topic, &after, take)
	})
}

// subscribeOnce subscribes once. It keeps the id of the last event in last.
func (c *Client) subscribeOnce(ctx context.Context, topic Address, last *string, take func(Event) error) error {
	ctx, touch, stop := c.guard(ctx, topic)
	defer stop()
	req, err := c.request(ctx, http.MethodGet, topic.url())
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream, application/problem+json")
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	resp, err := c.do(req, func(h http.Header) bool { return h.Get("Content-Type") == "text/event-stream" })
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	taken := false
	for {
		e, err := readEvent(lines, touch)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return &Failure{Outcome: Broken, Text: "the subscription broke: " + Explain(err), cause: err, first: taken}
		}
		if e.ID != "" {
			*last = e.ID
		}
		taken = true
		if err := take(e); err != nil {
			return err
		}
	}
}

// readEvent reads the next server-sent event of a topic, and skips comments and other events. It calls touch for each line.
// An incomplete event is an error.
func readEvent(r *bufio.Reader, touch func()) (Event, error) {
	var e Event
	var kind string
	var data []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return e, err
		}
		touch()
		line = strings.TrimRight(line, "\r\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case field == "id":
			e.ID = value
		case field == "event":
			kind = value
		case field == "data":
			data = append(data, value)
		case line != "" || data == nil: // a comment, another field, or the end of what is no event
		case kind == "missed":
			e.Missed = strings.Join(data, "")
			return e, nil
		case kind == "base64":
			e.Body, err = base64.StdEncoding.DecodeString(strings.Join(data, ""))
			return e, err
		default:
			e.Body = []byte(strings.Join(data, "\n"))
			return e, nil
		}
	}
}
