package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"httpipe/reply"
)

// A Message is what Send sends.
type Message struct {
	Name string // of the file, for the consumer; empty: none
	Type string // Content-Type; empty: application/octet-stream
	Size int64  // -1: not known

	// Open returns the body, from its beginning. It is called for each attempt, and its error ends the transfer. The
	// body is closed after the attempt.
	Open func() (io.ReadCloser, error)
}

// FileMessage returns a message with the content of an open file, from its current position, and with its name and type.
// Bytes that are appended later are not part of the message. A file that is not a regular one is read as a stream. The
// caller closes the file after the transfer.
func FileMessage(file *os.File) (Message, error) {
	info, err := file.Stat()
	if err != nil {
		return Message{}, err
	}
	if info.IsDir() {
		return Message{}, fmt.Errorf("%s is a directory; send an archive of it: tar -c %[1]s | httpipe send URL", file.Name())
	}
	m := Stream(file)
	m.Name = filepath.Base(file.Name())
	m.Type = mime.TypeByExtension(filepath.Ext(m.Name))
	if !info.Mode().IsRegular() {
		return m, nil
	}
	position, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return m, err
	}
	m.Size = max(0, info.Size()-position)
	m.Open = func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(file, position, m.Size)), nil
	}
	return m, nil
}

// Stream returns a message that is read from r, to its end. It can be sent again as long as at most 8 MiB of it were read:
// see [Replay].
func Stream(r io.Reader) Message {
	return Message{Size: -1, Open: NewReplay(r).Open}
}

// A Receipt is the relay's acknowledgement that a message was delivered or published, and is on record.
type Receipt struct {
	Exchange    string `json:"exchange,omitempty"`
	Publication string `json:"publication,omitempty"`
	Namespace   string `json:"namespace"`
	Channel     string `json:"channel,omitempty"`
	Topic       string `json:"topic,omitempty"`
	Outcome     string `json:"outcome"`
	Bytes       int64  `json:"bytes"`
	Subscribers *int   `json:"subscribers,omitempty"` // of a publication: how many there were
	Delivered   *int   `json:"delivered,omitempty"`   // and how many took it
	MatchedAt   string `json:"matched_at,omitempty"`  // RFC 3339
	PublishedAt string `json:"published_at,omitempty"`
	EndedAt     string `json:"ended_at,omitempty"`
}

// Send sends a message to one consumer, or to the subscribers of a topic, and waits until it is delivered. It sends it
// again after a failure that can pass. The error is a *Failure, ctx's, or that of reading the body.
func (c *Client) Send(ctx context.Context, to Address, m Message) (receipt Receipt, err error) {
	var last *Failure
	err = c.repeat(ctx, func(ctx context.Context, wait time.Duration) error {
		body, err := m.Open()
		if errors.Is(err, ErrSpent) && last != nil {
			last.Final = true
			last.Text += "; " + err.Error()
			return last
		}
		if err != nil {
			return err
		}
		receipt, err = c.sendOnce(ctx, to, m, body, wait)
		last, _ = errors.AsType[*Failure](err)
		return err
	})
	return receipt, err
}

// expectOver is the size from which a body is sent with Expect: 100-continue, so that a server can refuse it before it is
// sent. The header also lets the relay notice within seconds that the machine of a waiting sender is gone.
const expectOver = 1 << 20

// sendOnce sends a message in one request, and closes its body.
func (c *Client) sendOnce(ctx context.Context, to Address, m Message, body io.ReadCloser, wait time.Duration) (receipt Receipt, err error) {
	ctx, touch, stop := c.guard(ctx, to)
	defer stop()
	source := &source{body: body, left: m.Size, touch: touch}
	defer source.Close()
	req, err := c.request(ctx, http.MethodPost, to.waiting(wait))
	if err != nil {
		return receipt, err
	}
	req.Body, req.ContentLength = source, m.Size
	if m.Size == 0 {
		req.Body = http.NoBody // or else the length counts as not known
	}
	if m.Size < 0 || m.Size > expectOver {
		req.Header.Set("Expect", "100-continue")
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	if m.Type != "" {
		req.Header.Set("Content-Type", m.Type)
	}
	if m.Name != "" {
		req.Header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": m.Name}))
	}
	resp, err := c.do(req, isExchange)
	if failed := source.failure(); failed != nil {
		return receipt, failed
	}
	if err != nil {
		return receipt, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 4096)).Decode(&receipt); err != nil {
		// The status was 200, which is the acknowledgement.
		receipt = Receipt{Exchange: resp.Header.Get(reply.HeaderExchange), Outcome: "delivered"}
	}
	return receipt, nil
}
