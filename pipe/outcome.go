package pipe

import "errors"

// Outcome is how a request or an exchange ended. The list is closed, and its words are the only ones:
// in the audit log, in responses, in logs and in tests.
//
// An Outcome is also an error, the reason why a body ended before its end: a producer's body whose
// Read fails with an error that wraps an Outcome ends as that Outcome.
type Outcome string

const (
	// Delivered: every byte was written to the consumer's connection and flushed without error, and
	// the connection had not been closed before the last byte was written.
	Delivered Outcome = "delivered"
	// ConsumerLeft: the consumer hung up before the last byte was written.
	ConsumerLeft Outcome = "consumer_left"
	// ProducerLeft: the producer hung up before its body's end, or its body is malformed.
	ProducerLeft Outcome = "producer_left"
	// Stalled: the consumer's kernel acknowledged nothing for too long while bytes were ready.
	Stalled Outcome = "stalled"
	// Silent: the producer sent nothing for too long while a consumer was there.
	Silent Outcome = "silent"
	// TooLarge: the body is larger than the server takes.
	TooLarge Outcome = "too_large"
	// Deleted: the channel was deleted.
	Deleted Outcome = "deleted"
	// TimedOut: the request waited longer than it wanted to.
	TimedOut Outcome = "timed_out"
	// ShutDown: the server is stopping.
	ShutDown Outcome = "shut_down"
	// Left: the client hung up while it waited.
	Left Outcome = "left"
	// Refused: turned away by a limit or for want of permission.
	Refused Outcome = "refused"
	// Unrecorded: all bytes went, but the record of it could not be committed.
	Unrecorded Outcome = "unrecorded"
	// Interrupted: the process died; nobody but the next start can say so.
	Interrupted Outcome = "interrupted"
)

// Outcomes is the whole list, in the order of the specification.
var Outcomes = []Outcome{Delivered, ConsumerLeft, ProducerLeft, Stalled, Silent, TooLarge, Deleted,
	TimedOut, ShutDown, Left, Refused, Unrecorded, Interrupted}

func (o Outcome) Error() string { return string(o) }

// WithoutRecord returns what o becomes if the record of it could not be committed. A delivery without a record
// is Unrecorded; every other outcome stays the same.
func (o Outcome) WithoutRecord() Outcome {
	if o == Delivered {
		return Unrecorded
	}
	return o
}

// bodyOutcome is the Outcome of a body that failed with err, or otherwise if err names none.
func bodyOutcome(err error, otherwise Outcome) Outcome {
	var o Outcome
	if errors.As(err, &o) {
		return o
	}
	return otherwise
}
