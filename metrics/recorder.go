package metrics

import (
	"sync/atomic"
	"time"

	"httpipe/pipe"
)

// endings are how an exchange can end.
var endings = []pipe.Outcome{pipe.Delivered, pipe.ConsumerLeft, pipe.ProducerLeft, pipe.Stalled, pipe.Silent,
	pipe.TooLarge, pipe.Deleted, pipe.ShutDown, pipe.Unrecorded}

// partings are how a request can end without an exchange, by its role.
var partings = map[pipe.Role][]pipe.Outcome{
	pipe.Producer: {pipe.ProducerLeft, pipe.Silent, pipe.TooLarge, pipe.Deleted, pipe.TimedOut, pipe.ShutDown, pipe.Left, pipe.Refused},
	pipe.Consumer: {pipe.Deleted, pipe.TimedOut, pipe.ShutDown, pipe.Left, pipe.Refused},
}

// Recorder returns a recorder that counts what it is told, and tells next, which is nil if nobody else wants
// to know. Of a nil *Metrics it returns next itself.
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

func (r recorder) RequestGone(q *pipe.Request) {
	r.m.unmatched[q.Role].add(q.Outcome())
	r.Recorder.RequestGone(q)
}

func (r recorder) ExchangeMatched(x *pipe.Exchange) pipe.Commit {
	r.m.producerWait.Observe(x.MatchedAt.Sub(x.Producer.ArrivedAt).Seconds())
	r.m.consumerWait.Observe(x.MatchedAt.Sub(x.Consumer.ArrivedAt).Seconds())
	return r.Recorder.ExchangeMatched(x)
}

// ExchangeEnded counts the end at once, unless it is a delivery with a record: only the record decides
// whether that is what it says.
func (r recorder) ExchangeEnded(x *pipe.Exchange) pipe.Commit {
	r.m.transfer.Observe(x.EndedAt.Sub(x.MatchedAt).Seconds())
	commit := r.Recorder.ExchangeEnded(x)
	if _, safe := commit.(pipe.Safe); safe || x.Outcome != pipe.Delivered {
		r.m.exchanges.add(x.Outcome)
		return commit
	}
	return &delivery{Commit: commit, m: r.m, endedAt: x.EndedAt}
}

// A delivery is the Commit of one, and counts it when its producer has waited for that.
type delivery struct {
	pipe.Commit
	m       *Metrics
	endedAt time.Time
	counted atomic.Bool
}

func (d *delivery) Wait() error {
	err := d.Commit.Wait()
	if d.counted.Swap(true) {
		return err
	}
	d.m.commit.Observe(time.Since(d.endedAt).Seconds())
	if err != nil {
		d.m.exchanges.add(pipe.Unrecorded)
	} else {
		d.m.exchanges.add(pipe.Delivered)
	}
	return err
}
