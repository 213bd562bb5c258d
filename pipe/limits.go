package pipe

// Limits bound how many requests may wait at the same time; 0 means no limit. No limit applies to a request
// that a request of the other role is already waiting for: it will shorten the queues, and refusing it could
// keep a full broker full for ever.
type Limits struct {
	Waiting    int // on all channels together
	PerChannel int // on one channel, both roles together
	PerClient  int // with the same Arrival.Group
}

// Limit is the one of the Limits that a refused request exceeded, or another reason that the outcome does not give: NoCall and
// NotServed.
type Limit int8

const (
	NoLimit            Limit = iota
	LimitWaiting             // Limits.Waiting
	LimitPerChannel          // Limits.PerChannel
	LimitPerClient           // Limits.PerClient
	LimitMessageMemory       // Config.MaxMessageMemory
	NoCall                   // not a limit: there is no such call, or it has an answer
	NotServed                // not a limit: ShutDown because Config.Serves no longer admits the name
)

func (l Limit) String() string {
	switch l {
	case NoLimit:
		return "no limit"
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
	panic("pipe: no such limit")
}

// limitLocked returns the limit that a would exceed by waiting on c, or NoLimit. c is nil if the channel does
// not exist.
func (b *Broker) limitLocked(c *channel, a *Arrival) Limit {
	onChannel := 0
	if c != nil {
		same, all := c.queueOf(a.Role).length, c.producers.length+c.consumers.length
		if all-same > same {
			return NoLimit // a request of the other role waits for this one
		}
		onChannel = all
	}
	return b.limitsLocked(onChannel, a.Group)
}

// topicLimitLocked returns the limit that a client of the group would exceed by waiting on t, or NoLimit. t is nil if
// the topic does not exist.
func (b *Broker) topicLimitLocked(t *topic, group string) Limit {
	onTopic := 0
	if t != nil {
		onTopic = t.linked + len(t.waiting)
	}
	return b.limitsLocked(onTopic, group)
}

// limitsLocked returns the limit that one more waiter of the group would exceed where here wait already, or NoLimit.
func (b *Broker) limitsLocked(here int, group string) Limit {
	limits := b.config.Limits
	switch {
	case limits.Waiting > 0 && b.waiting.length+b.subscriptions+b.waitingPublishers >= limits.Waiting:
		return LimitWaiting
	case limits.PerChannel > 0 && here >= limits.PerChannel:
		return LimitPerChannel
	case limits.PerClient > 0 && b.groups[group] >= limits.PerClient:
		return LimitPerClient
	}
	return NoLimit
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
