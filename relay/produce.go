package relay

import (
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// A producer is a pending request that produces: the pipe.Source of its body. Its response starts only at the end of the
// body, or when the exchange has failed: HTTP clients and proxies lose data, or hang, if it starts earlier.
type producer struct {
	*Pending
	own     Pending // unless the request is a call, which has another
	request *pipe.Request
	source  source
	body    requestBody
	probes  int                     // how many more times 100 Continue may be sent
	texts   map[pipe.Outcome]string // of errors, in place of those about channels
}

// Produce sends the body of r to one consumer and answers r when the exchange has ended.
func (l *Relay) Produce(w http.ResponseWriter, r *Request) { OnEngine(w, r, l.produce) }

// produce is Produce on the engine.
func (l *Relay) produce(w *Response, r *Request) {
	if p := l.newProducer(w, r); p != nil {
		p.fill()
		p.Resume()
	}
}

// newProducer returns the producer of r, which has arrived at the broker, or nil if it has answered r. It is not a part of
// produce for the same reason as newConsumer.
func (l *Relay) newProducer(w *Response, r *Request) *producer {
	p := &producer{body: *r.Body.(*requestBody)}
	p.Pending = &p.own
	arrival, e := l.producer(r, p)
	if e != nil {
		*r.Body.(*requestBody) = p.body
		r.Refuse(w, e)
		return nil
	}
	p.body.owner = p
	w.Park(r, p.Pending, p)
	if l.saysWaiting(r, &arrival) {
		p.conn.sendInterim(processingBytes) // now, because an answer may come as soon as it has arrived
		p.probes = max(p.probes-1, 0)       // it is one of the interim responses that the client takes
	}
	if r.ReplyID != "" {
		p.request = l.broker.Answer(r.ReplyID, arrival)
	} else {
		p.request = l.broker.Arrive(arrival)
	}
	return p
}

// saysWaiting reports whether to tell the client that it has to wait. Only a client that asks is told, because some take any
// status but 100 for the final one.
func (l *Relay) saysWaiting(r *Request, arrival *pipe.Arrival) bool {
	if r.Minor != 1 || arrival.Wait == 0 || arrival.Shape != pipe.Channel || r.ReplyID != "" || !hasToken(&r.Header, "Prefer", "interim") {
		return false
	}
	_, consumers, _ := l.broker.Look(arrival.Key)
	return consumers == 0
}

// producer prepares p for the body of r and returns its arrival, or the error that r is answered with.
func (l *Relay) producer(r *Request, p *producer) (pipe.Arrival, *reply.Error) {
	arrival, e := l.arrival(r, pipe.Producer)
	if e != nil {
		return arrival, e
	}
	if e := l.checkBody(r); e != nil {
		return arrival, e
	}
	if e := l.setSource(&p.source, r, &p.body, &arrival); e != nil {
		return arrival, e
	}
	if limit := l.config.MaxBody; limit > 0 && max(r.Length, arrival.Length) > limit {
		l.broker.RecordUnmatched(arrival, pipe.TooLarge)
		return arrival, reply.ForOutcome(pipe.TooLarge, pipe.Producer)
	}
	if e := p.completeHead(r, arrival.Length); e != nil {
		return arrival, e
	}
	arrival.Source = p
	arrival.InHand = r.Posts || p.body.inHand()
	arrival.ReadAhead = int32(l.config.ReadAhead)
	if r.Minor == 1 && r.Header.Get("Expect") != "" {
		p.probes = maxContinues(r.Header.Get("User-Agent"))
	}
	return arrival, nil
}

// completeHead adds to the head of the message what does not describe its body. length is that of the arrival.
func (p *producer) completeHead(r *Request, length int64) (e *reply.Error) {
	head := &p.source.head
	head.Request = r.head()
	rare := *head.Rare()
	rare.Target, rare.Authorization = r.Target, r.ForeignAuthorization
	if length < 0 {
		rare.LengthAtMost = max(r.Length, 0)
	}
	if r.ReplyID != "" {
		p.texts = answerTexts
		if rare.Answer, e = newAnswerHead(r.fieldLines()); e != nil {
			return e
		}
	}
	head.SetRare(&rare)
	return nil
}

// checkBody returns why r cannot send a message, or nil.
func (l *Relay) checkBody(r *Request) *reply.Error {
	switch {
	case r.Posts && notAConsumer(&r.Header) != "":
		return &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeNotAConsumer, Text: advisePosted}
	case r.Posts:
		return l.dropBody(r)
	case r.Minor == 0 && r.Header.Get("Content-Length") == "" && (r.Target == "" || hasBody(r.Method)):
		return &reply.Error{Status: http.StatusLengthRequired, Code: reply.CodeBadRequest,
			Text: "an HTTP/1.0 request must say Content-Length: without it the end of the body cannot be told from a broken connection"}
	}
	return nil
}

