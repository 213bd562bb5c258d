package relay

import (
	"net/http"
	"time"

	"httpipe/pipe"
	"httpipe/reply"
)

// Call sends r to a worker of a service and answers it with the worker's answer.
func (l *Relay) Call(w http.ResponseWriter, r *Request) { onEngine(w, r, l.call) }

// Work answers r with one caller's request.
func (l *Relay) Work(w http.ResponseWriter, r *Request) { onEngine(w, r, l.consume) }

// Answer sends the body of r to the caller whose request has the reply id r.ReplyID, and answers r when that has ended.
func (l *Relay) Answer(w http.ResponseWriter, r *Request) { onEngine(w, r, l.produce) }

const adviseServiceWorkerCall = "the browser asks for a service worker's script, which no service may give; register the script at another address"

func (l *Relay) call(w *response, r *Request) {
	if hasToken(r.Header, "Service-Worker", "script") {
		r.Refuse(w, &reply.Error{Status: http.StatusBadRequest, Code: reply.CodeNotAConsumer, Text: adviseServiceWorkerCall})
		return
	}
	arrival, source, e := l.producer(r)
	if e != nil {
		r.Refuse(w, e)
		return
	}
	c := r.Conn
	arrival.InterruptReply = c.callbacks.interruptWrite
	request := l.broker.Arrive(arrival)
	if l.engine.watcher.works() {
		defer r.OnHangUp(request.Leave)()
	}
	request.Fill()
	call, outcome := request.AwaitCall()
	if call == nil || outcome != pipe.Delivered {
		if outcome == pipe.Left {
			Abort()
		}
		e = r.explain(reply.ForRequest(request, outcome), outcome)
		if outcome == pipe.ProducerLeft {
			e.Text = source.explain(e.Text)
		}
		if request.BodyRead() {
			r.Fail(w, e)
		} else {
			r.Refuse(w, e)
		}
		return
	}
	exchange := call.Reply.AwaitMatch()
	if exchange == nil {
		outcome := call.Reply.Outcome()
		if outcome == pipe.Left {
			Abort()
		}
		r.Fail(w, r.explain(reply.ForOutcome(outcome, pipe.Producer), outcome))
		return
	}
	endInOrder := endByReset(r, exchange)
	sink := &sink{w: w, r: r, exchange: exchange, config: &l.config}
	sink.stall.start(exchange, r.Conn, l.config.StallTimeout)
	outcome = exchange.Relay(sink)
	sink.stall.stop()
	switch {
	case outcome == pipe.Delivered:
		endInOrder()
		if exchange.WasCut() {
			c.SetWriteDeadline(time.Time{})
		}
	case outcome == pipe.Unrecorded && !sink.begun:
		endInOrder()
		r.Fail(w, reply.ForOutcome(outcome, pipe.Producer))
	default:
		if r.ProtoAtLeast(1, 1) && !sink.inChunk {
			endInOrder()
		}
		Abort()
	}
}

// hasBody reports whether requests with this method have a body unless they say otherwise.
func hasBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// callTexts and answerTexts say of some outcomes what a caller, and a worker that answers, are told.
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

// explain replaces the text of an error that speaks of channels, if r is a call or an answer.
func (r *Request) explain(e *reply.Error, o pipe.Outcome) *reply.Error {
	texts := callTexts
	switch {
	case r.ReplyID != "":
		texts = answerTexts
	case r.Target == "":
		return e
	}
	if text := texts[o]; text != "" {
		e.Text = text
	}
	return e
}
