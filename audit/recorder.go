package audit

import (
	"time"

	"httpipe/pipe"
	"httpipe/reply"
	"httpipe/store"
)

// A Recorder is the pipe.Recorder that writes to an audit log. Its methods only queue rows, so the broker never
// holds its lock while the disk works. They may be called from any goroutine.
type Recorder struct {
	log        *store.Log
	refusals   refusals
	bestEffort bool
}

// NewRecorder returns a recorder that writes to log. With bestEffort, a failed commit changes no outcome
// (--audit=best-effort).
func NewRecorder(log *store.Log, bestEffort bool) *Recorder {
	return &Recorder{log: log, refusals: refusals{record: log.RequestUnmatched}, bestEffort: bestEffort}
}

// Flush queues the rows of refusals that still wait for the end of their minute. Call it before the log is closed.
func (r *Recorder) Flush() { r.refusals.flush() }

// ChannelOpened implements pipe.Recorder.
func (r *Recorder) ChannelOpened(l *pipe.Life) {
	r.log.ChannelOpened(store.Life{ID: l.ID, Namespace: l.Key.Namespace, Channel: l.Key.Channel, At: l.OpenedAt})
}

// ChannelClosed implements pipe.Recorder.
func (r *Recorder) ChannelClosed(l *pipe.Life) {
	r.log.ChannelClosed(store.LifeEnd{ID: l.ID, At: l.ClosedAt, Reason: string(l.Reason), Exchanges: l.Exchanges, Bytes: l.Bytes})
}

// RequestUnmatched implements pipe.Recorder.
func (r *Recorder) RequestUnmatched(q *pipe.Request) {
	row := store.Request{
		Namespace: q.Key.Namespace,
		Channel:   q.Key.Channel,
		Role:      q.Role.String(),
		Outcome:   string(q.Outcome()),
		Reason:    reply.ReasonText(q.Reason()),
		Shape:     q.Shape.String(),
		Arrived:   q.ArrivedAt,
		Ended:     q.EndedAt(),
		Client:    clientOf(&q.Client),
		Count:     1,
	}
	if q.Outcome() == pipe.Refused {
		r.refusals.add(q.Group, row)
		return
	}
	r.log.RequestUnmatched(row)
}

// clientOf returns c as the log records it.
func clientOf(c *pipe.Client) (recorded store.Client) {
	setClient(&recorded, c)
	return recorded
}

// setClient is clientOf without copies, which would make the stacks of many goroutines larger.
func setClient(to *store.Client, c *pipe.Client) {
	to.Addr, to.Agent, to.RequestID, to.Subject = c.Addr, c.Agent, c.RequestID(), c.Subject()
}

// RecordRefusal records a request that is refused now, before it reached the broker. role is NoRole for a request that
// neither produces nor consumes; group is what counts as one client (pipe.Arrival.Group). On a nil *Recorder it
// does nothing.
func (r *Recorder) RecordRefusal(shape pipe.Shape, key pipe.Key, role pipe.Role, reason string, client pipe.Client, group string) {
	if r == nil {
		return
	}
	now := time.Now()
	r.refusals.add(group, store.Request{
		Namespace: key.Namespace,
		Channel:   key.Channel,
		Role:      role.String(),
		Outcome:   string(pipe.Refused),
		Reason:    reason,
		Shape:     shape.String(),
		Arrived:   now,
		Ended:     now,
		Client:    clientOf(&client),
		Count:     1,
	})
}

// ExchangeMatched implements pipe.Recorder.
func (r *Recorder) ExchangeMatched(x *pipe.Exchange) pipe.Commit {
	match := &store.Match{
		ID:           x.ID,
		Life:         x.Life,
		Namespace:    x.Key.Namespace,
		Channel:      x.Key.Channel,
		ContentType:  x.Producer.Head.ContentType,
		At:           x.MatchedAt,
		ProducerWait: x.MatchedAt.Sub(x.Producer.ArrivedAt),
		ConsumerWait: x.MatchedAt.Sub(x.Consumer.ArrivedAt),
	}
	setClient(&match.Producer, &x.Producer.Client)
	setClient(&match.Consumer, &x.Consumer.Client)
	if x.Call != nil {
		match.Method = x.Producer.Head.Request.Method
	}
	if x.ReplyTo != nil {
		match.ReplyTo = x.ReplyTo.ID
	}
	return r.commit(r.log.ExchangeMatched(match))
}

// ExchangeEnded implements pipe.Recorder.
func (r *Recorder) ExchangeEnded(x *pipe.Exchange) pipe.Commit {
	end := store.ExchangeEnd{ID: x.ID, At: x.EndedAt, Outcome: string(x.Outcome), Bytes: x.Bytes}
	if !r.bestEffort {
		end.OutcomeIfFailed = string(x.Outcome.WithoutRecord())
	}
	return r.commit(r.log.ExchangeEnded(end))
}

// OutcomeDecided implements pipe.Recorder. It has nothing to add: the store was given both possible outcomes, and
// writes the right one.
func (r *Recorder) OutcomeDecided(*pipe.Exchange, pipe.Outcome) {}

// CallEnded implements pipe.Recorder.
func (r *Recorder) CallEnded(call *pipe.Call) {
	end := store.CallEnd{ID: call.Request.ID, At: call.EndedAt, Outcome: string(call.Outcome)}
	if call.Answer != nil {
		end.Status, end.AnsweredAt = call.Answer.Producer.Head.Rare().Answer.Status, call.Answer.MatchedAt
	}
	r.log.CallEnded(end)
}

func (r *Recorder) commit(c *store.Commit) pipe.Commit {
	if r.bestEffort {
		return ignoreFailure{c}
	}
	return c
}

// ignoreFailure is a commit that hides its failure from the producer. The store still counts the failure.
type ignoreFailure struct{ commit *store.Commit }

// Wait implements pipe.Commit.
func (i ignoreFailure) Wait() error {
	i.commit.Wait()
	return nil
}

// Then implements pipe.Commit.
func (i ignoreFailure) Then(f func(error)) {
	i.commit.Then(func(error) { f(nil) })
}
