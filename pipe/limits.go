package pipe

// Limits bound how many requests may wait at the same time; 0 means no limit. No limit applies to a request
// that a request of the other role is already waiting for: it will shorten the queues, and refusing it could
// keep a full broker full for ever.
type Limits struct {
	Waiting    int // on all channels together
	PerChannel int // on one channel, both roles together
	PerClient  int // with the same Arrival.Group
}

// Limit is one of the Limits: the one that a request was refused for.
type Limit int

const (
	NoLimit         Limit = iota
	LimitWaiting          // Limits.Waiting
	LimitPerChannel       // Limits.PerChannel
	LimitPerClient        // Limits.PerClient
	NoCall                // not a limit: there is no such call, or it has an answer
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
	case NoCall:
		return "no such call"
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
	limits := b.config.Limits
	switch {
	case limits.Waiting > 0 && b.waiting.length >= limits.Waiting:
		return LimitWaiting
	case limits.PerChannel > 0 && onChannel >= limits.PerChannel:
		return LimitPerChannel
	case limits.PerClient > 0 && b.groups[a.Group] >= limits.PerClient:
		return LimitPerClient
	}
	return NoLimit
}
