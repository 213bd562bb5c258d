package metrics

import (
	"slices"
	"time"

	"httpipe/pipe"
)

// exchangeOutcomes are the outcomes that an exchange can have.
var exchangeOutcomes = []pipe.Outcome{pipe.Delivered, pipe.ConsumerLeft, pipe.ProducerLeft, pipe.Stalled, pipe.Silent,
	pipe.TooLarge, pipe.Deleted, pipe.ShutDown, pipe.Unrecorded}

// callOutcomes are the outcomes that a call can have; the process never sees one that was interrupted.
var callOutcomes = slices.DeleteFunc(slices.Clone(pipe.CallOutcomes), func(o pipe.Outcome) bool { return o == pipe.Interrupted })

// unmatchedOutcomes are the outcomes that a request can have without an exchange, by role.
var unmatchedOutcomes = map[pipe.Role][]pipe.Outcome{
	pipe.Producer: {pipe.ConsumerLeft, pipe.ProducerLeft, pipe.Silent, pipe.TooLarge, pipe.Deleted, pipe.TimedOut, pipe.ShutDown, pipe.Left, pipe.Refused},
	pipe.Consumer: {pipe.Deleted, pipe.TimedOut, pipe.ShutDown, pipe.Left, pipe.Refused},
}

// Recorder returns a recorder that counts events and passes them on to next, which may be nil. On a nil
// *Metrics it returns next.
func (m *Metrics) Recorder(next pipe.Recorder) pipe.Recorder {
	switch {
	case m == nil:
		return next
	case next == nil:
		next = pipe.Discard{}
	}
	return recorder{Recorder: next, m: m}
}

type recorder struct {
	pipe.Recorder
	m *Metrics
}

func (r recorder) RequestUnmatched(q *pipe.Request) {
	r.m.unmatched[q.Role].add(q.Outcome())
	r.Recorder.RequestUnmatched(q)
}

func (r recorder) ExchangeMatched(x *pipe.Exchange) pipe.Commit {
	r.m.producerWait.Observe(x.MatchedAt.Sub(x.Producer.ArrivedAt).Seconds())
	r.m.consumerWait.Observe(x.MatchedAt.Sub(x.Consumer.ArrivedAt).Seconds())
	return r.Recorder.ExchangeMatched(x)
}

func (r recorder) ExchangeEnded(x *pipe.Exchange) pipe.Commit {
	r.m.transfer.Observe(x.EndedAt.Sub(x.MatchedAt).Seconds())
	return r.Recorder.ExchangeEnded(x)
}

func (r recorder) OutcomeDecided(x *pipe.Exchange, o pipe.Outcome) {
	r.m.exchanges.add(o)
	if x.Outcome == pipe.Delivered { // the producer has waited for the commit
		r.m.commit.Observe(time.Since(x.EndedAt).Seconds())
	}
	r.Recorder.OutcomeDecided(x, o)
}

func (r recorder) CallEnded(call *pipe.Call) {
	r.m.calls.add(call.Outcome)
	r.Recorder.CallEnded(call)
}
