package reply

import (
	"net/http"

	"httpipe/pipe"
)

// errorOf has the error for each outcome. An outcome without an entry is a success, or one after which the client is
// gone. An entry without a code has the outcome's word as its code.
var errorOf = map[pipe.Outcome]Error{
	pipe.ConsumerLeft: {Status: http.StatusBadGateway, Text: "the consumer hung up before the last byte; send the body again to try another consumer"},
	pipe.ProducerLeft: {Status: http.StatusBadRequest, Text: "the body is malformed or ended early"},
	pipe.Stalled:      {Status: http.StatusGatewayTimeout, Text: "the consumer stopped reading before the last byte; send the body again to try another consumer"},
	pipe.Silent:       {Status: http.StatusRequestTimeout, Text: "the producer sent nothing for too long while a consumer was there (--silence-timeout)"},
	pipe.TooLarge:     {Status: http.StatusRequestEntityTooLarge, Text: "the body is larger than this server accepts (--max-body)"},
	pipe.Deleted:      {Status: http.StatusGone, Text: "the channel was deleted"},
	pipe.TimedOut:     {Status: http.StatusRequestTimeout, Text: "no partner came before the wait was over"},
	pipe.ShutDown:     {Status: http.StatusServiceUnavailable, Text: "the server is stopping", RetryAfter: 1},
	pipe.Refused:      {Status: http.StatusServiceUnavailable, Text: "a limit of this server is reached", RetryAfter: 5},
	pipe.Unrecorded: {Status: http.StatusServiceUnavailable, Code: CodeAuditUnavailable, RetryAfter: 1,
		Text: "the audit log cannot be written, so this exchange is not on record"},
	pipe.Unanswered: {Status: http.StatusGatewayTimeout, Text: "a worker took the request, but began no answer in time (--reply-timeout)"},
}

// ForOutcome returns the error for a client in the given role; role is NoRole for a client that neither produces nor
// consumes. It panics for an outcome without an error.
func ForOutcome(o pipe.Outcome, role pipe.Role) *Error {
	e, ok := errorOf[o]
	if !ok {
		panic("reply: there is no error for the outcome " + string(o))
	}
	if e.Code == "" {
		e.Code = string(o)
	}
	return e.To(role)
}

// ForRequest is ForOutcome for the client of a request. A refusal names the limit that was reached, or what else happened.
func ForRequest(request *pipe.Request, o pipe.Outcome) *Error {
	e := ForOutcome(o, request.Role)
	switch why := request.Reason(); why {
	case pipe.NoReason:
	case pipe.NoCall:
		return &Error{Status: http.StatusNotFound, Code: CodeNotFound,
			Text: "no call waits for this answer: the call is over or has an answer, or the address is not that in " + HeaderReply}
	default:
		e.setReason(why)
	}
	return e
}

// setReason makes e name the limit that was reached, or say that the name is no longer served.
func (e *Error) setReason(why pipe.Reason) {
	switch why {
	case pipe.NotServed:
		e.Text = "another node serves this name now; send the request again"
		return
	case pipe.LimitWaiting:
		e.Text = "too many requests wait on this server"
	case pipe.LimitPerChannel:
		e.Text = "too many requests wait on this channel or topic"
	case pipe.LimitPerClient:
		e.Status = http.StatusTooManyRequests
		e.Text = "too many of your requests wait on this server"
	case pipe.LimitMessageMemory:
		e.Text = "the messages on this server take too much memory"
	}
	e.Text += " (--" + ReasonText(why) + ")"
}

// ReasonText returns the name of the option that sets a limit of pipe.Limits, "no_call" for NoCall, "not_served" for
// NotServed, or "" for NoReason. The audit log has it as the reason of the outcome, and errors name the option.
func ReasonText(why pipe.Reason) string {
	switch why {
	case pipe.LimitWaiting:
		return "max-waiting"
	case pipe.LimitPerChannel:
		return "max-waiting-per-channel"
	case pipe.LimitPerClient:
		return "max-waiting-per-client"
	case pipe.LimitMessageMemory:
		return "max-message-memory"
	case pipe.NoCall:
		return "no_call"
	case pipe.NotServed:
		return "not_served"
	}
	return ""
}
