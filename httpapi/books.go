package httpapi

import (
	"httpipe/pipe"
	"httpipe/store"
)

// books is the pipe.Recorder that keeps the audit log: what happens, in the store's terms. The store
// only queues what it is given, so the broker's lock is never held for the disk.
type books struct {
	log        *store.Log
	flood      *flood
	bestEffort bool // --audit=best-effort: a failed commit changes no outcome
}

func (b books) ChannelOpened(l *pipe.Life) {
	b.log.ChannelOpened(store.Life{ID: l.ID, Namespace: l.Key.Namespace, Channel: l.Key.Channel, At: l.OpenedAt})
}

func (b books) ChannelClosed(l *pipe.Life) {
	b.log.ChannelClosed(store.LifeEnd{ID: l.ID, At: l.ClosedAt, Reason: string(l.Reason), Exchanges: l.Exchanges, Bytes: l.Bytes})
}

func (b books) RequestUnmatched(r *pipe.Request) {
	gone := store.Request{
		Namespace: r.Key.Namespace,
		Channel:   r.Key.Channel,
		Role:      string(r.Role),
		Outcome:   string(r.Outcome()),
		Reason:    limitOption(r.RefusedBy()),
		Arrived:   r.ArrivedAt,
		Ended:     r.EndedAt(),
		Client:    store.Client(r.Client),
		Count:     1,
	}
	if r.Outcome() == pipe.Refused {
		b.flood.add(r.Group, gone)
		return
	}
	b.log.RequestGone(gone)
}

func (b books) ExchangeMatched(x *pipe.Exchange) pipe.Commit {
	return b.commit(b.log.ExchangeMatched(store.Match{
		ID:           x.ID,
		Life:         x.Life,
		Namespace:    x.Key.Namespace,
		Channel:      x.Key.Channel,
		ContentType:  x.Producer.Head.ContentType,
		At:           x.MatchedAt,
		ProducerWait: x.MatchedAt.Sub(x.Producer.ArrivedAt),
		ConsumerWait: x.MatchedAt.Sub(x.Consumer.ArrivedAt),
		Producer:     store.Client(x.Producer.Client),
		Consumer:     store.Client(x.Consumer.Client),
	}))
}

func (b books) ExchangeEnded(x *pipe.Exchange) pipe.Commit {
	end := store.End{ID: x.ID, At: x.EndedAt, Outcome: string(x.Outcome), Bytes: x.Bytes}
	if !b.bestEffort {
		end.OutcomeIfFailed = string(x.Outcome.WithoutRecord())
	}
	return b.commit(b.log.ExchangeEnded(end))
}

// OutcomeDecided has nothing to add: the row was given both outcomes that are possible, and has the right one.
func (books) OutcomeDecided(*pipe.Exchange, pipe.Outcome) {}

func (b books) commit(c *store.Commit) pipe.Commit {
	if b.bestEffort {
		return bestEffort{c}
	}
	return c
}

// bestEffort is a commit that hides its failure from the producer. The store still counts it.
type bestEffort struct{ commit *store.Commit }

func (b bestEffort) Wait() error {
	b.commit.Wait()
	return nil
}
