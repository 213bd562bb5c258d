package relay

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"httpipe/relay/http1"
	"httpipe/reply"
)

// A turn is one request on a connection of the engine with its response. Turns are pooled, so a handler must not keep
// any part of one.
type turn struct {
	parser   http1.Parser
	head     http1.Head
	request  Request
	body     requestBody
	response Response
}

var turns = sync.Pool{New: func() any {
	t := new(turn)
	t.response.header = make(http.Header)
	return t
}}

// release returns t to the pool.
func (t *turn) release() {
	clear(t.response.header)
	t.request = Request{}
	t.response = Response{header: t.response.header}
	t.body = requestBody{}
	t.parser.Reset() // the head may not have come whole
	turns.Put(t)
}

// serve serves the requests on c until it is closed or handed over. before is the result of the request before them.
func (c *Conn) serve(before afterwards) {
	defer c.recover()
	if !c.handshake() {
		c.breakOff()
		return
	}
	for after := before; ; {
		switch after {
		case handedOver:
			return // net/http or the owner of a pending request has c
		case finished:
			c.Close()
			return
		case pending:
			if !c.moved {
				c.moved = true
				go c.serve(pending) // a new goroutine has a small stack, and most connections carry one request
				return
			}
			after = c.wait()
		case served:
			after = c.next()
		}
	}
}

// rest prepares the connection for its next request, and reports whether there may be one.
func (c *Conn) rest() bool {
	if c.deadline.Swap(false) {
		c.Conn.SetDeadline(time.Time{})
	}
	c.setPhase(phaseIdle) // before the look at stopping, or shutdown could miss it
	return !c.engine.stopping.Load()
}

// An afterwards is the state of a connection after a request.
type afterwards int

const (
	served     afterwards = iota // it can carry another request
	pending                      // its request is pending
	finished                     // it is to be closed
	handedOver                   // net/http, or the owner of a pending request, has it
)

// next serves one request.
func (c *Conn) next() afterwards {
	if len(c.unread) == 0 && c.readIdle() != nil {
		return finished
	}
	t := turns.Get().(*turn)
	after := c.answer(t, c.readHead(t))
	t.release()
	return after
}

// answer answers a request whose head was read with the error err, or passes it on.
func (c *Conn) answer(t *turn, err error) afterwards {
	c.setPhase(phaseBusy)
	if malformed, ok := err.(*http1.Error); ok {
		c.refuseHead(t, malformed)
		return finished
	}
	switch err {
	case nil:
		t.fill(c)
		c.engine.relay.config.Handler(&t.response, &t.request)
		return t.response.after(&t.body)
	case http1.ErrNotPlain:
		for bytes.HasPrefix(c.unread, emptyLine) { // which net/http takes behind a POST only
			c.use(len(emptyLine))
		}
		if c.engine.others.give(c) {
			return handedOver
		}
	}
	return finished
}

// headSlack is how much larger than Config.MaxHeader a head may be, as with http.Server.MaxHeaderBytes.
const headSlack = 4 << 10

// readHead reads the head of a request, of which some bytes are in unread. It leaves the head there and returns
// ErrNotPlain if the request is for net/http.
func (c *Conn) readHead(t *turn) error {
	t.parser.MaxHead = c.engine.relay.config.MaxHeader + headSlack
	for {
		n, err := t.parser.Parse(c.unread, &t.head)
		switch {
		case err == nil && !isOurs(&t.head):
			return http1.ErrNotPlain
		case err == nil:
			c.use(n)
			return nil
		case err != http1.ErrIncomplete:
			return err
		}
		if phase(c.phase.Load()) == phaseIdle {
			c.setPhase(phaseHead)
		}
		if err := c.readMore(); err != nil {
			return err
		}
	}
}

// isOurs reports whether the engine serves a request: its path is that of a channel, a topic or a service, and its handler
// reads the body, if there is one. The handler checks the names in the path.
func isOurs(h *http1.Head) bool {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(h.Path, "/"), "/")
	switch kind {
	case "services":
	case "channels", "topics", "work":
		if h.BodyLength() != 0 && (h.Method == http.MethodHead || h.Method == http.MethodDelete) {
			return false
		}
	default:
		return false
	}
	namespace, name, _ := strings.Cut(rest, "/")
	return namespace != "" && name != ""
}

// refuseHead answers a head that is malformed or too large.
func (c *Conn) refuseHead(t *turn, why *http1.Error) {
	c.refuse(&t.response, &reply.Error{Status: why.Status, Code: reply.CodeBadRequest, Text: why.Reason})
}

// refuse answers with e bytes that are not a valid request, and reads what the client still sends for a moment.
func (c *Conn) refuse(w *Response, e *reply.Error) {
	w.conn, w.minor, w.close = c, 1, true
	e.Response(false).Write(w)
	w.FlushError()
	c.linger()
}

// linger closes the sending half, and reads what the client still sends, for a moment: if a connection is closed while
// data is unread, the kernel sends a reset, and many clients then lose the answer.
func (c *Conn) linger() {
	c.CloseWrite()
	c.SetReadDeadline(time.Now().Add(lingering))
	from := c.Conn // not c: net/http may be reading that, and what is in unread resets nothing
	if c.tls != nil {
		from = c.tls.NetConn()
	}
	io.Copy(io.Discard, struct{ io.Reader }{from})
}

// lingering is how long a client that is still sending may take to read its answer.
const lingering = time.Second

var emptyLine = []byte("\r\n")

// fill makes the request, its body and the response of the head. The body is read from c.
func (t *turn) fill(c *Conn) {
	h := &t.head
	t.body = newRequestBody(c, h.BodyLength(), h.ExpectContinue)
	t.request = Request{
		Method:     h.Method,
		Path:       h.Path,
		Query:      h.Query,
		EmptyQuery: len(h.Target) > len(h.Path) && h.Query == "",
		Host:       h.Host,
		Header:     h.Header,
		Length:     h.BodyLength(),
		Body:       &t.body,
		Minor:      h.Minor,
		Close:      h.Close,
		RemoteAddr: c.remote,
		Conn:       c,
		Posts:      posts(h.Method, h.Query),
		lines:      h.Lines,
	}
	t.response = Response{conn: c, method: h.Method, minor: h.Minor, close: h.Close, header: t.response.header}
}

// OnEngine has serve answer r on the engine. If net/http has read r, it takes the connection over, which the engine then
// serves on.
func OnEngine(w http.ResponseWriter, r *Request, serve func(*Response, *Request)) {
	if own, ok := w.(*Response); ok {
		serve(own, r)
		return
	}
	takeOver(w, r, serve)
}

// takeOver is OnEngine for a request that net/http has read. Its large frame is not on the stack of a request that the engine has
// read: see the package's documentation.
func takeOver(w http.ResponseWriter, r *Request, serve func(*Response, *Request)) {
	hijacked, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err) // any request can be taken over once
	}
	c := hijacked.(*Conn)
	w.Header().Del("Connection") // of IgnoreBody, whose deadline Hijack has cleared
	defer func() {
		if p := recover(); p != nil {
			c.drop()
			panic(p)
		}
	}()
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	c.unuse(early)
	body := newRequestBody(c, r.Length, r.Minor == 1 && r.Length != 0 && r.Header.Get("Expect") != "")
	r.Body = &body
	own := &Response{conn: c, method: r.Method, minor: r.Minor, close: r.Close, header: maps.Clone(w.Header())}
	serve(own, r)
	go c.serve(own.after(&body))
}
