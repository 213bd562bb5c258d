package relay

import (
	"io"
	"net/http"
	"time"

	"httpipe/relay/http1"
	"httpipe/reply"
)

// A Pending is a request whose handler has returned before its response was complete. Response.Park makes it. Its
// connection's goroutine is back in Read, where it sees that the client hangs up, and the owner writes the response from
// whatever goroutine has something to write. A Pending is to be embedded in the owner's own type, so that a request that
// waits costs one allocation.
//
// The right to write to a connection is a state of it: Conn.pending. While that is nil, the connection's goroutine has the
// right: it reads the next request, and the handler answers. Park gives it to the owner, which must see to it that one
// goroutine at a time writes. The owner gives it back by exactly one of these: a TrySend or Send of the last bytes that
// succeeds, Finish, Answer, Fail, Refuse or Abort. After that its calls have no effect. Only Send and Refuse block. All
// other methods may be called from any goroutine, with any lock held.
type Pending struct {
	conn   *Conn
	owner  Owner
	accept string        // the header Accept
	fields []reply.Field // of each response to the request, besides its own
	minor  int8          // of the version of HTTP
	close  bool          // the connection ends after the response

	// Guarded by Conn.mu.
	answered    bool // Answer, Fail or Refuse has been called
	interrupted bool // the write deadline is over, and stays so
}

// An Owner handles the events of a pending request. Its methods are called on the goroutine of the connection.
type Owner interface {
	// HungUp is called once, when the client has hung up or its connection has failed. The owner still has to end the
	// request, if only by Abort.
	HungUp()
	// Resume is called after Wake. One call may stand for several of Wake, and may come late, so the owner must check
	// its own state. Resume may block, for example in Send, but hang-ups are not noticed meanwhile.
	Resume()
}

// Park makes r, which w answers, pending. It must be called before any other goroutine learns of the request. The handler
// must not use w or r any more, and must return soon. What it does after Park happens before HungUp and Resume.
func (w *Response) Park(r *Request, p *Pending, owner Owner) {
	*p = Pending{conn: w.conn, owner: owner, minor: int8(w.minor), close: w.close, accept: r.Header.Joined("Accept")}
	for name, values := range w.header {
		if name == "Cache-Control" {
			continue
		}
		for _, value := range values {
			p.fields = append(p.fields, reply.Field{Name: name, Value: value})
		}
	}
	w.parked = true
	c := w.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending, c.woken = p, false
}

func (p *Pending) relay() *Relay { return p.conn.engine.relay }

// Wake has the owner's Resume called on the goroutine of the connection. Any goroutine may call it.
func (p *Pending) Wake() {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != p || c.woken {
		return
	}
	c.woken = true
	if c.gone { // nothing reads it any more
		go c.settle()
		return
	}
	c.wakeLocked()
}

// takeWake reports whether Wake was called, for an owner that reads the connection, on its goroutine, and whose Read has
// failed because of that. The next Read will wait again.
func (p *Pending) takeWake() bool {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	woken := c.woken
	c.woken = false
	if woken {
		c.Conn.SetReadDeadline(time.Time{})
	}
	return woken
}

// Alive asks the kernel, without waiting, whether the client is still connected. Where the system cannot tell, it returns
// true.
func (p *Pending) Alive() bool { return p.conn.connected(lookAt(p.conn)) }

// Interrupt makes a Send that blocks return an error, and all later ones.
func (p *Pending) Interrupt() {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == p {
		p.interrupted = true
		c.SetWriteDeadline(past)
	}
}

// limitWrites sets the write deadline, unless Interrupt has.
func (p *Pending) limitWrites(deadline time.Time) {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == p && !p.interrupted {
		c.SetWriteDeadline(deadline)
	}
}

// TrySend sends what the kernel takes of b at once, and returns how much that is. If it is less than all, and there is no
// error, Send can send the rest. Nothing is sent at once on a connection other than TCP. If all of b is sent and last is
// true, the response is complete.
func (p *Pending) TrySend(b []byte, last bool) (n int, err error) {
	c := p.conn
	closing := false
	c.mu.Lock()
	if c.pending != p {
		c.mu.Unlock()
		return 0, io.ErrClosedPipe
	}
	n, err = c.tryWrite(b)
	if last && err == nil && n == len(b) {
		closing = p.finishLocked()
	}
	c.mu.Unlock()
	if closing {
		c.Close()
	}
	return n, err
}

// Send sends b, and blocks until the kernel has taken all of it. If last is true, the response is complete then.
func (p *Pending) Send(b []byte, last bool) (n int, err error) {
	n, err = p.TrySend(b, last)
	if err != nil || n == len(b) && n > 0 {
		return n, err
	}
	m, err := p.conn.Conn.Write(b[n:])
	if err == nil && last {
		p.Finish()
	}
	return n + m, err
}

// Finish ends a response of which all bytes have been sent. The connection can then carry the next request, which may have
// been read already.
func (p *Pending) Finish() {
	c := p.conn
	c.mu.Lock()
	closing := c.pending == p && p.finishLocked()
	c.mu.Unlock()
	if closing {
		c.Close()
	}
}

