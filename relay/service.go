package relay

import (
	"net/http"

	"httpipe/pipe"
	"httpipe/reply"
)

// A caller is a pending call: the pipe.Source of its request and the pipe.Sink of its answer. Its request is read as
// that of any producer, and its answer is written as to any consumer.
type caller struct {
	consumer
	producer producer
}

// Call sends r to a worker of a service and answers it with the worker's answer.
func (l *Relay) Call(w http.ResponseWriter, r *Request) { OnEngine(w, r, l.call) }

// Work answers r with one caller's request.
func (l *Relay) Work(w http.ResponseWriter, r *Request) { l.Consume(w, r) }

// Answer sends the body of r to the caller whose call has the reply id r.ReplyID, and answers r when that has ended.
func (l *Relay) Answer(w http.ResponseWriter, r *Request) { l.Produce(w, r) }

const adviseNoWorkerScript = "the browser asks for a service worker's script, which services do not deliver; register the script at another address"

// call is Call on the engine.
func (l *Relay) call(w *Response, r *Request) {
	if hasToken(&r.Header, "Service-Worker", "script") {
		r.Refuse(w, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeNotAConsumer, Text: adviseNoWorkerScript})
		return
	}
	c := &caller{consumer: consumer{tokenInURL: r.TokenInURL, head: r.Method == http.MethodHead}}
	p := &c.producer
	*p = producer{Pending: &c.Pending, body: *r.Body.(*requestBody), texts: callTexts}
	arrival, e := l.producer(r, p)
	if e != nil {
		*r.Body.(*requestBody) = p.body
		r.Refuse(w, e)
		return
	}
	arrival.Sink = &c.consumer
	p.body.owner = p
	w.Park(r, &c.Pending, c)
	p.request = l.broker.Arrive(arrival)
	p.fill()
	c.Resume()
}

// HungUp implements Owner.
func (c *caller) HungUp() { c.producer.HungUp() }

// Resume implements Owner. The answer is carried out by the goroutine that reads it.
func (c *caller) Resume() {
	c.producer.Resume()
	call := c.producer.request.Call()
	if call == nil || !call.Reply.Unmatched() || call.Request.Outcome != pipe.Delivered {
		return // a request that was not delivered has been answered
	}
	outcome := call.Reply.Outcome()
	if outcome == pipe.Left {
		c.Abort()
		return
	}
	e := reply.ForOutcome(outcome, pipe.Producer)
	if text := callTexts[outcome]; text != "" {
		e.Text = text
	}
	c.Fail(e)
}

// hasBody reports whether requests with this method have a body unless they say otherwise.
func hasBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// callTexts and answerTexts are the texts of errors for callers, and for workers that answer, where those about channels
// do not fit.
var (
	callTexts = map[pipe.Outcome]string{
		pipe.ConsumerLeft: "the worker hung up before it had the whole request; send the request again to try another worker",
		pipe.Stalled:      "the worker stopped reading before it had the whole request; send the request again to try another worker",
		pipe.Silent:       "the caller sent nothing for too long while a worker was there",
		pipe.Deleted:      "the service was deleted",
		pipe.TimedOut:     "no worker came before the wait was over",
	}
	answerTexts = map[pipe.Outcome]string{
		pipe.ConsumerLeft: "the caller has hung up",
		pipe.Stalled:      "the caller stopped reading before the last byte of the answer",
		pipe.Silent:       "the worker sent nothing for too long while the caller waited",
		pipe.Deleted:      "the service was deleted",
		pipe.TimedOut:     "the caller's request was not delivered before the wait was over",
	}
)
