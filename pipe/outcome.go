package pipe

import "errors"

// Outcome says how a request or an exchange ended. The list is closed. These words are used everywhere: in the
// audit log, responses, metrics, log lines and tests.
//
// An Outcome is also an error: a producer's Body whose Read returns an error that wraps an Outcome ends with that
// outcome.
type Outcome string

const (
	// Delivered: every byte was written to the consumer's connection and flushed without error, and the connection
	// had not been closed before the last byte was written.
	Delivered Outcome = "delivered"
	// ConsumerLeft: the consumer hung up before the last byte was written.
	ConsumerLeft Outcome = "consumer_left"
	// ProducerLeft: the producer hung up before the end of its body, or the body is malformed.
	ProducerLeft Outcome = "producer_left"
	// Stalled: the consumer's kernel acknowledged no data for too long while there was data to send.
	Stalled Outcome = "stalled"
	// Silent: the producer sent nothing for too long while a consumer was there.
	Silent Outcome = "silent"
	// TooLarge: the body is larger than the server accepts.
	TooLarge Outcome = "too_large"
	// Deleted: the channel was deleted.
	Deleted Outcome = "deleted"
	// TimedOut: the request's limit for its wait was reached.
	TimedOut Outcome = "timed_out"
	// ShutDown: the server is stopping, or no longer serves the name (Config.Serves).
	ShutDown Outcome = "shut_down"
	// Left: the client hung up while its request waited.
	Left Outcome = "left"
	// Refused: the request exceeded a limit, or its client lacked permission.
	Refused Outcome = "refused"
	// Unrecorded: all bytes were written, but the record of the exchange could not be committed. Or, with
	// Config.Strict, nothing was written because the record of the match could not be committed.
	Unrecorded Outcome = "unrecorded"
	// Published: every connection that was subscribed has taken the message, has been cut, or its client has left.
	Published Outcome = "published"
	// Interrupted: the process died. Only the next start can record this.
	Interrupted Outcome = "interrupted"
)

// Outcomes lists the outcomes of requests and exchanges, in the order of the documentation.
var Outcomes = []Outcome{Delivered, ConsumerLeft, ProducerLeft, Stalled, Silent, TooLarge, Deleted,
	TimedOut, ShutDown, Left, Refused, Unrecorded, Interrupted}

// The outcomes of accepted publications, and of subscriptions.
var (
	PublicationOutcomes  = []Outcome{Published, Unrecorded, Interrupted}
	SubscriptionOutcomes = []Outcome{Delivered, Left, Stalled, Deleted, ShutDown, TimedOut, Interrupted}
)

// Outcomes of a Call only.
const (
	// Answered: the whole answer was written to the caller.
	Answered Outcome = "answered"
	// Unanswered: no answer began within Config.ReplyTimeout.
	Unanswered Outcome = "unanswered"
)

// CallOutcomes lists all outcomes of calls, in the order of the documentation. Left is a caller's, and ConsumerLeft a
// worker's that hung up before it had the request; ProducerLeft is a worker's that hung up during its answer.
var CallOutcomes = []Outcome{Answered, Unanswered, Left, ConsumerLeft, ProducerLeft, Stalled, Silent, TooLarge, Deleted,
	ShutDown, Unrecorded, Interrupted}

func (o Outcome) Error() string { return string(o) }

// WithoutRecord returns what o becomes if the record of it could not be committed. A delivery, or a publication, without a
// record is Unrecorded; every other outcome stays the same.
func (o Outcome) WithoutRecord() Outcome {
	if o == Delivered || o == Published {
		return Unrecorded
	}
	return o
}

// bodyOutcome returns the Outcome that err wraps, or otherwise if it wraps none.
func bodyOutcome(err error, otherwise Outcome) Outcome {
	if o, ok := errors.AsType[Outcome](err); ok {
		return o
	}
	return otherwise
}
