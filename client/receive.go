package client

import (
	"context"
	"io"
	"mime"
	"net/http"
	"time"

	"httpipe/reply"
)

// An Incoming is a message that is being received.
type Incoming struct {
	Exchange string // its id
	Header   http.Header
	Length   int64 // -1: not known

	// Body is the body. Reading it ends with io.EOF only if it arrived whole, and with a *Failure if it did not.
	Body io.Reader
}

// Type returns the message's Content-Type.
func (m *Incoming) Type() string { return m.Header.Get("Content-Type") }

// Name returns the name of the file that was sent, as its sender wrote it, or "".
func (m *Incoming) Name() string {
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	return params["filename"]
}

// Receive waits for a message and calls take with it. If take fails with a *Failure, as reading a broken body does,
// Receive waits for the next message, unless the failure is Final; so take must discard what it has read. If take fails
// with another error, Receive returns that, and the message's producer gets consumer_left, unless the body was read to
// its end.
func (c *Client) Receive(ctx context.Context, from Address, take func(*Incoming) error) error {
	return c.repeat(ctx, func(ctx context.Context, wait time.Duration) error {
		return c.receiveOnce(ctx, from, wait, take)
	})
}

// receiveOnce receives a message in one request.
func (c *Client) receiveOnce(ctx context.Context, from Address, wait time.Duration, take func(*Incoming) error) error {
	ctx, touch, stop := c.guard(ctx, from)
	defer stop()
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stay := context.AfterFunc(c.Waiting, func() { cancel(context.Cause(c.Waiting)) })
	defer stay()
	req, err := c.request(waiting, http.MethodGet, from.waiting(wait))
	if err != nil {
		return err
	}
	resp, err := c.do(req, isExchange)
	if c.Waiting.Err() != nil && err != nil {
		return context.Cause(c.Waiting)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if !stay() {
		return context.Cause(c.Waiting)
	}
	m := &Incoming{Exchange: resp.Header.Get(reply.HeaderExchange), Header: resp.Header, Length: resp.ContentLength}
	m.Body = &whole{ctx: ctx, resp: resp, touch: touch}
	return take(m)
}

// whole reads the body of a response. It returns io.EOF only at the end of the body, not at that of the connection.
type whole struct {
	ctx   context.Context
	resp  *http.Response
	touch func()
}

func (b *whole) Read(p []byte) (int, error) {
	n, err := b.resp.Body.Read(p)
	b.touch()
	if err == nil {
		return n, nil
	}
	f := &Failure{Outcome: Broken, Status: b.resp.StatusCode, Exchange: b.resp.Header.Get(reply.HeaderExchange),
		Text: "the message did not arrive whole", cause: err}
	switch {
	case err == io.EOF && b.endsVisibly():
		return n, err
	case err == io.EOF:
		f.Text = "the message may not have arrived whole: a proxy uses HTTP/1.0, where the end of a message looks like a broken connection; use a proxy with HTTP/1.1, or none"
	case b.ctx.Err() != nil:
		f.Text += ": " + context.Cause(b.ctx).Error()
	default:
		f.Text += ": the connection broke"
	}
	return n, f
}

// endsVisibly reports whether the end of the response's body differs from the end of the connection.
func (b *whole) endsVisibly() bool {
	return b.resp.ContentLength >= 0 || len(b.resp.TransferEncoding) > 0 || b.resp.ProtoMajor >= 2
}
