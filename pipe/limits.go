package pipe

// Limits bound how many requests may wait at the same time; 0 means no limit. No limit applies to a request
// that a request of the other role is already waiting for: it will shorten the queues, and refusing it could
// keep a full broker full for ever.
type Limits struct {
	Waiting    int // on all channels together
	PerChannel int // on one channel, both roles together
	PerClient  int // with the same Arrival.Group
}

// A Reason is why a request, a publication or a subscription ended as it did, where the outcome alone does not say so.
type Reason int8

const (
	NoReason           Reason = iota
	LimitWaiting              // Refused: Limits.Waiting is reached
	LimitPerChannel           // Refused: Limits.PerChannel
	LimitPerClient            // Refused: Limits.PerClient
	LimitMessageMemory        // Refused: Config.MaxMessageMemory
	NoCall                    // Refused: there is no such call, or it has an answer
	NotServed                 // ShutDown: Config.Serves no longer admits the name
)

func (r Reason) String() string {
	switch r {
	case NoReason:
		return "no reason"
	case LimitWaiting:
		return "limit in total"
	case LimitPerChannel:
		return "limit per channel"
	case LimitPerClient:
		return "limit per client"
	case LimitMessageMemory:
		return "limit of memory for messages"
	case NoCall:
		return "no such call"
	case NotServed:
		return "name not served"
	}
	panic("pipe: no such reason")
}

// limitLocked returns the limit that a would exceed by waiting on c, or NoReason. c is nil if the channel does
// not exist.
func (b *Broker) limitLocked(c *channel, a *Arrival) Reason {
	onChannel := 0
	if c != nil {
		same, all := c.queueOf(a.Role).length, c.producers.length+c.consumers.length
		if all-same > same {
			return NoReason // a request of the other role waits for this one
		}
		onChannel = all
	}
	return b.limitsLocked(onChannel, a.Group)
}

// topicLimitLocked returns the limit that a client of the group would exceed by waiting on t, or NoReason. t is nil if
// the topic does not exist.
func (b *Broker) topicLimitLocked(t *topic, group string) Reason {
	onTopic := 0
	if t != nil {
		onTopic = t.linked + len(t.waiting)
	}
	return b.limitsLocked(onTopic, group)
}

// limitsLocked returns the limit that one more waiter of the group would exceed where here wait already, or NoReason.
func (b *Broker) limitsLocked(here int, group string) Reason {
	limits := b.config.Limits
	switch {
	case limits.Waiting > 0 && b.waiting.length+b.subscriptions+b.waitingPublishers >= limits.Waiting:
		return LimitWaiting
	case limits.PerChannel > 0 && here >= limits.PerChannel:
		return LimitPerChannel
	case limits.PerClient > 0 && b.groups[group] >= limits.PerClient:
		return LimitPerClient
	}
	return NoReason
}

// countWaiterLocked adds n to the waiters of a group.
func (b *Broker) countWaiterLocked(group string, n int) {
	if b.config.Limits.PerClient == 0 {
		return
	}
	if b.groups[group] += n; b.groups[group] == 0 {
		delete(b.groups, group)
	}
}
