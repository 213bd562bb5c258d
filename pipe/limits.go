package pipe

// Limits bound how many requests may wait at once. 0 is no limit. A request that somebody already waits
// for is let in whatever the limits say: it makes the waiters fewer, and to turn it away could keep a
// full broker full for ever.
type Limits struct {
	Waiting    int // in all
	PerChannel int // on one channel, both roles together
	PerClient  int // of one client, by Arrival.Group
}

// Limit says which of the limits refused a request.
type Limit string

const (
	NoLimit              Limit = ""
	MaxWaiting           Limit = "max-waiting"
	MaxWaitingPerChannel Limit = "max-waiting-per-channel"
	MaxWaitingPerClient  Limit = "max-waiting-per-client"
)

// limitLocked returns the limit that a would exceed if it waited on c, which is nil if the channel does
// not exist.
func (b *Broker) limitLocked(c *channel, a *Arrival) Limit {
	onChannel := 0
	if c != nil {
		own, all := c.queueOf(a.Role).length, c.producers.length+c.consumers.length
		if all-own > own {
			return NoLimit // one of the others waits for it
		}
		onChannel = all
	}
	limits := b.config.Limits
	switch {
	case limits.Waiting > 0 && b.waiting.length >= limits.Waiting:
		return MaxWaiting
	case limits.PerChannel > 0 && onChannel >= limits.PerChannel:
		return MaxWaitingPerChannel
	case limits.PerClient > 0 && b.groups[a.Group] >= limits.PerClient:
		return MaxWaitingPerClient
	}
	return NoLimit
}