// fill reads ahead. If that panics, it counts as the client's failure.
func (p *producer) fill() {
	defer func() {
		if v := recover(); v != nil {
			p.conn.engine.logPanic(p.conn, v, debug.Stack())
		}
	}()
	p.request.Fill()
}

// HungUp implements Owner.
func (p *producer) HungUp() { p.request.Leave() }

// Resume implements Owner.
func (p *producer) Resume() {
	if x := p.request.Begun(); x != nil {
		p.relay().carryOut(x)
	} else if p.request.Unmatched() {
		p.answer(p.request, nil, p.request.Outcome(), nil)
	}
}

// Read implements pipe.Source.
func (p *producer) Read(b []byte) (int, error) { return p.source.Read(b) }

// probeEvery is the time between two probes. A client that is gone must be noticed within 5 s, which leaves one second for
// the probe and its effect.
const probeEvery = 4 * time.Second

// Pause implements pipe.Source. To a client that asked for 100 Continue it sends that again at intervals. The kernel of a
// machine where the client is gone answers with a reset, which is seen even behind a full window.
func (p *producer) Pause() {
	var limit time.Duration
	if p.probes > 0 {
		limit = probeEvery
	}
	hungUp := p.conn.pause(limit)
	switch {
	case p.takeWake():
		p.request.CatchUp() // its error ends Fill, too
	case hungUp:
		p.request.Leave()
	case limit > 0:
		p.probes--
		p.conn.sendContinue()
	}
}

// maxContinues returns how often a client is sent 100 Continue again: it must not give up because of that.
func maxContinues(agent string) int {
	if strings.HasPrefix(agent, "Go-http-client") {
		return 4 // before Go 1.24 the sixth interim response is an error, and the first was sent already
	}
	return 12_000 // curl takes up to 300 KB of heads, at 25 bytes each
}

// Alive implements pipe.Source.
func (p *producer) Alive() bool { return p.connected(lookAt(p.conn)) }

// BothAlive implements pipe.Source.
func (p *producer) BothAlive(to pipe.Sink) (source, sink bool) {
	c := to.(*consumer)
	var found [2]unreadState
	look(found[:], p.conn, c.conn)
	return p.connected(found[0]), c.conn.connected(found[1])
}

// connected is Conn.connected for a producer, whose unread bytes may be the rest of the body.
func (p *producer) connected(found unreadState) bool {
	return found == unreadBytes && !p.source.whole.Load() || p.conn.connected(found)
}

// Answer implements pipe.Source.
func (p *producer) Answer(x *pipe.Exchange, outcome pipe.Outcome, cause error) {
	p.relay().logEnd(x, outcome, cause)
	if x.Call != nil && x.Outcome == pipe.Delivered {
		return // the worker's answer becomes the caller's response
	}
	p.answer(x.Producer, x, outcome, cause)
}

// answer sends the client the outcome of its request. It blocks only if the body was not read to its end, and then it runs
// on the goroutine of the connection. x is nil if there was no exchange.
func (p *producer) answer(request *pipe.Request, x *pipe.Exchange, outcome pipe.Outcome, cause error) {
	var array [1]reply.Field
	id := array[:0]
	if x != nil {
		id = append(id, reply.Field{Name: reply.HeaderExchange, Value: x.ID})
	}
	switch outcome {
	case pipe.Left:
		p.Abort()
		return
	case pipe.Delivered:
		p.Pending.Answer(reply.Delivered(x, p.WantsJSON()), id...)
		return
	}
	e := reply.ForRequest(request, outcome)
	if text := p.texts[outcome]; text != "" {
		e.Text = text
	}
	if outcome == pipe.ProducerLeft {
		e.Text = p.source.explain(e.Text)
		if x == nil {
			e.Code = reply.CodeBadRequest // no consumer was involved
		}
	}
	if request.BodyRead() {
		p.Fail(e, id...)
	} else {
		p.Refuse(e, id...)
	}
}