// finishLocked makes the connection idle. It reports whether the caller has to close it. It is called with Conn.mu held,
// and in the same critical section as the last write if that is possible: a client may send its next request as soon as it
// has the last byte, and the connection's goroutine, once it has read that, looks here.
func (p *Pending) finishLocked() (closing bool) {
	c := p.conn
	c.pending = nil
	c.clearDeadlines()
	c.setPhase(phaseIdle) // before the look at stopping, or shutdown could miss it
	if p.close || c.gone || c.engine.stopping.Load() {
		c.closed = true
		return true
	}
	if c.held {
		c.wakeLocked()
	}
	return false
}

// Abort closes the connection at once. A response that has begun is left without its end, so no client takes it for
// whole.
func (p *Pending) Abort() {
	c := p.conn
	c.mu.Lock()
	mine := c.pending == p
	if mine {
		c.pending, c.closed = nil, true
	}
	c.mu.Unlock()
	if mine {
		c.breakOff()
	}
}

// Answer sends a whole response, with these fields besides its own. Only the first call of Answer, Fail or Refuse has an effect:
// Resume may be called again before a slow client has taken its answer.
func (p *Pending) Answer(r reply.Response, fields ...reply.Field) {
	if p.claim() {
		p.answer(r, fields)
	}
}

// claim reports whether the request is still to be answered. If it is, only the caller may answer it.
func (p *Pending) claim() bool {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := c.pending == p && !p.answered
	p.answered = p.answered || mine
	return mine
}

func (p *Pending) answer(r reply.Response, fields []reply.Field) {
	buffer := getBuffer()
	b := p.appendResponse(buffer[:0], r, fields)
	n, err := p.TrySend(b, true)
	switch {
	case err != nil:
		p.Abort()
	case n < len(b):
		go p.sendRest(b[n:])
		return
	}
	putBuffer(buffer)
}

// sendRest sends the rest of a response.
func (p *Pending) sendRest(b []byte) {
	if _, err := p.Send(b, true); err != nil {
		p.Abort()
	}
}

// WantsJSON reports whether the client asks for JSON.
func (p *Pending) WantsJSON() bool {
	return reply.WantsJSON(p.accept)
}

// Fail answers with e and other fields.
func (p *Pending) Fail(e *reply.Error, fields ...reply.Field) {
	if p.claim() {
		p.answer(p.failure(e), fields)
	}
}

// Refuse is Fail for a request of which the body may not have been read. It blocks, reads what the client still sends for a
// moment, as Request.Refuse does, and closes the connection. It must be called on the goroutine of the connection.
func (p *Pending) Refuse(e *reply.Error, fields ...reply.Field) {
	if !p.claim() {
		return
	}
	p.close = true
	if _, err := p.Send(p.appendResponse(nil, p.failure(e), fields), false); err == nil {
		p.conn.linger()
	}
	p.Abort()
}

// failure returns the response that Fail sends, and counts it.
func (p *Pending) failure(e *reply.Error) reply.Response {
	p.countError(e)
	return e.Response(p.WantsJSON())
}

func (p *Pending) countError(e *reply.Error) {
	if count := p.relay().config.CountError; count != nil {
		count(e.Code)
	}
}

// Chunked reports whether a body of unknown length is sent in chunks. If not, it ends with the connection.
func (p *Pending) Chunked() bool { return p.minor == 1 }

const noStoreLine = "Cache-Control: no-store\r\n"

// noBody is the length of the body of a response that has none, and says no length.
const noBody = -2

// appendHead appends the head of the response: the status, the fields of both lists, those that a handler has set before
// Park, and the lines own. length is the length of the body, or noBody; if it is -1, the body is Chunked or the connection
// ends with it.
func (p *Pending) appendHead(b []byte, status int, length int64, own string, fields, more []reply.Field) []byte {
	b = http1.AppendStatus(b, int(p.minor), status)
	b = appendFields(appendFields(b, fields), more)
	return p.appendHeadEnd(b, status, length, own)
}

// appendHeadEnd appends the rest of a head, after the fields of that response: those that a handler has set before Park, the lines
// own, and the framing. See appendHead.
func (p *Pending) appendHeadEnd(b []byte, status int, length int64, own string) []byte {
	b = append(appendFields(b, p.fields), own...)
	open := length == -1 && status != http.StatusNoContent
	p.close = p.close || open && !p.Chunked()
	if length >= 0 {
		b = http1.AppendIntField(b, "Content-Length", length)
	}
	return appendFraming(b, int(p.minor), p.close, open && p.Chunked())
}

func appendFields(b []byte, fields []reply.Field) []byte {
	for i := range fields {
		b = http1.AppendField(b, fields[i].Name, fields[i].Value)
	}
	return b
}

// appendResponse appends a whole response, with more fields.
func (p *Pending) appendResponse(b []byte, r reply.Response, more []reply.Field) []byte {
	b = p.appendHead(b, r.Status, int64(len(r.Body)), noStoreLine, r.Header, more)
	return append(b, r.Body...)
}
