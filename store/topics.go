package store

import "time"

// Published is the outcome of a message that was sent.
const Published = "published"

// Publication is a message that a topic has accepted.
type Publication struct {
	ID                            string // a version 7 UUID as text, greater than those of all earlier publications of the topic
	Namespace, Topic, ContentType string
	Bytes                         int64
	At                            time.Time
	Subscribers                   int64
	Client                        Client
}

// PublicationEnd is the end of a publication.
type PublicationEnd struct {
	ID        string // the ID of its Publication
	At        time.Time
	Outcome   string
	Delivered int64

	OutcomeIfFailed string // as in ExchangeEnd
}

// Subscription is the beginning of a subscription.
type Subscription struct {
	ID               string // a version 7 UUID as text, between those of the publications before and after it
	Namespace, Topic string
	At               time.Time
	Client           Client
}

// SubscriptionEnd is the end of a subscription.
type SubscriptionEnd struct {
	ID              string // the ID of its Subscription
	At              time.Time
	Outcome         string
	Messages, Bytes int64
	First, Last     string // the IDs of the first and the last publication that it took; "" if none
}

// PublicationAccepted records that a message will be sent. With --audit=strict the caller sends it only after the Commit.
func (l *Log) PublicationAccepted(p Publication) *Commit {
	p.ContentType = bounded(p.ContentType)
	p.Client.bound()
	r := l.publications.newBeginning(p.ID, &p)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.publications.beginLocked(l, r)
	return &r.commit
}

// PublicationEnded records that a message has been sent. The caller must not answer the publisher before the Commit.
func (l *Log) PublicationEnded(end PublicationEnd) *Commit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &l.publications.endLocked(l, end.ID, &end).commit
}

// SubscriptionOpened records a new subscription.
func (l *Log) SubscriptionOpened(s Subscription) {
	s.Client.bound()
	r := l.subscriptions.newBeginning(s.ID, &s)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subscriptions.beginLocked(l, r)
}

// SubscriptionEnded records that a subscription has ended. The caller need not wait for the Commit.
func (l *Log) SubscriptionEnded(end SubscriptionEnd) *Commit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &l.subscriptions.endLocked(l, end.ID, &end).commit
}

func (s *statements) insertPublication(r *publicationRow, run int64, recheck bool) error {
	p, end := r.begin, r.end
	if recheck {
		var err error
		if p, end, err = r.missing(s.hasPublication, r.id); err != nil {
			return err
		}
	}
	switch {
	case p == nil && end == nil:
		return nil
	case p == nil:
		return s.publicationEnd.begin().text(r.id).text(r.outcome(end.Outcome, end.OutcomeIfFailed)).
			integer(end.Delivered).integer(end.At.UnixMilli()).exec()
	}
	row := s.publication.begin().text(r.id).integer(run).text(p.Namespace).text(p.Topic).integer(p.Bytes).text(p.ContentType).
		integer(p.At.UnixMilli()).integer(p.Subscribers).client(p.Client)
	if end == nil {
		return row.null(3).exec()
	}
	return row.text(r.outcome(end.Outcome, end.OutcomeIfFailed)).integer(end.Delivered).integer(end.At.UnixMilli()).exec()
}

func (s *statements) insertSubscription(r *subscriptionRow, run int64, recheck bool) error {
	sub, end := r.begin, r.end
	if recheck {
		var err error
		if sub, end, err = r.missing(s.hasSubscription, r.id); err != nil {
			return err
		}
	}
	switch {
	case sub == nil && end == nil:
		return nil
	case sub == nil:
		return s.subscriptionEnd.begin().text(r.id).text(end.Outcome).received(end).integer(end.At.UnixMilli()).exec()
	}
	row := s.subscription.begin().text(r.id).integer(run).text(sub.Namespace).text(sub.Topic).integer(sub.At.UnixMilli()).client(sub.Client)
	if end == nil {
		return row.null(6).exec()
	}
	return row.text(end.Outcome).received(end).integer(end.At.UnixMilli()).exec()
}

// client sets the four columns of a client.
func (s *statement) client(c Client) *statement {
	return s.text(c.Addr).text(c.Agent).text(c.Subject).text(c.RequestID)
}

// received sets the four columns with the messages that a subscription has received.
func (s *statement) received(e *SubscriptionEnd) *statement {
	s.integer(e.Messages).integer(e.Bytes)
	if e.First == "" {
		return s.null(2)
	}
	return s.text(e.First).text(e.Last)
}
