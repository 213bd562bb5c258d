package relay

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"httpipe/pipe"
	"httpipe/relay/http1"
	"httpipe/reply"
)

// A subscriber is a pending request that subscribes to a topic, and the pipe.Subscriber of its subscription. The
// goroutine of its connection is in Read. The goroutine that sends a message writes it, with the lock.
type subscriber struct {
	Pending
	pipe.Subscription
	lock       writeLock
	form       streamForm
	tokenInURL bool // with Once: for disposition
	navigates  bool // with Once: for disposition

	// Owned by the goroutine that sends a message.
	found unreadState // by Look

	// Owned by the goroutine that has the lock.
	begun   bool   // a part of the message has been sent; or, with Once, of the response
	cut     bool   // the message was not sent whole
	before  []byte // what is written before the message: the rest of a comment or, with Once, the head
	message []byte // the rest of the one that is being written
}

// Subscribe answers r with the messages of a topic: one, or a stream of them.
func (l *Relay) Subscribe(w http.ResponseWriter, r *Request) { OnEngine(w, r, l.subscribe) }

// subscribe is Subscribe on the engine.
func (l *Relay) subscribe(w *Response, r *Request) {
	arrival, ok := l.consuming(w, r)
	if !ok {
		return
	}
	kind := kindOf(r)
	mediaType, e := streamType(r, kind)
	if e != nil {
		r.Fail(w, e)
		return
	}
	fetchDest := r.Header.Joined("Sec-Fetch-Dest")
	s := &subscriber{form: streamForm{kind: kind, chunked: w.minor == 1}, tokenInURL: r.TokenInURL}
	s.Subscription = pipe.Subscription{Key: arrival.Key, Client: arrival.Client, Group: arrival.Group, Wait: arrival.Wait, Once: kind == oneMessage, To: s}
	lastID := ""
	if kind == eventStream {
		lastID = strings.Clone(r.Header.Get("Last-Event-ID"))
	}
	w.Park(r, &s.Pending, s)
	s.navigates = s.Once && navigates(fetchDest, s.accept)
	accept := s.accept
	if kind != oneMessage { // a stream is open for long, and should not keep all of its request in memory
		s.accept, s.Client.Agent = "", strings.Clone(s.Client.Agent)
		s.Client = s.Client.Identified(strings.Clone(s.Client.RequestID()), s.Client.Subject())
	}
	s.lock.busy = kind != oneMessage // until the head has been sent
	switch {
	case !l.broker.Subscribe(&s.Subscription):
		s.accept = accept
		s.refuse(reply.ForSubscription(&s.Subscription))
	case kind != oneMessage:
		s.open(mediaType, lastID)
	}
}

// streamType returns the media type of a stream.
func streamType(r *Request, kind streamKind) (string, *reply.Error) {
	switch {
	case kind == eventStream:
		return eventStreamType, nil
	case kind == jsonLines:
		return jsonLinesType, nil
	case kind != rawBytes:
		return octetStream, nil
	}
	given := r.parameter("mime")
	if len(given) == 0 {
		return octetStream, nil
	}
	mediaType, _, err := mime.ParseMediaType(given[0])
	if err != nil || len(given) > 1 || !strings.Contains(mediaType, "/") || strings.ContainsFunc(given[0], func(c rune) bool { return c < ' ' || c > '~' }) {
		return "", &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeBadRequest, Text: "mime in the query must be one media type, such as text/plain"}
	}
	return given[0], nil
}

// open sends the head of a stream and, to a client that reconnects, the number of messages that it missed. Messages
// wait meanwhile. It runs on the goroutine of the connection. In HTTP/1.0, and in the middle of a chunk, a client could
// take the end of the connection for the end of the stream. So that end is a reset unless the stream ends in order: see
// consumer.Begin.
func (s *subscriber) open(mediaType, lastID string) {
	defer s.unlock()
	s.conn.setLinger(0)
	buffer := getBuffer()
	defer putBuffer(buffer)
	fields := [...]reply.Field{{Name: "Content-Type", Value: mediaType}}
	err := s.sendOpening(s.appendHead(buffer[:0], http.StatusOK, -1, relayedLines, fields[:], nil))
	if err == nil && lastID != "" {
		if text := s.missed(lastID); len(text) > 0 {
			err = s.sendOpening(text)
		}
	}
	if err != nil {
		s.Leave()
		return
	}
	s.relay().streams.add(s)
}

// sendOpening sends b, which comes before all messages. It gives up when a client that has asked for more than it reads has
// taken none of it for the stall timeout: meanwhile this goroutine does not notice that the client hangs up.
func (s *subscriber) sendOpening(b []byte) error {
	n, err := s.TrySend(b, false)
	if err != nil || n == len(b) {
		return err
	}
	s.limitWrites(s.relay().stallDeadline())
	_, err = s.conn.Conn.Write(b[n:])
	s.limitWrites(noDeadline)
	return err
}

// missedTimeout bounds how long the messages for a client wait while the log is queried for those that it missed.
const missedTimeout = 2 * time.Second

