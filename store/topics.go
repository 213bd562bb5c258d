package store

import (
	"database/sql"
	"time"
)

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
	p.ID, p.Namespace, p.Topic = validUTF8(p.ID), validUTF8(p.Namespace), validUTF8(p.Topic)
	p.ContentType, p.Client = CleanText(p.ContentType), cleanClient(p.Client)
	return l.add(newRow(p))
}

// PublicationEnded records that a message has been sent. The caller must not answer the publisher before the Commit.
func (l *Log) PublicationEnded(end PublicationEnd) *Commit { return l.add(newRow(end)) }

// SubscriptionOpened records a new subscription.
func (l *Log) SubscriptionOpened(s Subscription) {
	s.ID, s.Namespace, s.Topic, s.Client = validUTF8(s.ID), validUTF8(s.Namespace), validUTF8(s.Topic), cleanClient(s.Client)
	l.add(newRow(s))
}

// SubscriptionEnded records that a subscription has ended. The caller need not wait for the Commit.
func (l *Log) SubscriptionEnded(end SubscriptionEnd) *Commit { return l.add(newRow(end)) }

// A topicRow is a row about a topic: a beginning, whose end is of the other type, or an end.
type topicRow interface {
	id() string
	begins() bool
	// write writes the row. end is its end if that is in the same batch, or nil. With recheck the row may be in the file
	// already.
	write(s *statements, end topicRow, run int64, recheck bool) error
}

func (p *Publication) id() string     { return p.ID }
func (e *PublicationEnd) id() string  { return e.ID }
func (s *Subscription) id() string    { return s.ID }
func (e *SubscriptionEnd) id() string { return e.ID }
func (*Publication) begins() bool     { return true }
func (*PublicationEnd) begins() bool  { return false }
func (*Subscription) begins() bool    { return true }
func (*SubscriptionEnd) begins() bool { return false }

// ifFailed returns the row to write if the Commit of r has failed.
func ifFailed(r topicRow) topicRow {
	if end, ok := r.(*PublicationEnd); ok && end.OutcomeIfFailed != "" {
		failed := *end
		failed.Outcome = end.OutcomeIfFailed
		return &failed
	}
	return r
}

// writeRest looks for the beginning of what has that id in the file. If it is there, writeRest writes the end, which may
// be nil, unless that is there too, and returns true.
func (s *statements) writeRest(look *sql.Stmt, id string, end topicRow, run int64) (done bool, err error) {
	switch has, err := lookUp(look, id); {
	case err != nil, has == absent:
		return false, err
	case has == begun && end != nil:
		return true, end.write(s, nil, run, false)
	}
	return true, nil
}

func (p *Publication) write(s *statements, end topicRow, run int64, recheck bool) error {
	if recheck {
		if done, err := s.writeRest(s.hasPublication, p.ID, end, run); done || err != nil {
			return err
		}
	}
	row := s.publication.begin().text(p.ID).integer(run).text(p.Namespace).text(p.Topic).integer(p.Bytes).text(p.ContentType).
		integer(p.At.UnixMilli()).integer(p.Subscribers).client(p.Client)
	if e, ok := end.(*PublicationEnd); ok {
		return row.text(e.Outcome).integer(e.Delivered).integer(e.At.UnixMilli()).exec()
	}
	return row.null(3).exec()
}

func (e *PublicationEnd) write(s *statements, _ topicRow, _ int64, recheck bool) error {
	if recheck {
		if has, err := lookUp(s.hasPublication, e.ID); err != nil || has == complete {
			return err
		}
	}
	return s.publicationEnd.begin().text(e.ID).text(e.Outcome).integer(e.Delivered).integer(e.At.UnixMilli()).exec()
}

func (b *Subscription) write(s *statements, end topicRow, run int64, recheck bool) error {
	if recheck {
		if done, err := s.writeRest(s.hasSubscription, b.ID, end, run); done || err != nil {
			return err
		}
	}
	row := s.subscription.begin().text(b.ID).integer(run).text(b.Namespace).text(b.Topic).integer(b.At.UnixMilli()).client(b.Client)
	if e, ok := end.(*SubscriptionEnd); ok {
		return row.text(e.Outcome).received(e).integer(e.At.UnixMilli()).exec()
	}
	return row.null(6).exec()
}

func (e *SubscriptionEnd) write(s *statements, _ topicRow, _ int64, recheck bool) error {
	if recheck {
		if has, err := lookUp(s.hasSubscription, e.ID); err != nil || has == complete {
			return err
		}
	}
	return s.subscriptionEnd.begin().text(e.ID).text(e.Outcome).received(e).integer(e.At.UnixMilli()).exec()
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
