package relay

import (
	"io"
	"net"
	"net/http"

	"httpipe/pipe"
	"httpipe/relay/http1"
	"httpipe/reply"
)

// relayed are the headers of every relayed body: no proxy stores it, changes it or holds it back, no client guesses
// its type, and a page runs in an origin of its own, from where it cannot reach this server.
var relayed = []reply.Field{
	{Name: "Cache-Control", Value: "no-store, no-transform"},
	{Name: "Content-Security-Policy", Value: "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts"},
	{Name: "X-Accel-Buffering", Value: "no"},
	{Name: "X-Content-Type-Options", Value: "nosniff"},
	{Name: "X-Robots-Tag", Value: "none"},
}

// relayedLines are relayed as they are sent.
var relayedLines = lines(relayed)

func lines(fields []reply.Field) string {
	var b []byte
	for _, f := range fields {
		b = http1.AppendField(b, f.Name, f.Value)
	}
	return string(b)
}

// A sink is the state of a consumer's response, as pipe writes it. The response begins with the first byte of the body, or
// with the end of an empty one. It is owned by the goroutine that carries out the exchange.
type sink struct {
	exchange *pipe.Exchange // nil until Begin
	begun    bool           // the head has been written
	inChunk  bool           // a write has failed, perhaps in the middle of a chunk
	resets   bool           // the connection would end with a reset
	complete bool           // the response is complete, and the connection carries the next request
	unsent   string         // the part of the response's end that could not be sent
	stream   *stream        // nil until a write may block
}

// A stream holds what only a response of more than one write needs.
type stream struct {
	stall  stallClock
	pieces [3][]byte // of vector
	vector net.Buffers

	limited io.LimitedReader // of Splice
}

// Begin implements pipe.Sink. From here to the end of the body the connection ends with a reset if a client could take the
// end of the connection for the end of the body: in HTTP/1.0 without a length, and in the middle of a chunk, where GNU wget
// reports success. This cannot be left for later, because the kernel closes the connection when the process is killed.
func (c *consumer) Begin(x *pipe.Exchange) {
	c.exchange = x
	c.setResets(x.Producer.Length < 0)
}

func (c *consumer) setResets(resets bool) {
	switch {
	case resets == c.resets:
	case resets:
		c.conn.setLinger(0)
	default:
		c.conn.setLinger(-1)
	}
	c.resets = resets
}

// Write implements pipe.Sink. It sends the head with the first bytes, and the end with the last.
func (c *consumer) Write(p []byte, last bool) (n int, err error) {
	buffer := getBuffer()
	defer putBuffer(buffer)
	b := buffer[:0]
	if !c.begun {
		c.begun = true
		b = c.appendMessageHead(b)
	}
	end := ""
	if c.bodiless() {
		_, err = c.send(b, last) // if the answer has a body, it is dropped
		return 0, err
	}
	if c.exchange.Producer.Length < 0 && c.Chunked() {
		if len(p) > 0 {
			b = http1.AppendChunkHead(b, len(p))
			end = http1.ChunkEnd
		}
		if last {
			end += http1.LastChunk
		}
	}
	head := len(b)
	if head+len(p)+len(end) <= len(buffer) {
		b = append(append(b, p...), end...)
		n, err = c.send(b, last)
	} else {
		n, err = c.sendVector(b, p, end, last)
	}
	if err != nil {
		c.inChunk = true
	}
	if all := head + len(p); last && n >= all && err != nil {
		c.unsent, err = end[n-all:], nil // the body was sent
	}
	return min(max(n-head, 0), len(p)), err
}

// send sends b, which is in one buffer.
func (c *consumer) send(b []byte, last bool) (n int, err error) {
	n, err = c.TrySend(b, last && !c.resets)
	if err == nil && n < len(b) {
		c.mayBlock()
		var m int
		m, err = c.conn.Conn.Write(b[n:])
		n += m
		c.stream.stall.writing.Store(false)
	} else if last && !c.resets {
		c.complete = err == nil
		return n, err
	}
	c.finish(last && err == nil)
	return n, err
}

// sendVector sends head, p and end with one system call, if the kernel takes so much.
func (c *consumer) sendVector(head, p []byte, end string, last bool) (int, error) {
	c.mayBlock()
	s := c.stream
	s.pieces = [3][]byte{head, p, []byte(end)}
	s.vector = s.pieces[:]
	n, err := s.vector.WriteTo(c.conn.Conn)
	s.pieces, s.vector = [3][]byte{}, nil
	s.stall.writing.Store(false)
	c.finish(last && err == nil)
	return int(n), err
}

