package audit

import (
	"httpipe/pipe"
	"httpipe/store"
)

// SubscriptionOpened implements pipe.Recorder.
func (r *Recorder) SubscriptionOpened(s *pipe.Subscription) {
	r.log.SubscriptionOpened(store.Subscription{ID: s.ID, Namespace: s.Key.Namespace, Topic: s.Key.Channel, At: s.SubscribedAt, Client: clientOf(&s.Client)})
}

// SubscriptionEnded implements pipe.Recorder.
func (r *Recorder) SubscriptionEnded(s *pipe.Subscription) pipe.Commit {
	return r.commit(r.log.SubscriptionEnded(store.SubscriptionEnd{ID: s.ID, At: s.EndedAt, Outcome: string(s.Outcome),
		Messages: s.Messages, Bytes: s.Bytes, First: s.First, Last: s.Last}))
}

// PublicationAccepted implements pipe.Recorder.
func (r *Recorder) PublicationAccepted(p *pipe.Publication) pipe.Commit {
	return r.commit(r.log.PublicationAccepted(store.Publication{
		ID:          p.ID,
		Namespace:   p.Key.Namespace,
		Topic:       p.Key.Channel,
		ContentType: p.Head.ContentType,
		Bytes:       int64(len(p.Body)),
		At:          p.PublishedAt,
		Subscribers: int64(p.Subscribers),
		Client:      clientOf(&p.Client),
	}))
}

// PublicationEnded implements pipe.Recorder.
func (r *Recorder) PublicationEnded(p *pipe.Publication) pipe.Commit {
	end := store.PublicationEnd{ID: p.ID, At: p.EndedAt, Outcome: string(p.Outcome()), Delivered: int64(p.Delivered)}
	if !r.bestEffort {
		end.OutcomeIfFailed = string(p.Outcome().WithoutRecord())
	}
	return r.commit(r.log.PublicationEnded(end))
}