// missed returns the event for a client that reconnects, or nil if it has missed nothing.
func (s *subscriber) missed(lastID string) []byte {
	count, newest := "unknown", ""
	if look := s.relay().config.Missed; look != nil {
		ctx, cancel := context.WithTimeout(context.Background(), missedTimeout)
		defer cancel()
		n, id, known := look(ctx, s.Key, lastID, s.ID)
		switch {
		case known && n == 0:
			return nil
		case known:
			count, newest = strconv.FormatInt(n, 10), id
		}
	}
	text := missedEvent(count, newest)
	if s.form.chunked {
		return asChunk(text)
	}
	return text
}

// refuse answers a subscription that ended before it was added.
func (s *subscriber) refuse(e *reply.Error) {
	if s.form.kind == eventStream {
		if r, ok := reply.RetryStream(e); ok {
			s.countError(e)
			s.Answer(r)
			return
		}
	}
	s.Fail(e)
}

// HungUp implements Owner.
func (s *subscriber) HungUp() { s.Leave() }

// Resume implements Owner. Nothing wakes a subscriber.
func (s *subscriber) Resume() {}

var errHungUp = errors.New("the client has hung up")

// Look is the pipe.Config.Look for subscribers of this package.
func Look(to []pipe.Subscriber) {
	var conns [pipe.LookSize]*Conn
	var found [pipe.LookSize]unreadState
	for i, s := range to {
		conns[i] = s.(*subscriber).conn
	}
	look(found[:len(to)], conns[:len(to)]...)
	for i, s := range to {
		s.(*subscriber).found = found[i]
	}
}

// Offer implements pipe.Subscriber.
func (s *subscriber) Offer(p *pipe.Publication) (taken bool, err error) {
	defer s.conn.recoverAs(&err)
	if !s.conn.connected(s.found) {
		s.cut = !s.Once
		return false, errHungUp
	}
	if s.Once {
		s.before, s.message = s.messageHead(p), p.Body
	} else {
		s.message = p.In(s.form)
	}
	s.cut = true
	if !s.lock.try() {
		return false, nil
	}
	return s.write(s.TrySend)
}

// Finish implements pipe.Subscriber.
func (s *subscriber) Finish(*pipe.Publication) (err error) {
	defer s.conn.recoverAs(&err)
	s.lock.await()
	_, err = s.write(s.Send)
	return err
}

// write writes what is left of a message with send, and reports whether that is all.
func (s *subscriber) write(send func(b []byte, last bool) (int, error)) (all bool, err error) {
	s.lock.mine = true
	for _, piece := range [...]*[]byte{&s.before, &s.message} {
		if len(*piece) == 0 {
			continue
		}
		last := s.Once && (piece == &s.message || len(s.message) == 0)
		n, err := send(*piece, last)
		s.begun = s.begun || n > 0
		if *piece = (*piece)[n:]; err != nil || len(*piece) > 0 {
			return false, err
		}
	}
	s.before, s.message, s.cut, s.lock.mine = nil, nil, false, false
	s.unlock()
	return true, nil
}

// messageHead returns the head of the response to a client that gets one message.
func (s *subscriber) messageHead(p *pipe.Publication) []byte {
	return s.appendRelayedHead(nil, http.StatusOK, int64(len(p.Body)), p.ID, p.Head, disposition(p.Head, s.tokenInURL, s.navigates), nil)
}

// Acknowledged implements pipe.Subscriber. The number always changes if the client has acknowledged all that was sent, since
// then it is this process that is slow, and on a system that does not know, where only the time limit for a whole message
// applies.
func (s *subscriber) Acknowledged() int64 {
	if n, all, ok := s.conn.acknowledged(); ok && !all {
		return n
	}
	return time.Now().UnixNano()
}

// Ended implements pipe.Subscriber.
func (s *subscriber) Ended(o pipe.Outcome) {
	if s.lock.over(o) {
		s.end(o)
	}
}

// unlock gives the lock back, and ends the response if the subscription has ended meanwhile.
func (s *subscriber) unlock() {
	if o := s.lock.end(); o != "" {
		s.end(o)
	}
}

// end ends the response.
func (s *subscriber) end(o pipe.Outcome) {
	if !s.Once {
		s.relay().streams.remove(s)
	}
	switch {
	case o == pipe.Delivered: // the response is complete
	case o == pipe.Left, s.cut && (s.begun || !s.Once):
		s.Abort()
	case s.Once && o == pipe.Stalled:
		s.Abort()
	case s.Once:
		s.Fail(reply.ForSubscription(&s.Subscription))
	default:
		s.endStream()
	}
}

// endStream ends a stream in order, between two messages.
func (s *subscriber) endStream() {
	s.conn.setLinger(-1)
	b := s.before
	if s.Chunked() {
		b = append(b[:len(b):len(b)], http1.LastChunk...)
	}
	if len(b) == 0 {
		s.Pending.Finish()
		return
	}
	n, err := s.TrySend(b, true)
	switch {
	case err != nil:
		s.Abort()
	case n < len(b): // over TLS always; a client that does not read is cut
		s.conn.SetWriteDeadline(time.Now().Add(lingering))
		go s.sendRest(b[n:])
	}
}