// finish ends the response after all of it has been sent.
func (c *consumer) finish(all bool) {
	if all {
		c.setResets(false)
		c.complete = true
		c.Finish()
	}
}

// mayBlock is called before a write that may block. It starts the stall clock.
func (c *consumer) mayBlock() {
	if c.stream == nil {
		c.stream = new(stream)
		c.stream.stall.start(c.exchange, c.conn, c.relay().config.StallTimeout)
	}
	c.stream.stall.writing.Store(true)
}

// appendMessageHead appends the head of the response.
func (c *consumer) appendMessageHead(b []byte) []byte {
	x, head := c.exchange, c.exchange.Producer.Head
	status, length, more := c.headParts()
	played := x.ReplyTo == nil && needsPlayer(head.ContentType) && navigates(c.fetchDest, c.accept)
	return c.appendRelayedHead(b, status, length, x.ID, head, disposition(head, c.tokenInURL, played), more)
}

// headParts returns the parts of the head that depend on the kind of exchange: the status, the length of the body as in appendHead,
// and the fields of an exchange of a service, or those for a consumer that asks for the head of the producer's request.
func (c *consumer) headParts() (status int, length int64, more []reply.Field) {
	producer := c.exchange.Producer
	head, rare := producer.Head, producer.Head.Rare()
	status, length = http.StatusOK, producer.Length
	switch {
	case c.exchange.Call != nil:
		more = requestFields(head, c.relay().config.MaxHeader, c.relay().config.ClientIPHeader)
		more = append(more, reply.Field{Name: reply.HeaderReply, Value: "/work/" + c.exchange.Key.String() + "/" + c.exchange.Call.ReplyID})
	case c.exchange.ReplyTo != nil:
		more = make([]reply.Field, len(rare.Answer.Fields))
		for i, f := range rare.Answer.Fields {
			more[i] = reply.Field(f)
		}
		switch status = rare.Answer.Status; {
		case status == http.StatusResetContent:
			length = 0 // says so, unlike the other two
		case c.bodiless() && (length <= 0 || status == http.StatusNoContent):
			length = noBody
		}
	case c.headers:
		own := len(head.ContentType) + len(rare.ContentDisposition) + len(rare.ContentEncoding) + len(rare.ContentLanguage)
		more = requestFields(head, c.relay().config.MaxHeader-own, c.relay().config.ClientIPHeader)
	}
	c.expose(more)
	return status, length, more
}

// bodiless reports whether the response has no body: an answer to HEAD, or one whose status has none.
func (c *consumer) bodiless() bool {
	if c.exchange.ReplyTo == nil {
		return false
	}
	switch c.exchange.Producer.Head.Rare().Answer.Status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		return true
	}
	return c.head
}

// appendRelayedHead is appendHead for a response with a message, which has this id, head and disposition.
func (p *Pending) appendRelayedHead(b []byte, status int, length int64, id string, head *pipe.Head, disposition string, more []reply.Field) []byte {
	rare := head.Rare()
	b = http1.AppendStatus(b, int(p.minor), status)
	b = http1.AppendField(b, reply.HeaderExchange, id)
	b = http1.AppendField(b, "Content-Type", head.ContentType)
	b = appendOptional(b, "Content-Disposition", disposition)
	b = appendOptional(b, "Content-Encoding", rare.ContentEncoding)
	b = appendOptional(b, "Content-Language", rare.ContentLanguage)
	b = appendFields(b, more)
	return p.appendHeadEnd(b, status, length, relayedLines)
}

func appendOptional(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return http1.AppendField(b, name, value)
}

// end ends the response of an exchange that has ended. After a delivery all of the body was sent, and a cut comes too late
// even for what is left of the end.
func (c *consumer) end(x *pipe.Exchange, outcome pipe.Outcome) {
	if c.stream != nil {
		c.stream.stall.stop()
	}
	switch {
	case c.complete:
	case outcome == pipe.Delivered:
		c.conn.SetWriteDeadline(c.relay().stallDeadline())
		if _, err := c.conn.Conn.Write([]byte(c.unsent)); err != nil {
			c.setResets(false) // a reset would drop what the kernel has not sent yet of the body, which counts as delivered
			c.Abort()
			return
		}
		c.finish(true)
	case outcome == pipe.Unrecorded && !c.begun:
		role := pipe.Consumer
		if x.ReplyTo != nil {
			role = pipe.Producer // a caller, which gets an error with a text
		}
		c.Fail(reply.ForOutcome(outcome, role), reply.Field{Name: reply.HeaderExchange, Value: x.ID})
	default:
		if c.Chunked() && !c.inChunk {
			c.setResets(false) // every client sees that the last chunk is missing, and sent data may still arrive
		}
		c.Abort()
	}
}
