package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"httpipe/pipe"
)

// topicCounters count what happens on topics.
type topicCounters struct {
	publications  outcomeCounter
	subscriptions outcomeCounter
	deliveries    prometheus.Counter
}

func newTopicCounters() topicCounters {
	publications := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "httpipe_publications_total",
		Help: "Messages that topics have sent, by outcome.",
	}, []string{"outcome"})
	subscriptions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "httpipe_subscriptions_total",
		Help: "Subscriptions that have ended, by outcome.",
	}, []string{"outcome"})
	return topicCounters{
		publications:  newOutcomeCounter(publications, []pipe.Outcome{pipe.Published, pipe.Unrecorded}),
		subscriptions: newOutcomeCounter(subscriptions, []pipe.Outcome{pipe.Delivered, pipe.Left, pipe.Stalled, pipe.Deleted, pipe.ShutDown, pipe.TimedOut}),
		deliveries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "httpipe_deliveries_total",
			Help: "Messages to topics that subscribers have taken whole; one message to ten subscribers counts as ten.",
		}),
	}
}

func (r recorder) SubscriptionEnded(s *pipe.Subscription) pipe.Commit {
	r.m.topics.subscriptions.add(s.Outcome)
	return r.Recorder.SubscriptionEnded(s)
}

func (r recorder) PublicationEnded(p *pipe.Publication) pipe.Commit {
	r.m.topics.deliveries.Add(float64(p.Delivered))
	commit := r.Recorder.PublicationEnded(p)
	if p.Outcome() != pipe.Published { // not sent: the Commit does not change its outcome
		r.m.topics.publications.add(p.Outcome())
		return commit
	}
	return countPublication{commit, r.m}
}

// A countPublication is the Commit of the end of a publication that was sent. It counts the outcome for the publisher.
type countPublication struct {
	pipe.Commit
	m *Metrics
}

// Wait implements pipe.Commit. The publisher calls it once.
func (c countPublication) Wait() error {
	err := c.Commit.Wait()
	outcome := pipe.Published
	if err != nil {
		outcome = outcome.WithoutRecord()
	}
	c.m.topics.publications.add(outcome)
	return err
}
