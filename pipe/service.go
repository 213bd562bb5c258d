package pipe

import "time"

// A Call is a caller's request that a worker has taken, and its answer. It runs from the match of the two until the
// answer has ended, or can no longer come.
//
// The request is an exchange on the service's channel, from the caller to the worker. The answer is an exchange on a
// channel that only the call knows: the caller waits there as its consumer as soon as its request is delivered, and the
// request with the answer arrives there as its producer, before or after that. So all rules for exchanges hold for answers.
type Call struct {
	// Set when the worker takes the request.
	ReplyID string    // names the call to its worker; a secret
	Request *Exchange // from the caller to the worker

	// Reply is the caller as the consumer of the answer. It arrives when the request has been delivered.
	Reply *Request

	service *channel
	answers *channel // of the answer; never closed

	// Guarded by Broker.mu, and constant when the call has ended.
	callerLeft bool      // the caller hung up while its request was being sent
	Answer     *Exchange // nil until it begins

	// Set when the call ends, under Broker.mu. Outcome is Answered, Unanswered or Left (the caller hung up), or that of the
	// exchange that failed, or of what cut the call.
	EndedAt time.Time
	Outcome Outcome
}

// rememberedCalls is how many calls are remembered after their caller has hung up, so that a late answer gets ConsumerLeft
// rather than NoCall.
const rememberedCalls = 1024

// services is the state of a Broker for its services. Broker.mu guards it.
type services struct {
	channels map[Key]*channel
	calls    map[string]*Call // running calls, by ReplyID

	// left has the services of the remembered calls, by ReplyID. leftOrder is a ring of the same ids; once it is full, the
	// oldest is at leftNext.
	left      map[string]Key
	leftOrder []string
	leftNext  int
}

func newServices() services {
	return services{channels: make(map[Key]*channel), calls: make(map[string]*Call), left: make(map[string]Key)}
}

// Answer admits the answer to the call that has this reply id and a.Key. It ends it unmatched, as Arrive does, as
// ConsumerLeft if the caller has hung up, and as Refused (NoCall) if there is no such call or it has an answer. An answer
// that comes before its request has been delivered waits until it has.
func (b *Broker) Answer(replyID string, a Arrival) *Request {
	a.Shape, a.Role = Service, Producer
	r := b.newRequest(&a)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = r
	defer func() { b.current, b.clock = nil, time.Time{} }()
	b.clock = time.Now() // as in Arrive
	r.ArrivedAt = b.clock
	call := b.services.calls[replyID]
	switch {
	case call == nil && b.services.left[replyID] == a.Key:
		b.endUnmatchedLocked(r, ConsumerLeft)
	case call == nil || call.service.Key != a.Key || call.answers.running != nil || call.answers.producers.length > 0:
		r.reason = NoCall
		b.endUnmatchedLocked(r, Refused)
	case a.Wait == 0 && call.answers.consumers.length == 0:
		b.endUnmatchedLocked(r, TimedOut)
	default:
		call.answers.admitLocked(r)
	}
	return r
}

// DeleteService ends a service at once: its waiting requests end, and its calls are cut (Deleted). It reports whether the
// service existed.
func (b *Broker) DeleteService(k Key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.deleteKeyLocked(Service, k)
}

// LookService returns how many callers and workers wait, without those of running calls, and whether the service exists.
func (b *Broker) LookService(k Key) (callers, workers int, exists bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lookLocked(Service, k)
}

// beginCallLocked makes the call of x, a request that begins.
func (c *channel) beginCallLocked(x *Exchange) {
	b := c.broker
	caller := x.Producer
	call := &Call{ReplyID: b.config.NewReplyID(), Request: x, service: c}
	call.answers = &channel{Life: Life{Key: c.Key}, shape: Service, broker: b, call: call}
	reply := caller.Arrival
	reply.Role, reply.Wait = Consumer, b.config.ReplyTimeout
	if reply.Wait <= 0 {
		reply.Wait = Forever
	}
	call.Reply = &Request{Arrival: reply, broker: b, call: call}
	x.Call = call
	c.calls[call] = struct{}{}
	b.services.calls[call.ReplyID] = call
}

// requestEndedLocked is called when the request of the call has ended with the outcome o. After a delivery the caller waits
// for its answer.
func (call *Call) requestEndedLocked(o Outcome) {
	switch cause := call.Request.cause; {
	case o == Delivered && (cause == Deleted || cause == ShutDown):
		o = cause // the cut came too late for the request, but not for its answer
	case o == Delivered && !call.callerLeft:
		call.Reply.ArrivedAt = time.Now()
		call.answers.admitLocked(call.Reply)
		return
	case o == Delivered, o == ProducerLeft:
		o = Left
	}
	call.service.broker.endUnmatchedLocked(call.Reply, o)
}

// answerEndedLocked is called when the answer, or its part before a failure, has ended with the outcome o.
func (call *Call) answerEndedLocked(o Outcome) {
	switch o {
	case Delivered:
		o = Answered
	case ConsumerLeft:
		o = Left
	}
	call.endLocked(o)
}

// endLocked ends the call, whose Reply has ended, and an answer that still waits.
func (call *Call) endLocked(o Outcome) {
	c := call.service
	b := c.broker
	call.EndedAt, call.Outcome = time.Now(), o
	delete(b.services.calls, call.ReplyID)
	delete(c.calls, call)
	if o == Left && call.Answer == nil {
		b.services.remember(call)
	}
	if late := call.answers.producers.head; late != nil {
		switch o {
		case Left:
			call.answers.dismissLocked(late, ConsumerLeft)
		case Deleted, ShutDown:
			call.answers.dismissLocked(late, o)
		default:
			late.reason = NoCall
			call.answers.dismissLocked(late, Refused)
		}
	}
	call.answers.updateSilenceLocked()
	b.recorder.CallEnded(call)
	if c.Reason == notClosed {
		c.advanceLocked()
	}
	b.closeIfIdleLocked()
}

// cutLocked ends the call at once, unless the last byte of its answer has been written.
func (call *Call) cutLocked(why Outcome) {
	switch {
	case call.Request.Outcome == "":
		call.Request.cutLocked(why)
	case call.answers.running != nil:
		call.answers.running.cutLocked(why)
	default:
		call.answers.dismissLocked(call.Reply, why)
	}
}

// leaveLocked notes that the caller has hung up.
func (call *Call) leaveLocked() {
	if call.Request.Outcome == "" {
		call.callerLeft = true
		return
	}
	call.Reply.leaveLocked()
}

// remember keeps a call that has ended because its caller hung up, in place of the oldest one if there are too many.
func (s *services) remember(call *Call) {
	if len(s.leftOrder) < rememberedCalls {
		s.leftOrder = append(s.leftOrder, call.ReplyID)
	} else {
		delete(s.left, s.leftOrder[s.leftNext])
		s.leftOrder[s.leftNext] = call.ReplyID
		s.leftNext = (s.leftNext + 1) % rememberedCalls
	}
	s.left[call.ReplyID] = call.service.Key
}
