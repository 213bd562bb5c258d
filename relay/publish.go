package relay

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// A publisher is a pending request that publishes. It is pending once its body has been read.
type publisher struct {
	Pending
	relay       *Relay
	publication *pipe.Publication
	source      source
}

// Publish sends the body of r to all that are subscribed to a topic, and answers r when their connections have taken it.
func (l *Relay) Publish(w http.ResponseWriter, r *Request) { OnEngine(w, r, l.publish) }

// publish is Publish on the engine. The goroutine of the connection sends the message, unless it may have to wait for
// subscribers: then another one does, and that of the connection watches for a hang-up. Without a wait a hang-up after the
// last byte changes nothing.
func (l *Relay) publish(w *Response, r *Request) {
	p := &publisher{relay: l}
	if e := l.publication(r, p); e != nil {
		r.Refuse(w, e)
		return
	}
	if err := p.publication.Read(); err != nil {
		p.publication.Release()
		outcome := p.publication.Outcome()
		e := reply.ForPublication(p.publication, outcome)
		if outcome == pipe.ProducerLeft {
			if fromConnection(p.source.err) {
				Abort()
			}
			e.Code, e.Text = reply.CodeBadRequest, p.source.explain(e.Text)
		}
		r.Refuse(w, e)
		return
	}
	w.Park(r, &p.Pending, p)
	if p.publication.Enough > 0 {
		go func() {
			defer p.conn.recover()
			p.send()
		}()
		return
	}
	p.send()
}

// publication prepares p for the message of r, or returns the error that r is answered with.
func (l *Relay) publication(r *Request, p *publisher) *reply.Error {
	arrival, e := l.arrival(r, pipe.Producer)
	if e != nil {
		return e
	}
	enough, e := enoughSubscribers(r)
	if e != nil {
		return e
	}
	if e := l.checkBody(r); e != nil {
		return e
	}
	if e := l.setSource(&p.source, r, r.Body, &arrival); e != nil {
		return e
	}
	p.publication = l.broker.NewPublication(arrival, p.limited(r.Conn), enough)
	return nil
}

// limited returns the body as a reader that fails if the client sends nothing for the silence timeout.
func (p *publisher) limited(c *Conn) io.Reader {
	if p.relay.config.SilenceTimeout <= 0 {
		return &p.source
	}
	return &impatientReader{&p.source, c, p.relay.config.SilenceTimeout}
}

// An impatientReader reads a connection with a limit for each read.
type impatientReader struct {
	io.Reader
	conn  *Conn
	limit time.Duration
}

func (i *impatientReader) Read(p []byte) (int, error) {
	i.conn.SetReadDeadline(time.Now().Add(i.limit))
	n, err := i.Reader.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = pipe.Silent
	}
	i.conn.SetReadDeadline(noDeadline)
	return n, err
}

// enoughSubscribers returns the number in ?subscribers=, or 0.
func enoughSubscribers(r *Request) (int, *reply.Error) {
	given := r.parameter("subscribers")
	if len(given) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseUint(given[0], 10, 31)
	if err != nil || len(given) > 1 {
		return 0, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadRequest, Text: "subscribers in the query must be one number, such as 3"}
	}
	return int(n), nil
}

// send publishes the message and answers the client.
func (p *publisher) send() {
	defer p.publication.Release()
	outcome, cause := p.publication.Publish()
	p.relay.logPublication(p.publication, outcome, cause)
	switch outcome {
	case pipe.Published:
		p.Answer(reply.Published(p.publication, p.WantsJSON()))
	case pipe.Left:
		p.Abort()
	default:
		e := reply.ForPublication(p.publication, outcome)
		if id := p.publication.ID; id != "" {
			p.Fail(e, reply.Field{Name: reply.HeaderExchange, Value: id})
			return
		}
		p.Fail(e)
	}
}

// HungUp implements Owner.
func (p *publisher) HungUp() { p.publication.Leave() }

// Resume implements Owner. Nothing wakes a publisher.
func (p *publisher) Resume() {}

// logPublication logs a publication that has ended, in one line.
func (l *Relay) logPublication(p *pipe.Publication, outcome pipe.Outcome, cause error) {
	level := slog.LevelDebug
	if outcome == pipe.Unrecorded {
		level = slog.LevelError
	}
	if !l.config.Logger.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", p.ID),
		slog.String("topic", p.Key.String()),
		slog.String("outcome", string(outcome)),
		slog.Int("bytes", len(p.Body)),
		slog.Int("subscribers", p.Subscribers),
		slog.Int("delivered", p.Delivered),
	}
	if cause != nil {
		attrs = append(attrs, slog.Any("cause", cause))
	}
	l.config.Logger.LogAttrs(context.Background(), level, "publication ended", attrs...)
}
